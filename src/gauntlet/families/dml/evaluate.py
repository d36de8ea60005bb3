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
import torch

from gauntlet import data
from gauntlet.attacks.norms import ball
from gauntlet.attacks.searches import base as searches
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import Recorder
from gauntlet.core.tables.attacks import COLUMNS
from gauntlet.families.block import attack_block, trained
from gauntlet.families.dml import checkpoints
from gauntlet.families.dml.settings import TABLES, Data, Evaluate, evaluate_methods
from gauntlet.families.dml.split import class_split, refuse_lone_queries
from gauntlet.families.dml.target import Target
from gauntlet.families.dml.trial import Trial


def run(
    identity: dict[str, Any],
    evaluate: dict[str, Any],
    seeds: list[int],
    model: Path,
    out: Path,
    device: torch.device | str,
    data_folder: Path | None = None,
    state: Path | None = None,
    surrogate: Path | None = None,
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
        surrogate: weights of the same seeds' undefended networks, on which the sanity suite makes its
            transfer examples; None makes them on the pixels.

    Raises:
        GauntletError: bad settings, unknown attack, absent or damaged weights, embeddings not finite, too few
            test images for what is to be scored.
    """
    settings = parse(Evaluate, evaluate, file="evaluate")
    weights = trained(*(path for path in (model, surrogate) if path is not None))
    device = torch.device(device)
    config = {"identity": identity, "evaluate": evaluate, "seeds": seeds}
    recorder = Recorder("dml evaluate", config, weights, **data.provenance(identity["dataset"]))
    faiss.omp_set_num_threads(torch.get_num_threads())
    dataset = data.load(identity["dataset"], data_folder)
    architecture = identity["architecture"]

    def measure(seed: int) -> dict[str, Any]:
        split = class_split(dataset, Data(**identity["data"]), seed, settings.test_per_class)
        refuse_lone_queries(split, dataset.class_names)
        images, labels = split.test, torch.from_numpy(split.test_labels).to(device)
        _refuse_wide_balls(settings, images.channels, images.size)

        def network(path: Path, members: int):
            return checkpoints.load(path, seed, architecture, images.channels, images.size, device, members)

        gallery = None
        if split.gallery is not None:
            gallery = split.gallery, torch.from_numpy(split.gallery_labels).to(device)
        net = network(model, identity["method"]["members"])
        source = None if surrogate is None else network(surrogate, 1)
        target = Target(net, images, labels, settings, seed, gallery)
        return Trial(target, split.test_index, source).measure()

    passes = _passes(settings, identity["method"]["members"])
    attack_block(
        recorder,
        measure,
        config=config,
        weights=weights,
        out=out,
        state=state,
        code=code_digest(__name__, methods=evaluate_methods(identity, evaluate)),
        device=device,
        columns=COLUMNS,
        tables=TABLES["attack"],
        cost=lambda done: {
            "passes_per_image": passes,
            "seconds": {seed: done[seed]["seconds"] for seed in seeds},
        },
    )
    shown = ", ".join(f"{label} {count:g}" for label, count in passes.items())
    print(f"forward-backward passes per image: {shown}", file=sys.stderr)


def _refuse_wide_balls(settings: Evaluate, channels: int, size: int) -> None:
    """Raise GauntletError for a budget whose ball is more than all images: nothing would bound the attack."""
    image = torch.empty(1, channels, size, size)
    for label in settings.attacks:
        norm, swept = settings.attack(label).norm, label == settings.sweep_attack
        budgets = {f"attacks.{label}.eps": settings.attack(label).eps}
        if swept and settings.eps_sweep:
            budgets["eps_sweep"] = max(settings.eps_sweep)
        for key, eps in budgets.items():
            if eps > (whole := ball(norm).whole(image)):
                raise GauntletError(
                    f"an eps of {eps:g} in the norm {norm} is beyond the whole range of pixels "
                    f"({whole:g} for {channels} x {size} x {size})",
                    key=f"evaluate.{key}",
                    remedy="choose a smaller one",
                )


def _passes(settings: Evaluate, members: int) -> dict[str, float]:
    """Label -> forward-backward passes over all members, as training counts them; a forward pass is half a
    one. Raises GauntletError for a search that cannot do what is asked of it."""
    found = {}
    for label in settings.attacks:
        attack = settings.attack(label)
        search = searches.make(attack.search, attack.norm, attack.options)
        found[label] = search.passes(attack.steps, attack.restarts) * members
    return found
