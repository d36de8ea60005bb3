"""What a defense of a classifier is: the loss that training follows, given a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.attacks.pgd import pgd


@dataclass
class Model:
    """The network in training.

    Attributes:
        net: (b, C, H, W) in [0, 1] -> (b, K) logits.
        generator: CPU generator of everything that training attacks draw, saved with the state.
        passes: images passed forward and backward so far; a forward pass alone counts a half.
    """

    net: nn.Module
    generator: torch.Generator
    passes: float = 0.0

    def logits(self, images: Tensor) -> Tensor:
        """(b, K), counted in ``passes``."""
        self.passes += len(images) if torch.is_grad_enabled() else 0.5 * len(images)
        return self.net(images)


class Defense:
    """Base of all defenses of classifiers.

    Options are annotated keyword parameters of ``__init__``; they become the keys of a configuration's
    ``options``.
    """

    def loss(self, model: Model, images: Tensor, labels: Tensor) -> Tensor:
        """The scalar that the update descends. ``images`` (b, C, H, W) in [0, 1], ``labels`` (b,)."""
        raise NotImplementedError


class Adversarial(Defense):
    """Base of the defenses that train on PGD's images.

    Args:
        eps: L-inf radius, pixel range 1.
        step: of the attack.
        steps: of the attack.
    """

    def __init__(self, eps: float, step: float, steps: int):
        self.eps, self.step, self.steps = eps, step, steps

    def attack(self, model: Model, objective: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """Images near ``images`` that maximise ``objective``; in eval mode, so that BatchNorm keeps its
        statistics."""
        model.net.eval()
        try:
            return pgd(
                objective,
                images,
                eps=self.eps,
                step=self.step,
                steps=self.steps,
                generator=model.generator,
            )
        finally:
            model.net.train()

    def attack_labels(self, model: Model, images: Tensor, labels: Tensor) -> Tensor:
        """Images near ``images`` that maximise the cross-entropy."""

        def objective(adversarial: Tensor) -> Tensor:
            return F.cross_entropy(model.logits(adversarial), labels, reduction="none")

        return self.attack(model, objective, images)


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """(b,) KL(p || q), in nats, of log-probabilities (b, K)."""
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)
