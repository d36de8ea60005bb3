"""Train one cell: an embedding network, or an ensemble, under a defense, for a block of seeds."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
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
from gauntlet.defenses.base import Batch, Defense, Member, Setting
from gauntlet.families import block
from gauntlet.families.block import Trained, train_block
from gauntlet.families.dml import checkpoints, samplers
from gauntlet.families.dml.settings import TABLES, Data, Method, Train, train_methods
from gauntlet.families.dml.split import ClassSplit, class_split
from gauntlet.models import build
from gauntlet.models.optimizers import Adam

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
        state: folder of the resume states, one file per seed; None keeps none. Finished seeds stay
            there until the outputs are written, so that a killed block goes on where it was.
        device: where to train.
        data_folder: the prepared dataset's own folder; the registry's when None.
        every: seconds between saved states; None reads GAUNTLET_STATE_SECONDS, else 20.

    Raises:
        GauntletError: bad identity; unknown dataset, architecture or defense; a loss that is not finite.
    """
    what = parse(Identity, identity, file="identity")
    config = {"identity": identity, "seeds": seeds}
    recorder = Recorder("dml train", config, pin=data.pin(identity["dataset"]))
    device = torch.device(device)
    dataset = data.load(what.dataset, data_folder)

    def fit(seed: int, resume: Resume) -> Trained:
        training = Training(what, seed, class_split(dataset, what.data, seed), device)
        training.fit(resume)
        facts = {
            "seconds_per_epoch": round(training.seconds / what.train.epochs, 3),
            "passes_per_image": training.rows[-1]["passes"],
        }
        members = [training.weights(member) for member in training.members]
        return Trained(checkpoints.flat(members), {"training": training.rows}, facts)

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


@dataclass
class _Progress:
    """Where a training run is: steps done, and the running sums of the epoch."""

    step: int
    sums: Tensor  # (members,) losses of this epoch
    counts: list[int]  # updates of each member in this epoch


