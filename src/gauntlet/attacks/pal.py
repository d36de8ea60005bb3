"""Proxy-Anchor: raise the loss that Proxy-Anchor training lowers, with class means in place of proxies.

Maximises the loss of a batch of one,

    log(1 + exp(-alpha (s_y - delta))) + 1/K sum_{k != y} log(1 + exp(alpha (s_k + delta))),

s_k the cosine to the mean clean embedding of test class k (Kim et al. 2020, arXiv 2003.13911, equation 4;
classes of the test set have no proxies). In larger batches the loss couples the images; one by one, what
becomes of an image depends on no other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.core.registry import register
from gauntlet.losses.proxy_anchor import proxy_anchor

#: The loss's published scale and margin.
ALPHA, DELTA = 32.0, 0.1


@register("attack", "pal")
class Pal(Attack):
    """Args: ``clean``, whose gallery has the class means."""

    def __init__(self, clean: Clean):
        self.sums, self.classes = clean.class_sums, clean.classes

    def objective(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """(b,) losses of perturbed ``embeddings`` (b, D) of ``rows`` (b,), each as a batch of its own."""

        def alone(embedding: Tensor, label: Tensor) -> Tensor:
            return proxy_anchor(embedding[None], label[None], self.sums, ALPHA, DELTA)

        return torch.vmap(alone)(embeddings, self.classes[rows])
