"""The best that a search has seen, and the refusal of scores that are not numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError


class Best:
    """The highest-scoring images so far: image by image for (n,) scores, as a whole for a scalar.

    Attributes:
        images: (n, ...), None before the first offer.
        score: (n,) or a scalar.
    """

    def __init__(self):
        self.images: Tensor | None = None
        self.score: Tensor | None = None

    def offer(self, images: Tensor, score: Tensor) -> None:
        """Take those that score strictly higher; of equals, the earlier stay."""
        if self.images is None:
            self.images, self.score = images, score
            return
        better = score > self.score
        mask = better.view(-1, *[1] * (images.dim() - 1)) if better.dim() else better
        self.images = torch.where(mask, images, self.images)
        self.score = torch.where(better, score, self.score)


def refuse_nan(watch: Tensor) -> None:
    """Raises GauntletError when ``watch``, a sum of all scores and gradients that were seen, is not finite:
    an objective that fails would pass for a robust network."""
    if not torch.isfinite(watch).all():
        raise GauntletError(
            "the attack's objective or its gradient is not finite",
            remedy="the network's weights or inputs hold NaN or infinity; train it again, at a lower rate",
        )
