"""Train one cell: clients that share distilled samples, for a block of seeds, measured every round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gauntlet import data
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.provenance import Recorder
from gauntlet.core.registry import create
from gauntlet.core.resume import Resume
from gauntlet.core.tables import federated, stealing, training
from gauntlet.families.block import Trained, train_block
from gauntlet.families.distilled.alone import Alone
from gauntlet.families.distilled.settings import TABLES, train_methods
from gauntlet.families.distilled.sharing import Sharing
from gauntlet.families.distilled.simulation import Identity, Simulation

COLUMNS = {**training.COLUMNS, **federated.COLUMNS, **stealing.COLUMNS}


def run(
    identity: dict[str, Any],
    seeds: list[int],
    out: Path,
    state: Path | None,
    device: torch.device | str,
    data_folder: Path | None = None,
    every: float | None = None,
) -> None:
    """Simulate all seeds; write ``out/model.safetensors`` and the tables of ``settings.TABLES``.

    Args:
        identity: dataset, architecture, data, method and recipe (``Identity``).
        seeds: the block of seeds, one after the other.
        out: folder of the outputs.
        state: folder of the resume states, one file per seed; None keeps none.
        device: where to train.
        data_folder: the prepared dataset's own folder; the registry's when None.
        every: seconds between saved states; None reads GAUNTLET_STATE_SECONDS, else 20.

    Raises:
        GauntletError: bad identity; a partition that does not fit; a network with running statistics; a
            distillation or training that diverged.
    """
    what = parse(Identity, identity, file="identity")
    config = {"identity": identity, "seeds": seeds}
    recorder = Recorder("distilled train", config, **data.provenance(identity["dataset"]))
    device = torch.device(device)
    dataset = data.load(what.dataset, data_folder)

    def fit(seed: int, resume: Resume) -> Trained:
        return make(what, seed, dataset, device).fit(resume)

    train_block(
        recorder,
        fit,
        identity=identity,
        seeds=seeds,
        out=out,
        state=state,
        every=every,
        code=code_digest(__name__, methods=train_methods(what.model_dump(mode="json"))),
        device=device,
        columns=COLUMNS,
        tables=TABLES["train"],
    )


def make(what: Identity, seed: int, dataset, device: torch.device) -> Simulation:
    """The simulation of one seed. Raises GauntletError for an unknown method or option."""
    method = create("distillation", what.method.distillation, what.method.options)
    return (Sharing if method.shares else Alone)(what, seed, dataset, device, method)
