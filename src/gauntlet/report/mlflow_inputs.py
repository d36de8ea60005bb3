"""What a run has read, as MLflow's datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, InputTag

from gauntlet.core.errors import GauntletError
from gauntlet.data import registry

CONTEXT = "mlflow.data.context"
#: Characters of a digest that MLflow keeps.
DIGEST = 36


def inputs(spec: dict[str, Any], training: dict[str, Any]) -> list[tuple[Dataset, list[InputTag]]]:
    """The dataset, by the version that its sidecar pins, and every other file that the training has read.

    Args:
        spec: of the cell.
        training: the sidecar of its first job.
    """
    found = []
    if version := training.get("data_version"):
        found.append((_dataset(spec["dataset"], version), [InputTag(CONTEXT, "training")]))
    sets = {registry.folder(name) for name in registry.names()}
    for path, digest in (training.get("inputs") or {}).items():
        if Path(path).parent in sets:  # of the dataset above
            continue
        file = Dataset(
            name=Path(path).name,
            digest=digest[:DIGEST],
            source_type="local",
            source=json.dumps({"uri": path, "sha256": digest}),
        )
        found.append((file, [InputTag(CONTEXT, "first weights")]))
    return found


def _dataset(name: str, version: str) -> Dataset:
    """As the registry has it: where it was published, its form, and how many examples there are."""
    try:
        entry = registry.entry(name)
    except GauntletError:  # removed from the registry since
        return Dataset(name, version[:DIGEST], "local", json.dumps({"uri": name}))
    pages = [source.bases[0] for source in entry.sources if source.kind == "url"]
    source = {"url": pages[0]} if pages else {"uri": entry.folder}
    profile = {
        "title": entry.title,
        "reference": entry.reference,
        "licence": entry.licence,
        "classes": entry.class_count,
        **{f"{split} examples": entry.examples(split) for split in entry.splits},
    }
    return Dataset(
        name=name,
        digest=version[:DIGEST],
        source_type="http" if pages else "local",
        source=json.dumps(source),
        schema=_schema(entry),
        profile=json.dumps(profile),
    )


def _schema(entry) -> str | None:
    """Images as bytes, channels first, and their labels; of other forms nothing is said."""
    if entry.form != "arrays":
        return None
    images = {"type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1, *entry.shape]}}
    labels = {"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}
    features = {"features": json.dumps([images]), "targets": json.dumps([labels])}
    return json.dumps({"mlflow_tensorspec": features})
