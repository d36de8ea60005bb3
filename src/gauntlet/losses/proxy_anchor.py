"""Proxy-Anchor loss (Kim et al., CVPR 2020, arXiv 2003.13911, eq. 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.losses.base import Loss


@register("loss", "proxy_anchor")
class ProxyAnchor(Loss):
    """See ``proxy_anchor``.

    Args:
        alpha: scale, > 0.
        delta: cosine margin.
    """

    proxies = True

    def __init__(self, alpha: float = 32.0, delta: float = 0.1):
        self.alpha, self.delta = alpha, delta

    def __call__(self, embeddings, labels, proxies, triplets=None):
        return proxy_anchor(embeddings, labels, proxies, self.alpha, self.delta)

    def soft(self, embeddings: Tensor, weights: Tensor, proxies: Tensor) -> Tensor:
        """The loss where an image belongs to classes in part: ``weights`` (b, K) in [0, 1]; a scalar."""
        return soft_proxy_anchor(embeddings, weights, proxies, self.alpha, self.delta)

    def logits(self, embeddings: Tensor, proxies: Tensor) -> Tensor:
        """(b, K) cosines of unit vectors to the proxies, times alpha."""
        return self.alpha * (embeddings @ F.normalize(proxies, dim=1).T)


def proxy_anchor(
    embeddings: Tensor, labels: Tensor, proxies: Tensor, alpha: float = 32.0, delta: float = 0.1
) -> Tensor:
    """Pull every proxy to the images of its class in the batch, push it from all others.

    With s the cosine, P the K proxies, P+ those with an image of their class in the batch, X_p+ the
    images of p's class and X_p- the others::

        L =   1/|P+| * sum_{p in P+} log(1 + sum_{x in X_p+} exp(-alpha * (s(x, p) - delta)))
            + 1/K    * sum_{p in P}  log(1 + sum_{x in X_p-} exp( alpha * (s(x, p) + delta)))

    ``log(1 + sum exp)`` is the log-sum-exp with one more zero, so that it never overflows and is zero
    for a proxy without images on that side.

    Args:
        embeddings: (b, d), any length; normalised here.
        labels: (b,) int64 in 0..K-1.
        proxies: (K, d), any length; normalised here.
        alpha: scale, > 0.
        delta: cosine margin.

    Returns:
        A scalar. The loss couples the batch: it is not a mean over images.
    """
    cosine = F.normalize(embeddings, dim=1) @ F.normalize(proxies, dim=1).T  # (b, K)
    own = labels[:, None] == torch.arange(len(proxies), device=labels.device)
    positive = _log_one_plus_sum_exp(-alpha * (cosine - delta), own)
    negative = _log_one_plus_sum_exp(alpha * (cosine + delta), ~own)
    with_positives = own.any(dim=0).sum().clamp(min=1)
    return positive.sum() / with_positives + negative.sum() / len(proxies)


def soft_proxy_anchor(
    embeddings: Tensor, weights: Tensor, proxies: Tensor, alpha: float = 32.0, delta: float = 0.1
) -> Tensor:
    """``proxy_anchor`` with every image among the positives of proxy p by its weight w_p, and among the
    negatives by 1 - w_p::

        L =   1/|P+| * sum_{p in P+} log(1 + sum_x w_p(x)       exp(-alpha * (s(x, p) - delta)))
            + 1/K    * sum_{p in P}  log(1 + sum_x (1 - w_p(x)) exp( alpha * (s(x, p) + delta)))

    P+ are the proxies with a weight above 0. With one-hot weights it is ``proxy_anchor``.

    Args:
        embeddings: (b, d), any length; normalised here.
        weights: (b, K) in [0, 1]; no gradient flows.
        proxies: (K, d), any length; normalised here.

    Returns:
        A scalar.
    """
    cosine = F.normalize(embeddings, dim=1) @ F.normalize(proxies, dim=1).T
    everything = torch.ones_like(weights, dtype=torch.bool)
    positive = _log_one_plus_sum_exp(weights.log() - alpha * (cosine - delta), everything)
    negative = _log_one_plus_sum_exp((1 - weights).log() + alpha * (cosine + delta), everything)
    with_positives = (weights > 0).any(dim=0).sum().clamp(min=1)
    return positive.sum() / with_positives + negative.sum() / len(proxies)


def _log_one_plus_sum_exp(scores: Tensor, mask: Tensor) -> Tensor:
    """log(1 + sum of exp over the masked rows), per column."""
    kept = scores.masked_fill(~mask, float("-inf"))
    return torch.logsumexp(F.pad(kept, (0, 0, 1, 0)), dim=0)
