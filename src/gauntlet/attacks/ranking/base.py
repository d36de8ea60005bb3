"""Ranks of candidates in the lists that queries retrieve, and the objectives that move them.

The rank of candidate c in the list of query q is the share of the other images that are nearer to q than c
is: 0 at the top, 1 at the bottom. q and c themselves are left out by index. (RobRank counts them, which
moves a rank by 2/n at most.) Objectives are its hinges, means over all other images x:

    raise the candidate    -mean_x [d(q, c) - d(q, x)]_+
    lower it               -mean_x [d(q, x) - d(q, c)]_+

They vanish where the candidate is first, or last. Memory is linear in n: neighbours are searched by faiss,
hinges and ranks are summed over blocks of the gallery (``hinges``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack, Goal
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.geometry import distance
from gauntlet.attacks.ranking.hinges import Hinges, lead
from gauntlet.core.errors import GauntletError
from gauntlet.metrics import retrieval

#: Attacks that lower a candidate choose it among this share of the images, the nearest (RobRank).
NEAR = 0.01


def anyone(clean: Clean, generator: torch.Generator) -> Tensor:
    """(n,) per query another image of the gallery, drawn uniformly."""
    n, m = _sizes(clean)
    jump = torch.randint(int(clean.itself), m, (n,), generator=generator)
    return ((torch.arange(n) + jump) % m).to(clean.queries.device)


def someone_near(clean: Clean, generator: torch.Generator) -> Tensor:
    """(n,) per query another image of the gallery, drawn from its nearest 1% (at least from one)."""
    n, m = _sizes(clean)
    places = torch.randint(0, max(1, int(NEAR * m)), (n,), generator=generator)
    return at_places(clean, torch.arange(n), places)


def at_places(clean: Clean, rows: Tensor, places: Tensor) -> Tensor:
    """(b,) per query of ``rows`` (b,) its neighbour at place ``places`` (b,), 0 the nearest other image.

    Of equally near ones, the first in the gallery comes first.
    """
    deepest, found = int(places.max()) + 1, []
    queries, gallery = clean.queries.cpu(), clean.gallery.cpu()  # once, where faiss wants them
    for some, at in zip(rows.split(retrieval.BATCH), places.split(retrieval.BATCH), strict=True):
        itself = some if clean.itself else None
        near = retrieval.neighbours(queries[some], gallery, deepest, exclude=itself)
        found.append(torch.from_numpy(near).gather(1, at[:, None])[:, 0])
    return torch.cat(found).to(clean.queries.device)


def _sizes(clean: Clean) -> tuple[int, int]:
    """How many queries there are, and images in the gallery."""
    if clean.others < 2:
        raise GauntletError(
            f"a rank needs three images (got {clean.others + 1})", remedy="use more test images per class"
        )
    return len(clean.queries), len(clean.gallery)


class Ranked(Attack):
    """Moves the candidate of each pair up or down.

    Args:
        clean: the clean embeddings of the test set; classes play no part.
        generator: CPU generator of the pairs.

    Attributes:
        up: whether the attacker wants the candidate at the top.
        others: (n,) the other image of each pair, a row of the gallery.
    """

    drawn = True
    up: bool

    def __init__(self, clean: Clean, *, generator: torch.Generator):
        self.clean = clean
        self.others = (anyone if self.up else someone_near)(clean, generator)

    def sides(self, embeddings: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(b,) distances of query and candidate, and the queries (b, D)."""
        raise NotImplementedError

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) negated hinges of perturbed ``embeddings`` (b, D) of ``rows`` (b,), in [-2, 0]."""
        pair, queries = self.sides(embeddings, rows)
        total = Hinges.apply(pair, queries, self.clean.gallery, self._pair(rows), 1 if self.up else -1)
        return -total / (self.clean.others - 1)

    def measures(self, embeddings: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """``rank`` of the candidate, in [0, 1]."""
        return {"rank": self.ahead(embeddings, rows) / (self.clean.others - 1)}

    def ahead(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) how many other images are nearer to the query than the candidate is."""
        pair, queries = self.sides(embeddings, rows)
        blocks = lead(pair, queries, self.clean.gallery, self._pair(rows))
        return sum((ahead > 0).sum(1) for _, _, ahead in blocks)

    def _pair(self, rows: Tensor) -> Tensor:
        """(b, 1 or 2) the pair's places in the gallery, which take no part in the lists."""
        own = [rows] if self.clean.itself else []
        return torch.stack([*own, self.others[rows]], 1)


class Candidate(Ranked):
    """The candidate is perturbed; the query is the other image of the pair."""

    def sides(self, embeddings, rows):
        queries = self.clean.gallery[self.others[rows]]
        return distance(queries, embeddings), queries


class Query(Ranked):
    """The query is perturbed; the candidate is the other image of the pair."""

    def sides(self, embeddings, rows):
        return distance(embeddings, self.clean.gallery[self.others[rows]]), embeddings


#: What the attacks want of the rank.
TOP, BOTTOM = Goal("rank", broken=0.0, intact=1.0), Goal("rank", broken=1.0, intact=0.0)