class Training:
    """One seed: the members, their optimisers, and where they are.

    Named streams of the seed: ``init`` and ``attack`` per member, ``batches`` per member (per ensemble
    where the defense shares batches) and epoch. Member i draws the same whatever the number of members.
    """

    def __init__(self, what: Identity, seed: int, split: ClassSplit, device: torch.device):
        self.what, self.seed, self.split, self.device = what, seed, split, device
        self.labels = torch.from_numpy(split.train_labels)
        self.device_images = torch.from_numpy(split.train_images).to(device)
        self.device_labels = self.labels.to(device)
        self.defense = make_defense(what, seed, self.labels, len(split.train_classes))
        self.members = [self._member(index) for index in range(what.method.members)]
        self.optimizers = [self._optimizer(member) for member in self.members]
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0
        self.progress = self._start_epoch(0)

    def _member(self, index: int) -> Member:
        _, channels, size, _ = self.device_images.shape
        embedding = self.what.train.embedding
        with seeded(self.seed, "init", index):
            net = build(self.what.architecture, channels, size, embedding)
            proxies = torch.empty(len(self.split.train_classes), embedding)
            torch.nn.init.kaiming_normal_(proxies, mode="fan_out")
        return Member(
            index=index,
            net=net.to(self.device).train(),
            proxies=torch.nn.Parameter(proxies.to(self.device)),
            generator=torch_generator(self.seed, "attack", index),
        )

    def _optimizer(self, member: Member) -> Adam:
        train = self.what.train
        groups = [(list(member.net.parameters()), train.lr), ([member.proxies], train.proxy_lr)]
        return Adam(groups, train.weight_decay, train.clip)

    def _start_epoch(self, step: int) -> _Progress:
        count = len(self.members)
        return _Progress(step, torch.zeros(count, dtype=torch.float64, device=self.device), [0] * count)

    def fit(self, resume: Resume) -> None:
        """Train to the end, from the saved state if there is one; saves the finished state."""
        if (state := resume.load()) is not None:
            self.restore(state)
        epochs = self.what.train.epochs
        clock = time.perf_counter() - self.seconds
        epoch, done = divmod(self.progress.step, self.steps_per_epoch)
        while epoch < epochs:
            for rows in self.epoch_batches(epoch)[done:]:
                self.update(rows, epoch)
                self.progress.step += 1
                self.seconds = time.perf_counter() - clock
                if self.progress.step % self.steps_per_epoch == 0:
                    self.end_epoch(epoch)
                resume.checkpoint(self.state)
            epoch, done = epoch + 1, 0
        resume.save(self.state())

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.labels) // self.what.train.batch)

    def epoch_batches(self, epoch: int) -> list[list[Tensor]]:
        """Per step, the rows of every member's batch (of the one shared batch)."""
        train = self.what.train
        count = 1 if self.defense.shared_batches else len(self.members)
        orders = [
            samplers.batches(
                train.sampler, self.labels, train.batch, torch_generator(self.seed, "batches", index, epoch)
            )
            for index in range(count)
        ]
        return [list(step) for step in zip(*orders, strict=True)]

    def update(self, rows: list[Tensor], epoch: int) -> None:
        """One step of every member."""
        batches = [self._batch(index) for index in rows]
        try:
            for member, loss in self.defense.losses(self.members, batches):
                self.optimizers[member.index].descend(loss)
                self.progress.sums[member.index] += loss.detach()
                self.progress.counts[member.index] += 1
        except GauntletError as error:
            raise self._failure(error.problem, epoch) from error

    def _batch(self, rows: Tensor) -> Batch:
        index = rows.to(self.device)
        return Batch(self.split.pixels(self.device_images[index]), self.device_labels[index], rows)

    def end_epoch(self, epoch: int) -> None:
        """Record the members' mean losses, the only look at the device per epoch."""
        sums = self.progress.sums.tolist()
        if not all(abs(value) < float("inf") for value in sums):
            raise self._failure("the loss is not finite", epoch)
        counts = self.progress.counts
        means = [value / count if count else None for value, count in zip(sums, counts, strict=True)]
        passes = sum(member.passes for member in self.members) / len(self.labels)
        for member, mean in zip(self.members, means, strict=True):
            row = {"seed": self.seed, "epoch": epoch, "member": member.index, "loss": mean, "passes": passes}
            self.rows.append(row)
        shown = " ".join("-" if mean is None else f"{mean:.3f}" for mean in means)
        print(
            f"seed {self.seed} epoch {epoch + 1}/{self.what.train.epochs} loss {shown} {self.seconds:.1f} s",
            file=sys.stderr,
        )
        self.progress = self._start_epoch(self.progress.step)

    def _failure(self, problem: str, epoch: int) -> GauntletError:
        what = self.what
        return GauntletError(
            f"{problem} (dataset {what.dataset}, architecture {what.architecture}, defense "
            f"{what.method.defense}, seed {self.seed}, epoch {epoch + 1})",
            key="train.lr",
            remedy="lower the learning rates, or check the defense's options",
        )

    @staticmethod
    def weights(member: Member) -> dict[str, Tensor]:
        return {**member.net.state_dict(), "proxies": member.proxies.detach()}

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on."""
        return {
            "step": self.progress.step,
            "sums": self.progress.sums,
            "counts": self.progress.counts,
            "rows": self.rows,
            "seconds": self.seconds,
            "members": [self.weights(member) for member in self.members],
            "passes": [member.passes for member in self.members],
            "generators": [member.generator.get_state() for member in self.members],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.progress = _Progress(state["step"], state["sums"].to(self.device), state["counts"])
        self.rows, self.seconds = state["rows"], state["seconds"]
        for member, weights, passes, generator in zip(
            self.members, state["members"], state["passes"], state["generators"], strict=True
        ):
            weights = dict(weights)
            with torch.no_grad():
                member.proxies.copy_(weights.pop("proxies"))
            member.net.load_state_dict(weights)
            member.passes = passes
            member.generator.set_state(generator)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def make_defense(what: Identity, seed: int, labels: Tensor, classes: int) -> Defense:
    """The defense with its options, told what it will train on.

    Raises:
        GauntletError: unknown defense or option.
    """
    train = what.train
    defense = create("defense", what.method.defense, what.method.options)
    defense.begin(
        Setting(
            labels=labels,
            classes=classes,
            members=what.method.members,
            seed=seed,
            alpha=train.alpha,
            delta=train.delta,
            eps=train.eps,
            step=train.step,
            steps=train.steps,
        )
    )
    return defense
