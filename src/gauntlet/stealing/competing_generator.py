"""The ablation that isolates MEGA's idea: a generator that plays against the substitute."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.stealing.pooled import Pooled


@register("stealing", "competing_generator")
class CompetingGenerator(Pooled):
    """As MEGA, but the generator ascends ``lambda CE(S(G(z)), V(G(z)))``: it seeks images on which the
    substitute is wrong, as DaST, MAZE and DFME do. Options: see ``Pooled``.
    """

    def generator_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return -F.cross_entropy(logits, labels)
