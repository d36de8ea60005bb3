"""Square attack (Andriushchenko et al. 2020, arXiv 1912.00049): random search, without gradients."""

from __future__ import annotations

import torch

from gauntlet.attacks.classifiers.base import Attack, margin
from gauntlet.core.registry import register

#: Shares of the queries (of 10,000) after which the squares' area is halved (section 3.4).
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@register("classifier_attack", "square")
class Square(Attack):
    """Put squares of +-eps on the image and keep those that raise the margin (L-inf, algorithms 1 and 2).

    Starts with vertical stripes of +-eps. Queries scores only, so obfuscated gradients do not mislead it.

    Args:
        eps: L-inf radius, pixel range 1.
        queries: forward passes per image.
        area: share of the image that the first squares cover.
    """

    def __init__(self, eps: float, queries: int = 5000, area: float = 0.8):
        self.eps, self.queries, self.area = eps, queries, area

    @torch.no_grad()
    def __call__(self, logits, x, labels, *, targeted=False, generator):
        sign = -1.0 if targeted else 1.0
        n, channels, height, width = x.shape

        def signs(*shape: int):
            return torch.randint(0, 2, shape, generator=generator).to(x) * 2 - 1

        def score(images):
            return sign * margin(logits(images), labels)

        best = (x + self.eps * signs(n, channels, 1, width)).clamp_(0, 1)
        best_score = score(best)
        for query in range(1, self.queries):
            side = self.side(query, height, width)
            rows = torch.randint(0, height - side + 1, (n,), generator=generator).to(x.device)
            columns = torch.randint(0, width - side + 1, (n,), generator=generator).to(x.device)
            colours = self.eps * signs(n, channels, 1, 1)
            down = torch.arange(height, device=x.device) - rows[:, None]
            right = torch.arange(width, device=x.device) - columns[:, None]
            down, right = (down >= 0) & (down < side), (right >= 0) & (right < side)
            inside = down[:, None, :, None] & right[:, None, None]
            candidate = torch.where(inside, (x + colours).clamp(0, 1), best)
            found = score(candidate)
            better = found > best_score
            best = torch.where(better.view(-1, 1, 1, 1), candidate, best)
            best_score = torch.where(better, found, best_score)
        return best

    def side(self, query: int, height: int, width: int) -> int:
        """Pixels: the side of the square that this query tries."""
        halvings = sum(query / self.queries > share for share in HALVINGS)
        area = self.area / 2**halvings * height * width
        return min(max(round(area**0.5), 1), height, width)
