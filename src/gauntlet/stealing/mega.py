"""MEGA (Hong et al. 2022, arXiv 2202.00008): generator and substitute minimise one objective together."""

from __future__ import annotations

from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.stealing.pooled import Pooled


@register("stealing", "mega")
class Mega(Pooled):
    """min over S, G of ``CE(S(G(z)), V(G(z))) - lambda log max_c softmax(S(G(z)))_c``, in turns.

    V is the target, whose labels suffice: the generator seeks images on which the substitute is confident,
    and needs no gradient of the target. Options: see ``Pooled``.
    """

    def generator_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return -logits.log_softmax(1).amax(1).mean()
