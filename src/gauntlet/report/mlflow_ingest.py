"""One study in an MLflow store: a run per cell, and one per trial below it. Importing this costs seconds."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

from mlflow.entities import DatasetInput, Metric, Param, Run
from mlflow.tracking import MlflowClient

from gauntlet.core.files import digest_json, write_json
from gauntlet.report import links, trials
from gauntlet.report.mlflow_inputs import inputs

#: One call takes at most 1000 metrics and 100 parameters, and 1000 of both.
METRICS, PARAMS = 900, 100
PARENT = "mlflow.parentRunId"


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
        #: After ``run``: trial -> its run, and (folder of a training, seed) -> a run that tells of it.
        self.runs: dict[str, str] = {}
        self.trainings: dict[tuple[str | None, int], str] = {}

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
        """Bring the runs of these cells up to date; counts of trials."""
        self.known = self._runs()
        together: dict[str, list[dict]] = {}
        for spec in cells:
            blocks = together.setdefault(trials.cell_id(self.study, spec), [])
            if spec not in blocks:
                blocks.append(spec)
        for name, blocks in together.items():
            self._cell(name, blocks)
        return self.counts

    def _runs(self) -> dict[str, list]:
        """The experiment's runs by trial or cell, oldest first."""
        runs, token = defaultdict(list), None
        while True:
            page = self.client.search_runs(
                [self.experiment],
                order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
                max_results=500,
                page_token=token,
            )
            for run in page:
                tags = run.data.tags
                if name := tags.get("gauntlet.trial") or tags.get("gauntlet.cell"):
                    runs[name].append(run)
            if not (token := page.token):
                return runs

    def _cell(self, name: str, blocks: list[dict]) -> None:
        """All trials of a cell, and their parent."""
        seeds = {seed: spec for spec in reversed(blocks) for seed in spec["seeds"]}
        used = [spec for spec in blocks if any(spec is each for each in seeds.values())]
        cells = [cell for spec in used if (cell := trials.open_cell(spec))]
        found = {id(cell.spec): cell for cell in cells}
        self.counts["unfinished"] += sum(id(spec) not in found for spec in seeds.values())
        if not cells:
            return
        payload = digest_json(sorted(cell.payload for cell in cells), length=32)
        parent, whole = self._parent(name, cells, payload)
        points, tables = [], {}
        for seed, spec in sorted(seeds.items()):
            if (cell := found.get(id(spec))) is None:
                continue
            trial = trials.trial_id(self.study, spec, seed)
            kept = self.standing(trial, cell.payload, count=True)
            if kept is None or not whole:
                tables[cell.payload] = tables.get(cell.payload) or cell.tables()
                rows = {key: table[table["seed"] == seed] for key, table in tables[cell.payload].items()}
                of_seed = [point for key, table in rows.items() for point in trials.POINTS[key](table)]
                points.append(of_seed)
            if kept is None:
                self._log(trial, cell, seed, rows, of_seed, parent)
            elif kept.data.tags.get(PARENT) != parent:
                self.client.set_tag(kept.info.run_id, PARENT, parent)
            if kept is not None:
                self.runs[trial] = kept.info.run_id
            self.trainings.setdefault((spec["steps"].get("train"), seed), self.runs[trial])
        if not whole:
            self._sum_up(parent, cells, points, payload)

    def standing(self, name: str, payload: str, count: bool = False) -> Run | None:
        """The whole run of this name (a trial's, a cell's), if there is one; deletes all but that one.

        Args:
            payload: that the run has to be of.
            count: among the trials.
        """
        runs = self.known[name]
        good = [
            run
            for run in runs
            if run.data.tags.get("gauntlet.complete") == "yes"
            and run.data.tags.get("gauntlet.payload") == payload
        ][:1]
        for run in runs:
            if run not in good:
                self.client.delete_run(run.info.run_id)
        if count:
            self.counts["kept" if good else "replaced" if runs else "new"] += 1
            self.counts["removed"] += max(0, len(runs) - 1)
        if not good:
            return None
        scales = set(good[0].data.tags.get("gauntlet.scale", "").split(",")) - {""}
        if self.scale not in scales:
            tag = ",".join(sorted(scales | {self.scale}))
            self.client.set_tag(good[0].info.run_id, "gauntlet.scale", tag)
        return good[0]

    def _parent(self, name: str, cells: list[trials.Cell], payload: str) -> tuple[str, bool]:
        """The cell's run, and whether it is whole; else it has yet to be filled."""
        if standing := self.standing(name, payload):
            return standing.info.run_id, True
        spec = cells[0].spec
        start, _ = trials.span(list(cells[0].sidecars.values()))
        tags = self._tags(cells[0]) | {"gauntlet.cell": name, "gauntlet.kind": "cell"}
        tags |= trials.labels(self.study, spec) | {"gauntlet.payload": payload}
        return self.create(tags, trials.cell_name(spec), start), False

    def create(self, tags: dict[str, str], name: str, start: int) -> str:
        """A new run; ``start`` in milliseconds since 1970, 0 for now."""
        return self.client.create_run(self.experiment, start or None, tags, name).info.run_id

    def _log(self, trial: str, cell: trials.Cell, seed: int, rows: dict, points: list, parent: str) -> None:
        start, end = trials.span(list(cell.sidecars.values()))
        tags = self._tags(cell) | {"gauntlet.trial": trial, "gauntlet.kind": "trial", PARENT: parent}
        tags |= trials.labels(self.study, cell.spec, seed) | {"gauntlet.payload": cell.payload}
        run = self.runs[trial] = self.create(tags, trials.run_name(cell.spec, seed), start)
        metrics = [Metric(name, value, end, step) for name, step, value in points]
        self.batches(run, trials.parameters(cell.spec, seed), metrics)
        self._inputs(run, cell)
        with tempfile.TemporaryDirectory() as folder:
            for name, table in rows.items():
                table.to_csv(Path(folder, f"{name}.csv"), index=False)
                sidecar = Path(folder, f"{cell.files[name].name}.provenance.json")
                write_json(sidecar, cell.sidecars[name])
            self.client.log_artifacts(run, folder)
        self.finish(run, end)

    def _sum_up(self, run: str, cells: list[trials.Cell], points: list, payload: str) -> None:
        """Fill a cell's run: means over its seeds, what its jobs took, and what they took of the machine."""
        _, end = trials.span([sidecar for cell in cells for sidecar in cell.sidecars.values()])
        metrics = [Metric(name, value, end, step) for name, step, value in trials.means(points)]
        number = 0
        for index, cell in enumerate(cells):
            metrics += [Metric(name, value, end, index) for name, _, value in trials.seconds(cell)]
            samples = trials.system(cell)
            metrics += [Metric(name, value, when, number + at) for name, at, value, when in samples]
            number += 1 + max((at for _, at, _, _ in samples), default=-1)
        self.batches(run, trials.parameters(cells[0].spec), metrics)
        self._inputs(run, cells[0])
        self.finish(run, end)

    def batches(self, run: str, parameters: dict[str, str], metrics: list[Metric]) -> None:
        """Log all of these, as many at once as MLflow takes."""
        params = [Param(*item) for item in parameters.items()]
        while params or metrics:
            self.client.log_batch(run, metrics[:METRICS], params[:PARAMS])
            metrics, params = metrics[METRICS:], params[PARAMS:]

    def _inputs(self, run: str, cell: trials.Cell) -> None:
        if found := inputs(cell.spec, cell.training):
            self.client.log_inputs(run, [DatasetInput(*each) for each in found])

    def finish(self, run: str, end: int) -> None:
        """Say that a run is whole: its last calls."""
        self.client.set_terminated(run, "FINISHED", end)
        self.client.set_tag(run, "gauntlet.complete", "yes")

    def _tags(self, cell: trials.Cell) -> dict[str, str]:
        train, attack = cell.training, cell.sidecars.get("scores", {})
        tags = {
            "gauntlet.scale": self.scale,
            "gauntlet.commit": train.get("commit"),
            "gauntlet.commit.attack": attack.get("commit"),
            "gauntlet.data_version": train.get("data_version"),
            "gauntlet.device": train.get("device"),
            "gauntlet.host": train.get("host"),
            "gauntlet.report": links.anchor(self.study),
            "mlflow.source.name": f"gauntlet {train.get('step', '')}".strip(),
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": (train.get("commit") or "").removesuffix("+dirty"),
        }
        return {key: str(value) for key, value in tags.items() if value}
