"""What a loss of metric learning is, and the triplets that some of them are made of."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Triplets(NamedTuple):
    """Rows (t,) int64 of a batch: ``positive`` has the class of ``anchor``, ``negative`` another one."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


class Loss:
    """Base of all losses.

    Options are annotated keyword parameters of ``__init__``; they become the keys of a recipe's
    ``loss_options``.
    """

    #: A trained proxy per class stands for its images. Otherwise images are compared in triplets.
    proxies = False

    def mine(self, embeddings: Tensor, labels: Tensor, generator: torch.Generator) -> Triplets | None:
        """Which images of a batch to compare: None for losses with proxies, which compare all.

        Args:
            embeddings: (b, d) unit vectors; no gradient flows.
            labels: (b,) classes.
            generator: CPU generator of all random draws.

        Raises:
            GauntletError: no two images of the batch have the same class, or all have it.
        """
        return None

    def __call__(
        self, embeddings: Tensor, labels: Tensor, proxies: Tensor, triplets: Triplets | None = None
    ) -> Tensor:
        """A scalar.

        Args:
            embeddings: (b, d) unit vectors.
            labels: (b,) int64 in 0..K-1.
            proxies: (K, d), any length; (0, d) where the loss has none.
            triplets: what ``mine`` returned, or other rows of ``embeddings``.
        """
        raise NotImplementedError
