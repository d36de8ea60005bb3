"""Train one cell: a federation whose server keeps the updates that it sees, for a block of seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gauntlet import data
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import Recorder
from gauntlet.core.resume import Resume
from gauntlet.core.tables import federated, training
from gauntlet.families import block
from gauntlet.families.block import Trained, train_block
from gauntlet.families.inversion.captured import Capturing
from gauntlet.families.inversion.settings import TABLES, Data, Method, Train, train_methods

COLUMNS = {**training.COLUMNS, **federated.COLUMNS}

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
    """Simulate all seeds; write ``out/model.safetensors``, the final models and the captured updates
    (``captured``), and the tables of ``settings.TABLES``.

    Args:
        identity: dataset, architecture, data, method and recipe (``Identity``).
        seeds: the block of seeds, one after the other.
        out: folder of the outputs.
        state: folder of the resume states, one file per seed; None keeps none.
        device: where to train.
        data_folder: the prepared dataset's own folder; the registry's when None.
        every: seconds between saved states; None reads GAUNTLET_STATE_SECONDS, else 20.

    Raises:
        GauntletError: bad identity; clients that sit rounds out; what ``federated.train`` raises.
    """
    what = parse(Identity, identity, file="identity")
    if what.train.selected != what.data.clients and len(what.train.observe) > 1:
        raise GauntletError(
            f"{what.train.selected} of {what.data.clients} clients take part in a round",
            key="train.selected",
            remedy="let all take part, so that every client is a target in every observed round",
        )
    config = {"identity": identity, "seeds": seeds}
    recorder = Recorder("inversion train", config, **data.provenance(identity["dataset"]))
    device = torch.device(device)
    dataset = data.load(what.dataset, data_folder)

    def fit(seed: int, resume: Resume) -> Trained:
        simulation = Capturing(what, seed, dataset, device)
        simulation.fit(resume)
        rows = {name: simulation.rows[name] for name in TABLES["train"]}
        return Trained(simulation.weights(), rows, simulation.exchanged())

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
