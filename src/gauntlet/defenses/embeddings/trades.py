"""TRADES (Zhang et al. 2019, arXiv 1901.08573, eq. 5), with similarities to proxies as logits."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.defenses.embeddings.base import Batch, Defense, Member


@register("defense", "trades")
class Trades(Defense):
    """Minimise L(f(x), y) + beta * mean KL(q(x) || q(x')), q(x) = softmax_k(alpha * s(f(x), p_k)).

    x' maximises the KL term over the eps-ball around x. s is the cosine, p_k the proxy of class k, alpha
    the scale of the Proxy-Anchor loss L.

    Args:
        beta: weight of the KL term; the reference code's default is 6.
    """

    needs = "proxies"

    def __init__(self, beta: float = 6.0):
        self.beta = beta

    def loss(self, member: Member, batch: Batch) -> Tensor:
        adversarial = self.attack_divergence(member, batch.images)
        clean = member.embed(batch.images)
        divergence = self.divergence(
            self.log_probabilities(member, clean),
            self.log_probabilities(member, member.embed(adversarial)),
        )
        return self.embedding_loss(member, clean, batch.labels) + self.beta * divergence.mean()

    def attack_divergence(self, member: Member, images: Tensor) -> Tensor:
        """x': images near ``images`` whose q differs most from the clean q, by KL."""
        clean = self.log_probabilities(member, self.embed_clean(member, images)).detach()

        def objective(adversarial: Tensor) -> Tensor:
            return self.divergence(clean, self.log_probabilities(member, member.embed(adversarial)))

        return self.attack(objective, images, [member], member.generator)

    def log_probabilities(self, member: Member, embeddings: Tensor) -> Tensor:
        """(b, K) log q of embeddings (b, d)."""
        return F.log_softmax(self.setting.loss.logits(embeddings, member.proxies), dim=1)

    @staticmethod
    def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
        """(b,) KL(p || q), in nats."""
        return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)
