"""Adversarial vertex mixup (Lee et al., CVPR 2020, arXiv 2003.02484), on proxies."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Defense, Member


@register("defense", "avmixup")
class AdversarialVertexMixup(Defense):
    """Minimise the soft Proxy-Anchor loss of x^ = t x + (1 - t) v, between image and vertex.

    v = x + reach (x' - x), cut to [0, 1], where x' maximises L(f(x'), y); t ~ U(0, 1) per image. x^ belongs
    to the classes by t phi(clean) + (1 - t) phi(vertex): phi(s) gives s to the own class, (1 - s) / (K - 1)
    to each other. These shares weigh the image in the sums of the loss (``soft_proxy_anchor``).

    Args:
        reach: how far the vertex is, in lengths of the perturbation.
        clean, vertex: share of the own class at either end, in [0, 1].
    """

    needs = "proxies"

    def __init__(self, reach: float = 2.0, clean: float = 1.0, vertex: float = 0.1):
        self.reach, self.clean, self.vertex = reach, clean, vertex

    def loss(self, member: Member, batch: Batch) -> Tensor:
        adversarial = self.attack_loss(member, batch.images, batch.labels)
        vertex = (batch.images + self.reach * (adversarial - batch.images)).clamp(0, 1)
        t = torch.rand(len(batch.labels), generator=member.generator).to(batch.images.device)
        between = t.view(-1, 1, 1, 1)
        embeddings = member.embed(between * batch.images + (1 - between) * vertex)
        shares = self.shares(batch.labels, t * self.clean + (1 - t) * self.vertex)
        return self.setting.loss.soft(embeddings, shares, member.proxies)

    def shares(self, labels: Tensor, own: Tensor) -> Tensor:
        """(b, K) shares of the classes: ``own`` (b,) for the label, the rest evenly for the others."""
        one_hot = F.one_hot(labels, self.setting.classes).to(own)
        others = (1 - own) / max(self.setting.classes - 1, 1)
        return own[:, None] * one_hot + others[:, None] * (1 - one_hot)
