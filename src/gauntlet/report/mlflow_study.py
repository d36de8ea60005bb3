"""A study's figures, tables and verdicts at one scale, as a run of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow.entities import Metric

from gauntlet.core.files import digest_json, sha256_file
from gauntlet.report import links
from gauntlet.report.mlflow_ingest import Ingest
from gauntlet.report.tracking import Drawn

#: Kinds of files that a browser shows.
SHOWN = (".png", ".csv")


def log(ingest: Ingest, drawn: Drawn) -> None:
    """Log what was drawn of a study and how its claims were judged, unless a run has just that already."""
    claims = drawn.claims
    files = sorted(path for path in drawn.folder.glob("*") if path.suffix in SHOWN)
    if not files and not claims:
        return
    name = f"{ingest.study}@{ingest.scale}"
    payload = digest_json([[path.name, sha256_file(path)] for path in files] + [claims], length=32)
    if ingest.standing(name, payload):
        return
    ingest.client.set_experiment_tag(ingest.experiment, "mlflow.note.content", drawn.title)
    tags = {
        "gauntlet.cell": name,
        "gauntlet.kind": "study",
        "gauntlet.payload": payload,
        "gauntlet.scale": ingest.scale,
        "gauntlet.report": links.anchor(ingest.study),
        "study": ingest.study,
        **{f"verdict.{key}": claim["verdict"] for key, claim in claims.items()},
        "mlflow.note.content": _note(ingest.study, drawn.title, claims),
    }
    run = ingest.create(tags, f"{ingest.study} at {ingest.scale}: figures and claims", 0)
    end = ingest.client.get_run(run).info.start_time
    metrics = [
        Metric(f"claim/{key}/{part}", value, end, 0)
        for key, claim in claims.items()
        for part, value in _numbers(claim).items()
    ]
    ingest.batches(run, {}, metrics)
    for path in files:
        kind = "figures" if path.suffix == ".png" or path.with_suffix(".png").is_file() else "tables"
        ingest.client.log_artifact(run, str(path), kind)
    ingest.finish(run, end)


def _numbers(claim: Mapping[str, Any]) -> dict[str, float]:
    """The effect, and its interval where there is one."""
    found = {} if claim["effect"] is None else {"effect": claim["effect"]}
    if claim["ci"] is not None:
        found |= dict(zip(("low", "high"), claim["ci"], strict=True))
    return found


def _note(study: str, title: str, claims: Mapping[str, Any]) -> str:
    """The run's description, which MLflow shows as Markdown."""
    rows = [f"| {key} | {claim['verdict']} | {claim['statement']} |" for key, claim in claims.items()]
    head = ["| claim | verdict | statement |", "| --- | --- | --- |"] if rows else []
    return "\n".join([f"{title}. In the report: `{links.anchor(study)}`", "", *head, *rows])
