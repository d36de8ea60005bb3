"""Ensemble adversarial training, EAT (Ke 2025, arXiv 2501.01025), reconstructed: the paper's formulas
could not be read, so every open point is an option."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.core.seeds import numpy_generator
from gauntlet.defenses.embeddings.base import Batch, Defense, Member, Setting


@register("defense", "eat")
class EnsembleAdversarialTraining(Defense):
    """N members see different parts of the data and learn from attacks on the whole ensemble.

    Data split (diversity): the training set is cut into N random parts; member i trains on
    ``parts_per_member`` of them, by default on all but one. Self-transfer: with B_i the rows of the
    batch B that member i may use, L_j the Proxy-Anchor loss of member j and x' within eps of x::

        x* = argmax_{x'} 1/N sum_j L_j(f_j(x'), y),    member i minimises L_i(f_i(x*[B_i]), y[B_i])

    All members share the batch; without split and self-transfer, each is trained as by ``at``.

    Args:
        parts_per_member: parts that a member trains on, 1..N; N means no split; None means N - 1.
        split_unit: ``sample`` cuts every class evenly; ``class`` gives whole classes to parts, and a
            member then knows the proxies of its own classes only.
        self_transfer: whom the attack that member i trains on is made against. ``ensemble``: the mean
            loss of all members, one x* for all. ``own``: member i alone (no self-transfer). ``peer``:
            the mean loss of the other members. ``all``: every member in turn; member i minimises its
            mean loss over the N attacks.
        clean_weight: weight of an additional L_i(f_i(x[B_i]), y[B_i]) on clean images.
    """

    shared_batches = True
    needs = "proxies"

    def __init__(
        self,
        parts_per_member: int | None = None,
        split_unit: Literal["sample", "class"] = "sample",
        self_transfer: Literal["ensemble", "all", "own", "peer"] = "ensemble",
        clean_weight: float = 0.0,
    ):
        self.parts_per_member = parts_per_member
        self.split_unit = split_unit
        self.self_transfer = self_transfer
        self.clean_weight = clean_weight

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        count = setting.members
        taken = max(count - 1, 1) if self.parts_per_member is None else self.parts_per_member
        if not 1 <= taken <= count:
            raise GauntletError(
                f"parts_per_member is {taken}, but the data has {count} parts, one per member",
                key="options.parts_per_member",
                remedy=f"choose 1 to {count}",
            )
        if self.self_transfer == "peer" and count == 1:
            raise GauntletError(
                "self_transfer 'peer' attacks the other members, and there is one member",
                key="members",
                remedy="choose 2 or more",
            )
        rng = numpy_generator(setting.seed, "parts")
        cut = {"sample": split_samples, "class": split_classes}[self.split_unit]
        part = torch.from_numpy(cut(setting.labels.numpy(), count, rng))  # (n,)
        self.usable = member_rows(part, count, taken)  # (N, n)
        self.known = torch.zeros(count, setting.classes, dtype=torch.bool)  # (N, K)
        for index in range(count):
            self.known[index, setting.labels[self.usable[index]]] = True
        self.relabel = self.known.cumsum(dim=1) - 1  # (N, K) label among the member's own proxies

    def losses(self, members: Sequence[Member], batches: Sequence[Batch]) -> Iterator[tuple[Member, Tensor]]:
        batch = batches[0]
        mine = [self.usable[member.index, batch.rows].nonzero()[:, 0] for member in members]
        attacks = self.attacks(members, batch, mine)
        for member, rows, adversarial in zip(members, mine, attacks, strict=True):
            if len(rows) == 0:
                continue
            loss = sum(self.member_loss(member, images, batch, rows) for images in adversarial)
            loss = loss / len(adversarial)
            if self.clean_weight:
                clean = batch.images[rows.to(batch.images.device)]
                loss = loss + self.clean_weight * self.member_loss(member, clean, batch, rows)
            yield member, loss

    def attacks(self, members: Sequence[Member], batch: Batch, mine: list[Tensor]) -> list[list[Tensor]]:
        """Per member, the adversarial batches of its rows ``mine[i]`` that it trains on.

        All are made before any member is updated.
        """
        everything = torch.arange(len(batch.rows))
        if self.self_transfer == "ensemble":
            shared = self.attack_members(members, batch, everything, members[0].generator)
            return [[shared[rows.to(shared.device)]] for rows in mine]
        if self.self_transfer == "all":
            made = [self.attack_members([m], batch, everything, m.generator) for m in members]
            return [[images[rows.to(images.device)] for images in made] for rows in mine]
        if self.self_transfer == "own":
            targets = [[member] for member in members]
        else:
            targets = [[other for other in members if other is not member] for member in members]
        return [
            [self.attack_members(target, batch, rows, member.generator)] if len(rows) else []
            for member, target, rows in zip(members, targets, mine, strict=True)
        ]

    def attack_members(
        self, targets: Sequence[Member], batch: Batch, rows: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Adversarial versions of ``rows`` of the batch that maximise the mean loss of ``targets``."""
        images = batch.images[rows.to(batch.images.device)]

        def objective(adversarial: Tensor) -> Tensor:
            losses = [self.member_loss(target, adversarial, batch, rows) for target in targets]
            return torch.stack(losses).mean()

        return self.attack(objective, images, targets, generator)

    def member_loss(self, member: Member, images: Tensor, batch: Batch, rows: Tensor) -> Tensor:
        """The member's loss on ``images``, versions of ``rows`` of the batch, among classes it knows."""
        labels = batch.labels[rows.to(batch.labels.device)]
        known = self.known[member.index]
        if known.all():
            return self.metric_loss(member, images, labels)
        keep = known[self.setting.labels[batch.rows[rows]]].nonzero()[:, 0].to(images.device)
        if len(keep) == 0:
            return images.sum() * 0.0
        proxies = member.proxies[known.nonzero()[:, 0].to(images.device)]
        relabelled = self.relabel[member.index].to(labels.device)[labels[keep]]
        return self.setting.loss(member.embed(images[keep]), relabelled, proxies)


def split_samples(labels: np.ndarray, parts: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) part of every sample: random, with class counts per part that differ by one at most."""
    part = np.empty(len(labels), dtype=np.int64)
    offset = 0
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        part[rows] = (np.arange(len(rows)) + offset) % parts
        offset += len(rows)  # leftovers go round, so that part sizes differ by one at most, too
    return part


def split_classes(labels: np.ndarray, parts: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) part of every sample: all samples of a class in one part, classes dealt out at random."""
    classes = rng.permutation(np.unique(labels))
    part_of = dict(zip(classes.tolist(), (np.arange(len(classes)) % parts).tolist(), strict=True))
    return np.array([part_of[label] for label in labels.tolist()], dtype=np.int64)


def member_rows(part: Tensor, members: int, taken: int) -> Tensor:
    """(members, n) whether a member may use a sample: member i takes the ``taken`` parts after part i.

    With members - 1 parts, member i leaves out part i. Every sample reaches exactly ``taken`` members.
    """
    distance = (part[None, :] - torch.arange(members)[:, None] - 1) % members
    return distance < taken
