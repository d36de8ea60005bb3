"""What a defense is: the loss that a member's update follows, given a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gauntlet.attacks.pgd import pgd
from gauntlet.losses.proxy_anchor import proxy_anchor


@dataclass
class Member:
    """One network of the ensemble, with its proxies (K, d) and its own random draws."""

    index: int
    net: nn.Module
    proxies: nn.Parameter
    generator: torch.Generator
    """CPU generator of everything that this member's training draws, saved with the state."""
    passes: float = 0.0
    """Images passed forward and backward so far; a forward pass alone counts a half."""

    def embed(self, images: Tensor) -> Tensor:
        """(b, C, H, W) in [0, 1] -> (b, d) unit vectors; counted in ``passes``."""
        self.passes += len(images) if torch.is_grad_enabled() else 0.5 * len(images)
        return self.net(images)


@dataclass(frozen=True)
class Batch:
    """Images (b, C, H, W) in [0, 1] and labels (b,) in 0..K-1 on the device; ``rows`` (b,) are their
    positions in the training set, on the CPU."""

    images: Tensor
    labels: Tensor
    rows: Tensor


@dataclass(frozen=True)
class Setting:
    """What the training loop tells a defense before it starts.

    ``labels`` (n,) are those of the whole training set, on the CPU; ``alpha`` and ``delta`` belong to
    the Proxy-Anchor loss; ``eps``, ``step`` (pixel units) and ``steps`` to the training attack.
    """

    labels: Tensor
    classes: int
    members: int
    seed: int
    alpha: float
    delta: float
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

    setting: Setting

    def begin(self, setting: Setting) -> None:
        """Called once per training run, before the first batch."""
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

    def metric_loss(self, member: Member, images: Tensor, labels: Tensor) -> Tensor:
        """The member's Proxy-Anchor loss on images: a scalar."""
        return self.proxy_loss(member, member.embed(images), labels)

    def proxy_loss(self, member: Member, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The member's Proxy-Anchor loss on embeddings (b, d): a scalar."""
        return proxy_anchor(embeddings, labels, member.proxies, self.setting.alpha, self.setting.delta)

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
        """Images near ``images`` that maximise the member's own Proxy-Anchor loss of the whole batch."""
        return self.attack(
            lambda adversarial: self.metric_loss(member, adversarial, labels),
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
