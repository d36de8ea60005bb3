"""The trials of one study, as runs in an MLflow store. Importing this costs seconds."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.tracking import MlflowClient

from gauntlet.core.files import canonical_json, digest_json, write_json
from gauntlet.report import trials

#: One call takes at most 1000 metrics and 100 parameters, and 1000 of both.
METRICS, PARAMS = 900, 100


class Ingest:
    """One study's experiment in one store. Hold the store's lock while it runs.

    Args:
        study: the experiment's name.
        scale: added to the tag ``gauntlet.scale``.
        uri: the store.
        database: the file of an embedded store, None for a server.
    """

    def __init__(self, study: str, scale: str, uri: str, database: Path | None):
        self.study, self.scale = study, scale
        # An absolute path: MLflow keeps one engine per spelling of the store for the process's life.
        self.client = MlflowClient(f"sqlite:///{database}" if database else uri)
        self.experiment = self._experiment(database)
        self.counts = dict.fromkeys(("new", "kept", "replaced", "removed", "unfinished"), 0)

    def _experiment(self, database: Path | None) -> str:
        found = self.client.get_experiment_by_name(self.study)
        if found is None:
            # Artifacts of an embedded store lie beside it, wherever the command was started.
            place = str(database.parent / "mlruns" / self.study) if database else None
            return self.client.create_experiment(self.study, artifact_location=place)
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def run(self, cells: list[dict]) -> dict[str, int]:
        runs = self._runs()
        seen: set[str] = set()
        for spec in cells:
            cell = trials.open_cell(spec)
            tables = None
            for seed in spec["seeds"]:
                trial = trials.trial_id(self.study, spec, seed)
                if trial in seen:
                    continue
                seen.add(trial)
                if cell is None:
                    self.counts["unfinished"] += 1
                elif not self._keep(runs[trial], cell):
                    tables = tables or cell.tables()
                    rows = {name: table[table["seed"] == seed] for name, table in tables.items()}
                    self._log(trial, cell, seed, rows)
        return self.counts

    def _runs(self) -> dict[str, list]:
        """The experiment's runs by trial, oldest first."""
        runs, token = defaultdict(list), None
        while True:
            page = self.client.search_runs(
                [self.experiment],
                order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
                max_results=500,
                page_token=token,
            )
            for run in page:
                if trial := run.data.tags.get("gauntlet.trial"):
                    runs[trial].append(run)
            if not (token := page.token):
                return runs

    def _keep(self, runs: list, cell: trials.Cell) -> bool:
        """Whether a run of this trial stands; deletes all but that one."""
        good = [
            run
            for run in runs
            if run.data.tags.get("gauntlet.complete") == "yes"
            and run.data.tags.get("gauntlet.payload") == cell.payload
        ]
        for run in runs:
            if run not in good[:1]:
                self.client.delete_run(run.info.run_id)
        if not good:
            self.counts["replaced" if runs else "new"] += 1
            self.counts["removed"] += max(0, len(runs) - 1)
            return False
        self.counts["kept"] += 1
        self.counts["removed"] += len(runs) - 1
        scales = set(good[0].data.tags.get("gauntlet.scale", "").split(",")) - {""}
        if self.scale not in scales:
            tag = ",".join(sorted(scales | {self.scale}))
            self.client.set_tag(good[0].info.run_id, "gauntlet.scale", tag)
        return True

    def _log(self, trial: str, cell: trials.Cell, seed: int, tables: dict) -> None:
        start, end = trials.span(list(cell.sidecars.values()))
        run = self.client.create_run(
            self.experiment, start or None, self._tags(trial, cell), trials.run_name(cell.spec, seed)
        ).info.run_id
        params = [Param(*item) for item in trials.parameters(cell.spec, seed).items()]
        points = [point for name, rows in tables.items() for point in trials.POINTS[name](rows)]
        metrics = [Metric(name, value, end, step) for name, step, value in points]
        while params or metrics:
            self.client.log_batch(run, metrics[:METRICS], params[:PARAMS])
            metrics, params = metrics[METRICS:], params[PARAMS:]
        self._inputs(run, cell)
        with tempfile.TemporaryDirectory() as folder:
            for name, rows in tables.items():
                rows.to_csv(Path(folder, f"{name}.csv"), index=False)
                sidecar = Path(folder, f"{cell.files[name].name}.provenance.json")
                write_json(sidecar, cell.sidecars[name])
            self.client.log_artifacts(run, folder)
        self.client.set_terminated(run, "FINISHED", end)
        self.client.set_tag(run, "gauntlet.complete", "yes")

    def _tags(self, trial: str, cell: trials.Cell) -> dict[str, str]:
        train, attack = cell.training, cell.sidecars.get("scores", {})
        tags = {
            "gauntlet.trial": trial,
            "gauntlet.payload": cell.payload,
            "gauntlet.scale": self.scale,
            "gauntlet.commit": train.get("commit"),
            "gauntlet.commit.attack": attack.get("commit"),
            "gauntlet.data_version": train.get("data_version"),
            "gauntlet.device": train.get("device"),
            "gauntlet.host": train.get("host"),
            "mlflow.source.git.commit": (train.get("commit") or "").removesuffix("+dirty"),
        }
        return {key: str(value) for key, value in tags.items() if value}

    def _inputs(self, run: str, cell: trials.Cell) -> None:
        """MLflow's dataset of the run: the hash of the prepared files that the training read."""
        if files := cell.training.get("inputs"):
            dataset = Dataset(
                name=cell.spec["dataset"],
                digest=digest_json(files, length=16),
                source_type="local",
                source=canonical_json(files),
            )
            self.client.log_inputs(
                run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
            )
