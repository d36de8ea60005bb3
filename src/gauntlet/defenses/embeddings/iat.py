"""Interpolated adversarial training (Lamb et al. 2019, arXiv 1906.06784), with a metric loss."""

from __future__ import annotations

from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Member
from gauntlet.defenses.embeddings.mixing import Mixing


@register("defense", "iat")
class InterpolatedAdversarialTraining(Mixing):
    """Minimise half the mixed loss of clean images and half that of adversarial ones; see ``Mixing``.

    The adversarial images maximise L(f(x'), y), not the mixed loss. Each half draws its own mix.
    """

    def loss(self, member: Member, batch: Batch) -> Tensor:
        adversarial = self.attack_loss(member, batch.images, batch.labels)
        clean = self.mixed_loss(member, batch.images, batch.labels)
        return (clean + self.mixed_loss(member, adversarial, batch.labels)) / 2
