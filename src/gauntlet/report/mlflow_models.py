"""Trained weights that other trials load, in MLflow's registry: by reference, with a signature.

A model's artifacts are MLflow's own description of it and the name and hash of a safetensors file. Nothing is
pickled and no weights are copied: ``mlflow.pyfunc.load_model``, called at the root of the repository, has
``gauntlet.registered`` check the file and build the network.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from gauntlet.core.files import sha256_file, write_json
from gauntlet.report import trials
from gauntlet.report.mlflow_ingest import Ingest

#: The module that builds networks from a reference, and the reference's name among the artifacts.
LOADER, REFERENCE = "gauntlet.registered", "weights.json"


def register(ingest: Ingest, cell: Mapping[str, Any]) -> int:
    """Register the weights of every seed of a cell, each as a version, unless they are.

    Args:
        ingest: of the study whose trials load them; its runs are up to date.
        cell: a row of ``gauntlet.registered.rows``.

    Returns: how many versions are new.
    """
    path = Path(cell["weights"])
    if not path.is_file():
        return 0
    name = model_name(cell)
    payload, new = sha256_file(path), 0
    _registered(ingest, name, cell)
    versions = ingest.client.search_model_versions(f"name = '{name}'")
    for seed in cell["seeds"]:
        run = ingest.trainings.get((cell["steps"]["train"], seed))
        wanted = {"seed": str(seed), "sha256": payload}
        if run is None or any(wanted.items() <= one.tags.items() and one.run_id == run for one in versions):
            continue
        model = ingest.client.create_logged_model(
            ingest.experiment,
            name=f"{cell['family']}-{seed}",
            source_run_id=run,
            tags=wanted,
            model_type=cell["family"],
        ).model_id
        with tempfile.TemporaryDirectory() as folder:
            _describe(Path(folder), cell, seed, payload, run, model)
            ingest.client.log_model_artifacts(model, folder)
        ingest.client.finalize_logged_model(model, "READY")
        version = ingest.client.create_model_version(
            name,
            source=f"models:/{model}",
            run_id=run,
            model_id=model,
            tags=wanted | trials.labels(ingest.study, cell, seed),
            description=f"Seed {seed} of `{path}`, sha256 `{payload}`",
        ).version
        ingest.client.set_registered_model_alias(name, f"seed-{seed}", version)
        new += 1
    return new


def model_name(cell: Mapping[str, Any]) -> str:
    """``classifier.fashion-mnist.lenet.none-1a2b3c4d``: MLflow takes no slashes."""
    return ".".join(cell[key] for key in ("family", "dataset", "architecture", "model"))


def _registered(ingest: Ingest, name: str, cell: Mapping[str, Any]) -> None:
    """Make the model's page, where there is none."""
    if not ingest.client.search_registered_models(f"name = '{name}'"):
        tags = trials.labels(ingest.study, cell) | {"family": cell["family"]}
        ingest.client.create_registered_model(
            name, tags, "Weights that other trials load; one version per seed, alias `seed-<n>`."
        )


def _describe(folder: Path, cell: Mapping[str, Any], seed: int, payload: str, run: str, model: str) -> None:
    """Write the artifacts of one seed's model into ``folder``."""
    images, outputs = cell["shapes"]
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype("float32"), (-1, *images))]),
        Schema([TensorSpec(np.dtype("float32"), (-1, *outputs))]),
    )
    description = Model(run_id=run, model_id=model, signature=signature)
    python = platform.python_version()
    description.add_flavor("python_function", loader_module=LOADER, data=REFERENCE, python_version=python)
    description.save(folder / "MLmodel")
    kept = {key: cell[key] for key in ("family", "dataset", "architecture", "identity")}
    reference = {**kept, "seed": seed, "weights": cell["weights"], "sha256": payload, "shape": list(images)}
    write_json(folder / REFERENCE, {**reference, "outputs": outputs[0]})
