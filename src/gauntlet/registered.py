"""Networks from MLflow's registry: ``mlflow.pyfunc.load_model("models:/<name>/<version>")`` comes here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gauntlet.cell import family_settings
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_json, sha256_file
from gauntlet.data import sizes
from gauntlet.plan import StudyPlan


class Network:
    """What MLflow calls: images (n, C, H, W) in [0, 1], float32 -> outputs (n, K) of the network."""

    def __init__(self, net: Any):
        self.net = net

    def predict(self, images: np.ndarray, params: dict[str, Any] | None = None) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self.net(torch.from_numpy(np.ascontiguousarray(images, np.float32))).numpy()


def _load_pyfunc(path: str) -> Network:
    """MLflow's entry: the network of a reference (see ``report.mlflow_models``).

    Raises:
        GauntletError: the weights are not here, or are others than those that were registered.
    """
    told = read_json(path)
    weights = Path(told["weights"])
    if not weights.is_file():
        raise GauntletError(
            "no such file", file=weights, remedy="run this at the root of the repository that has the results"
        )
    if sha256_file(weights) != told["sha256"]:
        raise GauntletError(
            "these are not the weights that were registered",
            file=weights,
            remedy="run `snakemake track`, and load the version that it registers",
        )
    return Network(FAMILIES[told["family"]](weights, told))


def _classifier(weights: Path, told: Mapping[str, Any]):
    from gauntlet.families.classifier.network import load

    channels, size, _ = told["shape"]
    return load(weights, told["seed"], told["architecture"], channels, size, told["outputs"])[0]


def _embedding(weights: Path, told: Mapping[str, Any]):
    from gauntlet.families.dml.checkpoints import load

    channels, size, _ = told["shape"]
    return load(weights, told["seed"], told["architecture"], channels, size)


def rows(part: StudyPlan) -> list[dict[str, Any]]:
    """The cells whose weights other trials of a study load, as the tracker takes them.

    Returns: rows as those of ``StudyPlan.present``, of the trainings alone, each with ``family``, ``weights``
        (the file) and ``shapes``: (C, H, W) of an image, and (K,) of the network's output for it.
    """
    names = {(entry.cell.name): entry.method for entry in part.cells}
    needed = {
        other.name: other
        for entry in part.cells
        for step in entry.cell.steps
        for other in entry.cell.needs(step).values()
        if other.family in FAMILIES
    }
    found = []
    for cell in needed.values():
        identity = cell.identity
        channels, pixels, outputs = sizes.network(cell.dataset, identity["data"], identity["train"])
        folder = cell.train_folder
        found.append(
            {
                "dataset": cell.dataset,
                "setting": "",
                "architecture": cell.architecture,
                "method": names.get(
                    cell.name, family_settings(cell.family).model_label(cell.identity["method"])
                ),
                "model": cell.model,
                "block": cell.block,
                "seeds": cell.seeds,
                "identity": cell.identity,
                "steps": {"train": str(folder)},
                "tables": {
                    name: str(path) for name, path in cell.measured().items() if path.parent == folder
                },
                "family": cell.family,
                "weights": str(cell.weights),
                "shapes": [(channels, pixels, pixels), (outputs,)],
            }
        )
    return found


#: Family -> what builds its network. The weights of other families are not those of one function of images.
FAMILIES = {"classifier": _classifier, "dml": _embedding}
