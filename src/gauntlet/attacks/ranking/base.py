"""Ranks of candidates in the lists that queries retrieve, and the objectives that move them.

The rank of candidate c in the list of query q is the share of the other images that are nearer to q than c
is: 0 at the top, 1 at the bottom. q and c themselves are left out by index. (RobRank counts them, which
moves a rank by 2/n at most.) Objectives are its hinges, means over all other images x:

    raise the candidate    -mean_x [d(q, c) - d(q, x)]_+
    lower it               -mean_x [d(q, x) - d(q, c)]_+

They vanish where the candidate is first, or last. Memory b x n for b perturbed images.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack, Goal
from gauntlet.attacks.geometry import distance, distances, ranked
from gauntlet.core.errors import GauntletError

#: Attacks that lower a candidate choose it among this share of the images, the nearest (RobRank).
NEAR = 0.01


def anyone(clean: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """(n,) per image another one, drawn uniformly."""
    n = _enough(labels)
    jump = torch.randint(1, n, (n,), generator=generator)
    return ((torch.arange(n) + jump) % n).to(clean.device)


def someone_near(clean: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """(n,) per image another one, drawn from its nearest 1% (at least from one)."""
    n = _enough(labels)
    places = torch.randint(0, max(1, int(NEAR * n)), (n,), generator=generator)
    return ranked(clean, labels, places.to(clean.device))


def _enough(labels: Tensor) -> int:
    if len(labels) < 3:
        raise GauntletError(
            f"a rank needs three images (got {len(labels)})", remedy="use more test images per class"
        )
    return len(labels)


class Ranked(Attack):
    """Moves the candidate of each pair up or down.

    Args:
        clean: (n, D) clean unit-norm embeddings of all test images.
        labels: (n,) their classes, which play no part.
        generator: CPU generator of the pairs.

    Attributes:
        up: whether the attacker wants the candidate at the top.
        others: (n,) the other image of each pair.
    """

    drawn = True
    up: bool

    def __init__(self, clean: Tensor, labels: Tensor, *, generator: torch.Generator):
        self.clean = clean
        self.others = (anyone if self.up else someone_near)(clean, labels, generator)

    def sides(self, embeddings: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(b,) distances of query and candidate, and (b, n) distances of the query from all images."""
        raise NotImplementedError

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) negated hinges of perturbed ``embeddings`` (b, D) of ``rows`` (b,), in [-2, 0]."""
        pair, all_of_them = self.sides(embeddings, rows)
        ahead = pair[:, None] - all_of_them
        hinge = (ahead if self.up else -ahead).clamp(min=0)
        return -(hinge * self._counted(rows)).sum(1) / (len(self.clean) - 2)

    def measures(self, embeddings: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """``rank`` of the candidate, in [0, 1]."""
        return {"rank": self.ahead(embeddings, rows) / (len(self.clean) - 2)}

    def ahead(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) how many other images are nearer to the query than the candidate is."""
        pair, all_of_them = self.sides(embeddings, rows)
        return ((all_of_them < pair[:, None]) & self._counted(rows)).sum(1)

    def _counted(self, rows: Tensor) -> Tensor:
        """(b, n) bool: all but the pair itself."""
        counted = torch.ones(len(rows), len(self.clean), dtype=torch.bool, device=self.clean.device)
        return counted.scatter_(1, torch.stack([rows, self.others[rows]], 1), False)


class Candidate(Ranked):
    """The candidate is perturbed; the query is the other image of the pair."""

    def sides(self, embeddings, rows):
        queries = self.clean[self.others[rows]]
        return distance(queries, embeddings), distances(queries, self.clean)


class Query(Ranked):
    """The query is perturbed; the candidate is the other image of the pair."""

    def sides(self, embeddings, rows):
        return distance(embeddings, self.clean[self.others[rows]]), distances(embeddings, self.clean)


#: What the attacks want of the rank.
TOP, BOTTOM = Goal("rank", broken=0.0, intact=1.0), Goal("rank", broken=1.0, intact=0.0)
