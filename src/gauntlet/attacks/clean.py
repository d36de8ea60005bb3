"""What an attack on embeddings knows of a test set: clean embeddings, and who is searched among whom."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError


class Clean:
    """Clean embeddings of a test set, and what its images are searched in.

    Args:
        queries: (n, D) unit-norm embeddings of all images that an attack may perturb.
        labels: (n,) their classes.
        gallery: embeddings (m, D) and classes (m,) of the gallery that queries are searched in, which nobody
            perturbs; None searches every query among the other queries.

    Attributes:
        gallery, gallery_labels: what queries are searched in; the queries themselves where there is no other
            gallery.
        itself: there is no other gallery: row i of it is query i itself, which does not count as found.
    """

    def __init__(self, queries: Tensor, labels: Tensor, gallery: tuple[Tensor, Tensor] | None = None):
        self.queries, self.labels, self.itself = queries, labels, gallery is None
        self.gallery, self.gallery_labels = (queries, labels) if gallery is None else gallery

    @property
    def others(self) -> int:
        """How many images each query is searched in."""
        return len(self.gallery) - self.itself

    def without_itself(self, allowed: Tensor, rows: Tensor) -> Tensor:
        """``allowed`` (b, m) bool, changed so that no query of ``rows`` (b,) has itself."""
        return allowed.scatter_(1, rows[:, None], False) if self.itself else allowed

    @cached_property
    def class_sums(self) -> Tensor:
        """(K, D) sums of the gallery's embeddings, by ascending class; as directions, the class means."""
        classes, of = torch.unique(self.gallery_labels, return_inverse=True)
        return self.gallery.new_zeros(len(classes), self.gallery.shape[1]).index_add(0, of, self.gallery)

    @cached_property
    def classes(self) -> Tensor:
        """(n,) which row of ``class_sums`` is of each query's class.

        Raises GauntletError when the gallery has no image of a query's class.
        """
        known = torch.unique(self.gallery_labels)
        at = torch.searchsorted(known, self.labels).clamp(max=len(known) - 1)
        if (lone := self.labels[known[at] != self.labels]).numel():
            raise GauntletError(
                f"the gallery has no image of class {int(lone[0])}", remedy="leave its queries out"
            )
        return at
