"""Train one cell: a classifier under a defense, for a block of seeds, calibrated on held-out images."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gauntlet import data
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import Recorder
from gauntlet.core.registry import create
from gauntlet.core.resume import Resume
from gauntlet.core.seeds import seeded, torch_generator
from gauntlet.core.tables.training import COLUMNS
from gauntlet.data.augment import augment
from gauntlet.data.dataset import Dataset
from gauntlet.data.subset import held_out_and_rest, on_device
from gauntlet.defenses.classifiers.base import Model
from gauntlet.families import block
from gauntlet.families.block import Trained, train_block
from gauntlet.families.classifier.network import logits
from gauntlet.families.classifier.settings import TABLES, Data, Method, Train, train_methods
from gauntlet.metrics.calibration import temperature
from gauntlet.models import normalised, optimizers
from gauntlet.models.classifiers import build

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
    """Train all seeds; write ``out/model.safetensors`` and ``out/training.parquet`` with sidecars.

    Args:
        identity: dataset, architecture, data, method and recipe (``Identity``).
        seeds: the block of seeds, one after the other.
        out: folder of the outputs.
        state: folder of the resume states, one file per seed; None keeps none.
        device: where to train.
        data_folder: the prepared dataset's own folder; the registry's when None.
        every: seconds between saved states; None reads GAUNTLET_STATE_SECONDS, else 20.

    Raises:
        GauntletError: bad identity; unknown dataset, architecture or defense; a loss that is not finite.
    """
    what = parse(Identity, identity, file="identity")
    config = {"identity": identity, "seeds": seeds}
    recorder = Recorder("classifier train", config, **data.provenance(identity["dataset"]))
    device = torch.device(device)
    dataset = data.load(what.dataset, data_folder)

    def fit(seed: int, resume: Resume) -> Trained:
        training = Training(what, seed, dataset, device)
        training.fit(resume)
        facts = {
            "seconds_per_epoch": round(training.seconds / what.train.epochs, 3),
            "passes_per_image": training.rows[-1]["passes"],
        }
        return Trained(training.calibrated(), {"training": training.rows}, facts)

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


class Training:
    """One seed: the network, its optimizer, and where they are.

    Named streams of the seed: ``split``, ``init``, ``batches`` and ``augment`` per epoch, and ``attack``.
    """

    def __init__(self, what: Identity, seed: int, dataset: Dataset, device: torch.device):
        self.what, self.seed, self.device = what, seed, device
        kept, rows = held_out_and_rest(dataset.train, what.data.held_out, what.data.per_class, seed)
        self.images = on_device(dataset.train, rows, dataset.peak, device)
        self.held_out = on_device(dataset.train, kept, dataset.peak, device)
        self.defense = create("classifier_defense", what.method.classifier_defense, what.method.options)
        self.model = Model(self._network(len(dataset.class_names)), torch_generator(seed, "attack"))
        train = what.train
        groups = [(list(self.model.net.parameters()), train.lr)]
        self.optimizer = optimizers.make(train.optimizer, groups, train.weight_decay, train.momentum)
        self.steps_per_epoch = math.ceil(len(self.images) / train.batch)
        self.step, self.seconds = 0, 0.0
        self.total = torch.zeros((), dtype=torch.float64, device=device)  # of this epoch's losses
        self.rows: list[dict[str, Any]] = []

    def _network(self, classes: int):
        _, channels, size, _ = self.images.pixels.shape
        with seeded(self.seed, "init"):
            net = build(self.what.architecture, channels, size, classes)
        if self.what.train.normalise:
            net = normalised.of_images(net, self.images.pixels.cpu())
        return net.to(self.device, memory_format=torch.channels_last).train()

    def fit(self, resume: Resume) -> None:
        """Train to the end, from the saved state if there is one; saves the finished state."""
        if (state := resume.load()) is not None:
            self.restore(state)
        train = self.what.train
        clock = time.perf_counter() - self.seconds
        epoch, done = divmod(self.step, self.steps_per_epoch)
        while epoch < train.epochs:
            order = torch.randperm(len(self.images), generator=torch_generator(self.seed, "batches", epoch))
            for number, rows in enumerate(order.split(train.batch)):
                if number >= done:
                    self.update(rows, epoch, number)
                    self.seconds = time.perf_counter() - clock
                    resume.checkpoint(self.state)
            epoch, done = epoch + 1, 0
        resume.save(self.state())

    def update(self, rows: Tensor, epoch: int, number: int) -> None:
        """One step; the last of an epoch records it."""
        train, index = self.what.train, rows.to(self.device)
        draws = torch_generator(self.seed, "augment", epoch, number)
        pixels = augment(self.images.pixels[index], train.augment, draws)
        loss = self.defense.loss(self.model, pixels, self.images.labels[index])
        self.optimizer.descend(loss, factor(train, self.step / (train.epochs * self.steps_per_epoch)))
        self.total += loss.detach() * len(rows)
        self.step += 1
        if self.step % self.steps_per_epoch == 0:
            self.end_epoch(epoch)

    def end_epoch(self, epoch: int) -> None:
        """Record the mean loss, the only look at the device per epoch."""
        loss = float(self.total) / len(self.images)
        if not math.isfinite(loss):
            what = self.what
            raise GauntletError(
                f"the loss is not finite (dataset {what.dataset}, architecture {what.architecture}, defense "
                f"{what.method.classifier_defense}, seed {self.seed}, epoch {epoch + 1})",
                key="train.lr",
                remedy="lower the learning rate, or check the defense's options",
            )
        passes = self.model.passes / len(self.images)
        row = {"seed": self.seed, "epoch": epoch, "member": 0, "loss": loss, "passes": passes}
        self.rows.append(row)
        print(
            f"seed {self.seed} epoch {epoch + 1}/{self.what.train.epochs} loss {loss:.3f} "
            f"{self.seconds:.1f} s",
            file=sys.stderr,
        )
        self.total.zero_()

    def calibrated(self) -> dict[str, Tensor]:
        """The weights, and ``temperature``: the best on the held-out images, 1 where there are none."""
        best = 1.0
        if len(self.held_out):
            found = logits(self.model.net.eval(), self.held_out.pixels)
            best = temperature(found.cpu().numpy(), self.held_out.labels)
        return {**self.model.net.state_dict(), "temperature": torch.tensor(best)}

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on."""
        return {
            "step": self.step,
            "total": self.total,
            "rows": self.rows,
            "seconds": self.seconds,
            "passes": self.model.passes,
            "weights": self.model.net.state_dict(),
            "generator": self.model.generator.get_state(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.step, self.rows, self.seconds = state["step"], state["rows"], state["seconds"]
        self.total = state["total"].to(self.device)
        self.model.passes = state["passes"]
        self.model.net.load_state_dict(state["weights"])
        self.model.generator.set_state(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])


def factor(train: Train, done: float) -> float:
    """What the learning rate is multiplied by once ``done`` (0 to 1) of the training lies behind."""
    if train.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if train.schedule == "steps":
        return train.decay ** sum(done >= share for share in train.decay_at)
    return 1.0
