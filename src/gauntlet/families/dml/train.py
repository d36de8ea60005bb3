"""Train one cell: an embedding network, or an ensemble, under a defense, for a block of seeds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gauntlet import data
from gauntlet.core import processes
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256_file
from gauntlet.core.provenance import Recorder
from gauntlet.core.registry import create
from gauntlet.core.resume import Resume
from gauntlet.core.seeds import seeded, torch_generator
from gauntlet.core.tables import spread, training
from gauntlet.defenses.embeddings.base import Batch, Defense, Member, Setting, evaluating
from gauntlet.families import block
from gauntlet.families.block import Trained, train_block
from gauntlet.families.dml import checkpoints, samplers
from gauntlet.families.dml.settings import TABLES, Data, Method, Train, train_methods
from gauntlet.families.dml.split import ClassSplit, class_split
from gauntlet.losses.base import Loss
from gauntlet.models import build, weights
from gauntlet.models.frozen import backbone_parameters, freeze_batchnorm
from gauntlet.models.optimizers import Adam, CoupledAdam, Optimizer
from gauntlet.models.shared import share

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
    """Train all seeds; write ``out/model.safetensors`` and ``out/{training,spread}.parquet`` with sidecars.

    Args:
        identity: dataset, architecture, data, method and recipe (``Identity``).
        seeds: the block of seeds, one after the other.
        out: folder of the outputs.
        state: folder of the resume states, one file per seed; None keeps none. Finished seeds stay
            there until the outputs are written, so that a killed block goes on where it was.
        device: where to train. Of several processes that train together, each has its own
            (``core.processes``).
        data_folder: the prepared dataset's own folder; the registry's when None.
        every: seconds between saved states; None reads GAUNTLET_STATE_SECONDS, else 20.

    Raises:
        GauntletError: bad identity; unknown dataset, architecture, loss or defense; ImageNet weights that are
            not here; a photo that does not decode; a batch without triplets; a loss that is not finite.
    """
    what = parse(Identity, identity, file="identity")
    config = {"identity": identity, "seeds": seeds}
    inputs = [weights.path(what.architecture)] if what.train.pretrained else []
    recorder = Recorder("dml train", config, inputs, **data.provenance(identity["dataset"]))
    device = torch.device(device)
    dataset = data.load(what.dataset, data_folder)

    def fit(seed: int, resume: Resume) -> Trained:
        split = class_split(dataset, what.data, seed, scale=what.train.crop)
        run = Training(what, seed, split, device)
        run.fit(resume)
        facts = {
            "seconds_per_epoch": round(run.seconds / what.train.epochs, 3),
            "passes_per_image": run.rows["training"][-1]["passes"],
        }
        return Trained(checkpoints.flat([run.weights(member) for member in run.members]), run.rows, facts)

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
        columns={**training.COLUMNS, **spread.COLUMNS},
        tables=TABLES["train"],
        inputs=[sha256_file(path) for path in inputs],
    )


#: Training images whose distances are looked at after every epoch.
PROBE = 256


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
        self.loss = create("loss", what.train.loss, what.train.loss_options, key="train.loss_options")
        if not self.loss.proxies:
            samplers.refuse_without_triplets(
                what.train.sampler, self.labels, what.train.batch, what.train.per_class
            )
        self.defense = make_defense(what, seed, self.labels, len(split.train_classes), self.loss)
        self.members = [self._member(index) for index in range(what.method.members)]
        self.optimizers = [self._optimizer(member) for member in self.members]
        self.backbones = [backbone_parameters(member.net) for member in self.members]
        self.rows: dict[str, list[dict[str, float]]] = {name: [] for name in TABLES["train"]}
        order = torch.randperm(len(self.labels), generator=torch_generator(seed, "spread"))
        self.probe = order[:PROBE]
        self.seconds = 0.0
        self.progress = self._start_epoch(0)

    def _member(self, index: int) -> Member:
        train, images = self.what.train, self.split.train
        with seeded(self.seed, "init", index):
            net = build(
                self.what.architecture,
                images.channels,
                images.size,
                train.embedding,
                train.pretrained,
                train.normalise,
            )
            proxies = torch.empty(len(self.split.train_classes) * self.loss.proxies, train.embedding)
            if self.loss.proxies:
                torch.nn.init.kaiming_normal_(proxies, mode="fan_out")
        if train.freeze_batchnorm:
            freeze_batchnorm(net.features)
        return Member(
            index=index,
            net=share(net.to(self.device)).train(),
            proxies=torch.nn.Parameter(proxies.to(self.device)),
            generator=torch_generator(self.seed, "attack", index),
        )

    def _optimizer(self, member: Member) -> Optimizer:
        train = self.what.train
        groups = [(list(member.net.parameters()), train.lr)]
        if self.loss.proxies:
            groups.append(([member.proxies], train.proxy_lr or train.lr))
        return {"adamw": Adam, "adam": CoupledAdam}[train.optimizer](groups, train.weight_decay, train.clip)

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
            self.warm_up(epoch < self.what.train.warmup)
            for batches in self.batches(self.epoch_batches(epoch)[done:], epoch):
                self.update(batches, epoch)
                self.progress.step += 1
                self.seconds = time.perf_counter() - clock
                if self.progress.step % self.steps_per_epoch == 0:
                    self.end_epoch(epoch)
                resume.checkpoint(self.state)
            epoch, done = epoch + 1, 0
        resume.save(self.state())

    def warm_up(self, on: bool) -> None:
        """During a warm-up the backbones stay as they are."""
        for backbone in self.backbones:
            for parameter in backbone:
                parameter.requires_grad_(not on)

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.labels) // self.what.train.batch)

    def epoch_batches(self, epoch: int) -> list[list[Tensor]]:
        """Per step, the rows of every member's batch (of the one shared batch)."""
        train = self.what.train
        count = 1 if self.defense.shared_batches else len(self.members)
        orders = [
            samplers.batches(
                train.sampler,
                self.labels,
                train.batch,
                torch_generator(self.seed, "batches", index, epoch),
                train.per_class,
            )
            for index in range(count)
        ]
        return [list(step) for step in zip(*orders, strict=True)]

    def batches(self, steps: list[list[Tensor]], epoch: int) -> Iterator[list[Batch]]:
        """Per step, every member's batch (the one shared batch), from the rows in ``steps``."""
        groups = [rows for step in steps for rows in step]
        images = self.split.train.epoch(groups, self.device, seed=self.seed, epoch=epoch)
        for step in steps:
            progress = self.progress.step / (self.steps_per_epoch * self.what.train.epochs)
            yield [Batch(next(images), self.labels[rows].to(self.device), rows, progress) for rows in step]

    def update(self, batches: list[Batch], epoch: int) -> None:
        """One step of every member."""
        train = self.what.train
        factor = train.decay ** (epoch // train.decay_every) if train.decay_every else 1.0
        try:
            for member, loss in self.defense.losses(self.members, batches):
                self.optimizers[member.index].descend(loss, factor)
                self.progress.sums[member.index] += loss.detach()
                self.progress.counts[member.index] += 1
        except GauntletError as error:
            raise self._failure(error.problem, epoch, error.key, error.remedy) from error

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
            self.rows["training"].append(row)
            row = {"seed": self.seed, "epoch": epoch, "member": member.index, "distance": self.spread(member)}
            self.rows["spread"].append(row)
        shown = " ".join("-" if mean is None else f"{mean:.3f}" for mean in means)
        if processes.leader():
            print(
                f"seed {self.seed} epoch {epoch + 1}/{self.what.train.epochs} loss {shown} "
                f"{self.seconds:.1f} s",
                file=sys.stderr,
            )
        self.progress = self._start_epoch(self.progress.step)

    @torch.no_grad()
    def spread(self, member: Member) -> float:
        """Mean Euclidean distance over all pairs of some training images: near 0 in a collapsed network."""
        with evaluating([member]):
            return float(torch.pdist(member.net(self.split.train.view(self.probe, self.device))).mean())

    def _failure(
        self, problem: str, epoch: int, key: str | None = None, remedy: str | None = None
    ) -> GauntletError:
        what = self.what
        return GauntletError(
            f"{problem} (dataset {what.dataset}, architecture {what.architecture}, defense "
            f"{what.method.defense}, seed {self.seed}, epoch {epoch + 1})",
            key=key or "train.lr",
            remedy=remedy or "lower the learning rates, or check the defense's options",
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
            "memories": [member.memory for member in self.members],
            "generators": [member.generator.get_state() for member in self.members],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.progress = _Progress(state["step"], state["sums"].to(self.device), state["counts"])
        self.rows, self.seconds = state["rows"], state["seconds"]
        parts = (state[name] for name in ("members", "passes", "memories", "generators"))
        for member, own, passes, memory, generator in zip(self.members, *parts, strict=True):
            own = dict(own)
            with torch.no_grad():
                member.proxies.copy_(own.pop("proxies"))
            member.net.load_state_dict(own)
            member.passes, member.memory = passes, dict(memory)
            member.generator.set_state(generator)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)


def make_defense(what: Identity, seed: int, labels: Tensor, classes: int, loss: Loss) -> Defense:
    """The defense with its options, told what it will train on.

    Raises:
        GauntletError: unknown defense or option, or one that the loss does not suit.
    """
    train = what.train
    defense = create("defense", what.method.defense, what.method.options)
    defense.begin(
        Setting(
            labels=labels,
            classes=classes,
            members=what.method.members,
            seed=seed,
            loss=loss,
            eps=train.eps,
            step=train.step,
            steps=train.steps,
        )
    )
    return defense
