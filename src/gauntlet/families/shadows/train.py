"""Train one cell: models on random halves of a federation's candidates, for a block of seeds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from gauntlet import data
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.provenance import Recorder
from gauntlet.core.resume import Resume
from gauntlet.core.seeds import numpy_generator, torch_generator
from gauntlet.core.tables import training
from gauntlet.families import block
from gauntlet.families.block import Trained, train_block
from gauntlet.families.federated import world
from gauntlet.families.shadows import pool
from gauntlet.families.shadows.models import packed
from gauntlet.families.shadows.settings import TABLES, Data, Method, Train, train_methods
from gauntlet.membership import shadows
from gauntlet.models.classifiers import build
from gauntlet.models.copies import State

#: What determines a trained cell, apart from its seeds.
Identity = block.Identity[Data, Method, Train]


def run(
    identity: dict[str, Any],
    seeds: list[int],
    out: Path,
    state: Path | None,
    device: torch.device | str,
    data_folder: Path | None = None,
    every: float | None = None,
) -> None:
    """Train all seeds; write ``out/model.safetensors`` (``models.packed``) and the table
    ``training``, in which a model is a member.

    Args:
        identity: dataset, architecture, the federation's data, and recipe (``Identity``).
        seeds: the block of seeds, one after the other.
        out: folder of the outputs.
        state: folder of the resume states, one file per seed; None keeps none.
        device: where to train.
        data_folder: the prepared dataset's own folder; the registry's when None.
        every: seconds between saved states; None reads GAUNTLET_STATE_SECONDS, else 20.

    Raises:
        GauntletError: bad identity; a partition that does not fit; a training that diverged.
    """
    what = parse(Identity, identity, file="identity")
    recorder = Recorder(
        "shadows train", {"identity": identity, "seeds": seeds}, **data.provenance(identity["dataset"])
    )
    device = torch.device(device)
    dataset = data.load(what.dataset, data_folder)
    train_block(
        recorder,
        lambda seed, resume: fit(what, seed, dataset, device, resume),
        identity=identity,
        seeds=seeds,
        out=out,
        state=state,
        every=every,
        code=code_digest(__name__, methods=train_methods(what.model_dump(mode="json"))),
        device=device,
        columns=training.COLUMNS,
        tables=TABLES["train"],
    )


def fit(what: Identity, seed: int, dataset, device: torch.device, resume: Resume) -> Trained:
    """One seed's models, some at once, from the saved state if there is one; saves the finished state.

    Named streams: those of ``world.build`` and ``pool.draw``; ``shadows``, and ``shadows`` and the model's
    number.
    """
    drawn = world.build(dataset, what.data, seed, device)
    images, train, classes = pool.draw(drawn, seed).images, what.train, drawn.classes
    inside = shadows.halves(len(images), train.models, numpy_generator(seed, "shadows"))
    recipe = shadows.Recipe(**train.model_dump(exclude={"models"}))
    new = partial(build, what.architecture, *images.pixels.shape[1:3], classes)
    together = shadows.at_once(new(), images.pixels)
    saved = (resume.load() or {}).get("models", [])
    models: list[State] = [{name: value.to(device) for name, value in model.items()} for model in saved]
    while len(models) < train.models:
        part = range(len(models), min(len(models) + together, train.models))
        generators = [torch_generator(seed, "shadows", model) for model in part]
        halves = inside[part.start : part.stop]
        models.extend(shadows.train(new, images, halves, recipe, generators, together))
        print(f"seed {seed}: {len(models)} of {train.models} shadow models", file=sys.stderr)
        resume.checkpoint(lambda: {"models": models})
    resume.save({"models": models})
    rows = _rows(seed, train.epochs, _losses(new, models, images, inside))
    return Trained(packed(models, inside), {"training": rows})


def _losses(new: Callable[[], nn.Module], models: list[State], images, inside: np.ndarray) -> list[float]:
    """Every model's mean cross-entropy on what it has trained on, after training."""
    net = new().to(images.pixels.device)
    found = torch.from_numpy(shadows.answers(net, models, images.pixels))
    labels = images.labels.cpu()
    masks = torch.from_numpy(inside)
    return [float(F.cross_entropy(out[mask], labels[mask])) for out, mask in zip(found, masks, strict=True)]


def _rows(seed: int, epochs: int, losses: list[float]) -> list[dict[str, Any]]:
    passes = len(losses) * epochs / 2  # each is trained on half of the candidates
    return [
        {"seed": seed, "epoch": epochs - 1, "member": member, "loss": loss, "passes": passes}
        for member, loss in enumerate(losses)
    ]
