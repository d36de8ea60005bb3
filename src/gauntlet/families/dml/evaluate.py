"""Attack and score one trained cell: retrieval and clustering, clean and under every attack.

Attacks are adaptive: they see the whole network, for an ensemble through all its members. Robust
retrieval searches perturbed queries in the clean gallery; robust clustering runs k-means on the
perturbed set. View ``ensemble`` is the deployed embedding; view ``member`` is the mean over the members
scored alone, under the same attack on the whole ensemble (an attack on one member alone is on the
diagonal of suite ``transfer``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from gauntlet import data
from gauntlet.core.config import parse
from gauntlet.core.devices import describe
from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256_file, write_rows
from gauntlet.core.provenance import Recorder
from gauntlet.core.resume import Resume
from gauntlet.families.dml import checkpoints
from gauntlet.families.dml.settings import Data, Evaluate, evaluate_methods
from gauntlet.families.dml.split import class_split
from gauntlet.families.dml.target import Target
from gauntlet.families.dml.trial import Trial

#: The tables and their columns.
TABLES = {
    "scores": {
        "seed": "int64",
        "suite": "string",
        "attack": "string",
        "eps": "float64",
        "steps": "int64",
        "fraction": "float64",
        "view": "string",
        "detail": "string",
        "metric": "string",
        "value": "float64",
    },
    "examples": {
        "seed": "int64",
        "attack": "string",
        "index": "int64",
        "label": "int64",
        "hit": "bool",
        "cluster": "int64",
    },
    "projections": {
        "seed": "int64",
        "attack": "string",
        "index": "int64",
        "label": "int64",
        "x": "float64",
        "y": "float64",
    },
    "sanity": {
        "seed": "int64",
        "attack": "string",
        "check": "string",
        "metric": "string",
        "value": "float64",
        "bound": "float64",
        "passed": "bool",
    },
}


def run(
    identity: dict[str, Any],
    evaluate: dict[str, Any],
    seeds: list[int],
    model: Path,
    out: Path,
    device: torch.device | str,
    data_folder: Path | None = None,
    state: Path | None = None,
) -> None:
    """Measure all seeds; write ``out/{scores,examples,projections,sanity}.parquet`` with sidecars.

    Args:
        identity: what determined the training (``train.Identity``).
        evaluate: the attacks (``settings.Evaluate``).
        seeds: the block of seeds that ``model`` holds.
        model: the weights file of the training.
        out: folder of the outputs.
        device: where to attack.
        data_folder: the prepared dataset's own folder; the registry's when None.
        state: folder of the resume state; None keeps none. A killed job goes on with the next seed.

    Raises:
        GauntletError: bad settings, unknown attack, absent or damaged weights, embeddings not finite.
    """
    settings = parse(Evaluate, evaluate, file="evaluate")
    model, out = Path(model), Path(out)
    if not model.is_file():
        raise GauntletError("no such file", file=model, remedy="train the model first")
    recorder = Recorder("dml evaluate", {"identity": identity, "evaluate": evaluate, "seeds": seeds}, [model])
    device = torch.device(device)
    faiss.omp_set_num_threads(torch.get_num_threads())
    digest = code_digest(__name__, methods=evaluate_methods(identity, evaluate))
    key = {
        "identity": identity,
        "evaluate": evaluate,
        "seeds": seeds,
        "model": sha256_file(model),
        "code": digest,
    }
    dataset = data.load(identity["dataset"], data_folder)
    architecture = identity["architecture"]
    channels, size = dataset.test.images.shape[1:3]

    def network(seed: int):
        return checkpoints.load(model, seed, architecture, channels, size, device)

    done: dict[str, dict[str, Any]] = {}
    path = None if state is None else Path(state) / f"evaluate-{out.name}.state"
    with Resume(path, key, every=0.0) as resume:
        done.update((resume.load() or {}).get("done", {}))
        for position, seed in enumerate(seeds):
            if str(seed) not in done:
                split = class_split(dataset, Data(**identity["data"]), seed, settings.test_per_class)
                images = split.pixels(torch.from_numpy(np.asarray(split.test_images)).to(device))
                labels = torch.from_numpy(split.test_labels).to(device)
                target = Target(network(seed), images, labels, settings, seed)
                source = network(seeds[(position + 1) % len(seeds)]) if len(seeds) > 1 else None
                done[str(seed)] = Trial(target, split.test_index, source).measure()
            resume.checkpoint(lambda: {"done": done})
    # Forward-backward passes over all members, as training counts them.
    passes = settings.steps * settings.restarts * identity["method"]["members"]
    print(f"every headline attack: {passes} forward-backward passes per image", file=sys.stderr)
    for name, columns in TABLES.items():
        rows = [row for seed in seeds for row in done[str(seed)][name]]
        write_rows(out / f"{name}.parquet", rows, columns)
    recorder.write(
        *(out / f"{name}.parquet" for name in TABLES),
        device=describe(device),
        code=digest,
        cost={
            "passes_per_image": dict.fromkeys(settings.attacks, passes),
            "seconds": {seed: done[str(seed)]["seconds"] for seed in seeds},
        },
    )
    resume.clear()
