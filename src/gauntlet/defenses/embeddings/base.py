"""What a defense is: the loss that a member's update follows, given a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from gauntlet.attacks.pgd import pgd
from gauntlet.core.errors import GauntletError
from gauntlet.losses.base import Loss, Triplets


@dataclass
class Member:
    """One network of the ensemble, with its proxies (K, d) and its own random draws.

    Under a loss without proxies they are (0, d).
    """

    index: int
    net: nn.Module
    proxies: nn.Parameter
    generator: torch.Generator
    """CPU generator of everything that this member's training draws, saved with the state."""
    passes: float = 0.0
    """Images passed forward and backward so far; a forward pass alone counts a half."""
    memory: dict[str, float] = field(default_factory=dict)
    """Numbers that a defense carries from batch to batch; saved with the state."""

    def embed(self, images: Tensor) -> Tensor:
        """(b, C, H, W) in [0, 1] -> (b, d) unit vectors; counted in ``passes``."""
        self.passes += len(images) if torch.is_grad_enabled() else 0.5 * len(images)
        return self.net(images)


@dataclass(frozen=True)
class Batch:
    """Images (b, C, H, W) in [0, 1] and labels (b,) in 0..K-1 on the device; ``rows`` (b,) are their
    positions in the training set, on the CPU; ``progress`` is the share of the training that is done."""

    images: Tensor
    labels: Tensor
    rows: Tensor
    progress: float = 0.0


@dataclass(frozen=True)
class Setting:
    """What the training loop tells a defense before it starts.

    ``labels`` (n,) are those of the whole training set, on the CPU; ``eps``, ``step`` (pixel units) and
    ``steps`` belong to the training attack.
    """

    labels: Tensor
    classes: int
    members: int
    seed: int
    loss: Loss
    eps: float
    step: float
    steps: int


class Defense:
    """Base of all defenses.

    A defense for one network overrides ``loss``. With several members the loop then trains each with
    its own initial weights, batches and attacks: the control of equal size for an ensemble defense.
    An ensemble defense overrides ``losses`` and sets ``shared_batches``.

    Options are annotated keyword parameters of ``__init__``; they become the keys of a study's
    ``options``.
    """

    #: All members see the same batch at each step.
    shared_batches = False
    #: The kind of loss that its formula needs; None where any serves.
    needs: Literal["proxies", "triplets"] | None = None

    setting: Setting

    def begin(self, setting: Setting) -> None:
        """Called once per training run, before the first batch.

        Raises:
            GauntletError: the recipe's loss is not of the kind that this defense needs.
        """
        given = "proxies" if setting.loss.proxies else "triplets"
        if self.needs not in (None, given):
            raise GauntletError(
                f"this defense is defined for losses with {self.needs}, and the loss has {given}",
                key="train.loss",
                remedy={"proxies": "set proxy_anchor", "triplets": "set triplet or contrastive"}[self.needs],
            )
        self.setting = setting

    def loss(self, member: Member, batch: Batch) -> Tensor:
        """The scalar that this member's update descends."""
        raise NotImplementedError

    def losses(self, members: Sequence[Member], batches: Sequence[Batch]) -> Iterator[tuple[Member, Tensor]]:
        """Pairs of a member and its loss; the loop updates the member before it asks for the next pair.

        A member that is left out is not updated at this step.
        """
        for member, batch in zip(members, batches, strict=True):
            yield member, self.loss(member, batch)

    # What subclasses build on.

    def metric_loss(
        self, member: Member, images: Tensor, labels: Tensor, triplets: Triplets | None = None
    ) -> Tensor:
        """The member's metric loss on images: a scalar."""
        return self.embedding_loss(member, member.embed(images), labels, triplets)

    def embedding_loss(
        self, member: Member, embeddings: Tensor, labels: Tensor, triplets: Triplets | None = None
    ) -> Tensor:
        """The member's metric loss on embeddings (b, d): a scalar. Mines triplets where none are given."""
        loss = self.setting.loss
        triplets = loss.mine(embeddings, labels, member.generator) if triplets is None else triplets
        return loss(embeddings, labels, member.proxies, triplets)

    def embed_clean(self, member: Member, images: Tensor) -> Tensor:
        """(b, d) embeddings in eval mode, without gradients."""
        with evaluating([member]), torch.no_grad():
            return member.embed(images)

    def mine(self, member: Member, images: Tensor, labels: Tensor) -> Triplets | None:
        """The triplets of clean images; None, at no cost, under a loss with proxies."""
        if self.setting.loss.proxies:
            return None
        return self.setting.loss.mine(self.embed_clean(member, images), labels, member.generator)

    def attack(
        self,
        objective: Callable[[Tensor], Tensor],
        images: Tensor,
        members: Sequence[Member],
        generator: torch.Generator,
    ) -> Tensor:
        """Images near ``images`` that maximise ``objective``, by the training attack (PGD).

        The members run in eval mode, so that BatchNorm keeps its statistics.
        """
        setting = self.setting
        with evaluating(members):
            return pgd(
                objective,
                images,
                eps=setting.eps,
                step=setting.step,
                steps=setting.steps,
                generator=generator,
            )

    def attack_loss(self, member: Member, images: Tensor, labels: Tensor) -> Tensor:
        """Images near ``images`` that maximise the member's own metric loss of the whole batch.

        All images move at once; triplets are those of the clean images.
        """
        triplets = self.mine(member, images, labels)
        return self.attack(
            lambda adversarial: self.metric_loss(member, adversarial, labels, triplets),
            images,
            [member],
            member.generator,
        )


@contextmanager
def evaluating(members: Sequence[Member]) -> Iterator[None]:
    """The members in eval mode, and back in train mode afterwards."""
    for member in members:
        member.net.eval()
    try:
        yield
    finally:
        for member in members:
            member.net.train()
