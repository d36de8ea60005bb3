"""The L2 attack of Carlini and Wagner (2017, arXiv 1608.04644, section VI-A)."""

from __future__ import annotations

import torch

from gauntlet.attacks.classifiers.base import Attack, margin
from gauntlet.core.registry import register
from gauntlet.models.optimizers import Adam

#: Pixels are kept this far (in tanh units) from 0 and 1, where the change of variable has no gradient.
INSIDE = 1 - 1e-6


@register("classifier_attack", "cw")
class CarliniWagner(Attack):
    """Minimise ``||x' - x||_2^2 + c max(g(x'), -confidence)`` over w, ``x' = (tanh w + 1) / 2``, by Adam.

    g is the amount by which the attack still fails: the logit of the true class above the highest other (the
    highest other above the target's). c is searched per image: times 10 until it is adversarial, then by
    bisection. Of all iterates that succeed with the asked confidence, the nearest is returned; an image on
    which none does comes back unchanged.

    Args:
        lr: Adam's rate.
        steps: iterations per c.
        searches: values of c.
        initial: the first c.
        confidence: the paper's kappa, in logits.
    """

    def __init__(
        self,
        lr: float = 0.01,
        steps: int = 1000,
        searches: int = 9,
        initial: float = 0.001,
        confidence: float = 0.0,
    ):
        self.lr, self.steps, self.searches = lr, steps, searches
        self.initial, self.confidence = initial, confidence

    def __call__(self, logits, x, labels, *, targeted=False, generator):
        sign = 1.0 if targeted else -1.0
        origin = torch.atanh((2 * x - 1) * INSIDE)
        c = x.new_full((len(x),), self.initial)
        low, high = torch.zeros_like(c), torch.full_like(c, float("inf"))
        best, nearest = x.clone(), torch.full_like(c, float("inf"))
        for _ in range(self.searches):
            w = origin.clone().requires_grad_()
            adam = Adam([([w], self.lr)])
            found = torch.zeros(len(x), dtype=torch.bool, device=x.device)
            for _ in range(self.steps):
                with torch.enable_grad():
                    adversarial = (torch.tanh(w) + 1) / 2
                    distance = (adversarial - x).flatten(1).square().sum(1)
                    fails = sign * margin(logits(adversarial), labels)
                    loss = distance + c * fails.clamp(min=-self.confidence)
                with torch.no_grad():
                    success = fails < -self.confidence if self.confidence == 0 else fails <= -self.confidence
                    closer = success & (distance < nearest)
                    nearest = torch.where(closer, distance, nearest)
                    best = torch.where(closer.view(-1, 1, 1, 1), adversarial, best)
                    found |= success
                adam.descend(loss.sum())
            high = torch.where(found, torch.minimum(high, c), high)
            low = torch.where(found, low, torch.maximum(low, c))
            c = torch.where(high.isinf(), c * 10, (low + high) / 2)
        return best.detach()
