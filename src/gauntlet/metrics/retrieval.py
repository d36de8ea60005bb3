"""Retrieval scores of embeddings: recall at K, precision and MAP at R, by exact search (faiss).

Similarity is the inner product, which ranks unit vectors as cosine and as Euclidean distance do. A
perturbed query is searched in the clean gallery, where its own clean image is excluded *by index*:
dropping the first neighbour is wrong, as the perturbed query need not be nearest to its clean self.
Memory is linear in n. Equal similarities are ranked by index. faiss takes the threads that the caller set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import faiss
import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.metrics import arrays

#: Most queries per search (what faiss multiplies at once; fewer are slower), and most neighbours per
#: search, which bounds memory.
BATCH, NEIGHBOURS = 4096, 2**22


@dataclass(frozen=True)
class Retrieval:
    """What every query found.

    Attributes:
        found: K -> (m,) bool, whether an image of the query's class is among the K nearest.
        precision: (m,) precision at R, in [0, 1]: the share of right ones among the R nearest.
        average_precision: (m,) average precision at R, in [0, 1].
        counted: (m,) bool, the queries that averages are over: those with another image of their class.
    """

    found: dict[int, np.ndarray]
    precision: np.ndarray
    average_precision: np.ndarray
    counted: np.ndarray

    @property
    def recall(self) -> dict[int, float]:
        """{K: share of queries with an image of their class among the K nearest}, in [0, 1]."""
        return {k: float(hits[self.counted].mean()) for k, hits in self.found.items()}

    @property
    def r_precision(self) -> float:
        return float(self.precision[self.counted].mean())

    @property
    def map_at_r(self) -> float:
        return float(self.average_precision[self.counted].mean())

    @property
    def hits(self) -> np.ndarray:
        """(m,) bool, whether the nearest neighbour has the query's class."""
        return self.found[1]


def worst(retrievals: Sequence[Retrieval]) -> Retrieval:
    """What an attacker reaches who picks, query by query, the best of several attacks on the same queries."""
    first = retrievals[0]
    return Retrieval(
        found={k: np.logical_and.reduce([each.found[k] for each in retrievals]) for k in first.found},
        precision=np.minimum.reduce([each.precision for each in retrievals]),
        average_precision=np.minimum.reduce([each.average_precision for each in retrievals]),
        counted=first.counted,
    )


def evaluate(queries, gallery, query_labels, gallery_labels, *, ks=(1, 2, 4, 8), exclude=None) -> Retrieval:
    """Recall at every K of ``ks``, precision and MAP at R, from one search.

    Args:
        queries, gallery: (m, D) and (n, D) unit-norm embeddings.
        query_labels, gallery_labels: (m,) and (n,) classes.
        exclude: (m,) per query the row of the gallery that is the query itself; None excludes nothing.

    A query without any other image of its class in the gallery can never be right: its hit is False, and
    the averages leave it out (as pytorch-metric-learning does).

    Raises:
        GauntletError: embeddings not finite, shapes that do not match, or no query with a match.
    """
    queries, gallery = arrays.embeddings(queries), arrays.embeddings(gallery)
    query_labels = arrays.labels(query_labels, len(queries))
    gallery_labels = arrays.labels(gallery_labels, len(gallery))
    matches = _matches(query_labels, gallery_labels, exclude)
    counted = matches > 0
    if not counted.any():
        raise GauntletError("no query has another image of its class", remedy="use more images per class")
    deepest = max(*ks, int(matches.max()))
    found = {k: np.zeros(len(queries), bool) for k in sorted({1, *ks})}
    precision, average_precision = np.zeros(len(queries)), np.zeros(len(queries))
    for part, ids in _search(queries, gallery, deepest, exclude):
        relevant = (gallery_labels[ids] == query_labels[part, None]) & (ids >= 0)
        for k, hits in found.items():
            hits[part] = relevant[:, :k].any(1)
        precision[part], average_precision[part] = _precisions(relevant, matches[part])
    return Retrieval(found, precision, average_precision, counted)


def recall_at_k(queries, gallery, query_labels, gallery_labels, ks: Sequence[int], exclude=None):
    """{K: share of queries with an image of their class among the K nearest}; see ``evaluate``."""
    recall = evaluate(queries, gallery, query_labels, gallery_labels, ks=ks, exclude=exclude).recall
    return {k: recall[k] for k in ks}


def map_at_r(queries, gallery, query_labels, gallery_labels, exclude=None) -> float:
    """Mean over queries of ``1/R sum_{i<=R} P(i) [i-th is right]``, R the matches of the query (Musgrave
    et al. 2020, section 3.2); see ``evaluate``."""
    return evaluate(queries, gallery, query_labels, gallery_labels, ks=(1,), exclude=exclude).map_at_r


def neighbours(queries, gallery, k: int, exclude=None) -> np.ndarray:
    """(m, k) gallery rows by falling similarity, without row ``exclude[i]``; -1 where there are no more."""
    queries, gallery = arrays.embeddings(queries), arrays.embeddings(gallery)
    return np.concatenate([ids for _, ids in _search(queries, gallery, k, exclude)])


def _matches(query_labels: np.ndarray, gallery_labels: np.ndarray, exclude) -> np.ndarray:
    classes, counts = np.unique(gallery_labels, return_counts=True)
    at = np.searchsorted(classes, query_labels).clip(max=len(classes) - 1)
    matches = np.where(classes[at] == query_labels, counts[at], 0)
    if exclude is not None:
        matches = matches - (gallery_labels[np.asarray(exclude)] == query_labels)
    return matches


def _precisions(relevant: np.ndarray, matches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(b,) precision at R and (b,) ``1/R sum_{i<=R} P(i) [i-th is right]``, from who is right (b, k) and R
    (b,); 0 where R is 0."""
    ranks = np.arange(1, relevant.shape[1] + 1)
    relevant = relevant & (ranks <= matches[:, None])
    right = relevant.cumsum(1, dtype=np.int32) * relevant  # the i-th right one counts i, at its rank
    least_one = np.maximum(matches, 1)
    return relevant.sum(1) / least_one, right @ (1 / ranks) / least_one


def _search(queries, gallery, k: int, exclude) -> Iterator[tuple[slice, np.ndarray]]:
    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery)
    depth = min(k + (exclude is not None), len(gallery))
    batch = max(1, min(BATCH, NEIGHBOURS // depth))
    for at in range(0, len(queries), batch):
        part = slice(at, at + batch)
        similarity, ids = index.search(queries[part], depth)
        falls = similarity[:, 1:] < similarity[:, :-1]
        tied = ~falls.all(1)  # the others are in order already
        ids[tied, 1:] += falls[tied].cumsum(1) * len(gallery)
        ids[tied] = np.sort(ids[tied], axis=1) % len(gallery)
        if exclude is not None:
            itself = ids == np.asarray(exclude)[part, None]
            itself[~itself.any(1), -1] = True  # not among them: drop the farthest
            ids = ids[~itself].reshape(len(ids), depth - 1)
        if ids.shape[1] < k:
            ids = np.pad(ids, ((0, 0), (0, k - ids.shape[1])), constant_values=-1)
        yield part, ids
