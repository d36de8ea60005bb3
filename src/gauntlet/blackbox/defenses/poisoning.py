"""Prediction poisoning: answers that turn a thief's gradient (MAD, Orekondy et al., arXiv 1906.10908)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.blackbox.defenses.base import OracleDefense
from gauntlet.core.registry import register


@register("oracle_defense", "poisoning")
class Poisoning(OracleDefense):
    """Answers y' within ``||y' - y||_1 <= budget`` of the probabilities y, towards the class whose certainty
    turns the gradient of a surrogate's cross-entropy furthest (equations 4 to 9).

    The surrogate knows nothing: it gives all classes the same probability u, as an untrained one does. The
    gradient of its last layer is then ``(y - u) h'`` with the features h, and its direction that of y - u.

    Args:
        budget: L1 distance, up to 2.
        keep_label: stay on this side of where the likeliest class changes (the paper's MAD-argmax).
    """

    def __init__(self, budget: float = 0.5, keep_label: bool = False):
        self.budget, self.keep_label = budget, keep_label

    def answer(self, images: Tensor, probabilities: Tensor) -> Tensor:
        classes = probabilities.shape[1]
        even = 1 / classes
        direction = F.normalize(probabilities - even, dim=1)
        corners = torch.eye(classes, dtype=probabilities.dtype, device=probabilities.device)
        apart = (direction[:, None] - F.normalize(corners - even, dim=1)[None]).norm(dim=2)
        corner = corners[apart.argmax(1)]
        share = (self.budget / (corner - probabilities).abs().sum(1).clamp(min=1e-12)).clamp(max=1)
        if self.keep_label:
            # y' keeps its label as long as (1 - a) y_top + a c_top >= (1 - a) y_c + a, c the corner.
            top = probabilities.amax(1)
            other = (probabilities * corner).sum(1)
            gap = top - other
            stay = gap / (1 + gap)
            same = (probabilities.argmax(1, keepdim=True) == corner.argmax(1, keepdim=True))[:, 0]
            share = torch.where(same, share, torch.minimum(share, 0.999 * stay))
        return probabilities + share[:, None] * (corner - probabilities)
