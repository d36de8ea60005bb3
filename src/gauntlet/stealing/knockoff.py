"""Knockoff Nets with random queries (Orekondy et al. 2019, arXiv 1812.02766, section 4.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.models.optimizers import Sgd
from gauntlet.stealing.base import Finished, Setting, Stealing


@register("stealing", "knockoff")
class Knockoff(Stealing):
    """The substitute learns the target's answers to natural images of another dataset, each asked once.

    Labels are learned by the cross-entropy, probabilities by the cross-entropy of soft labels. When all
    images are asked, the method has finished.

    Args:
        pool: images asked about per step.
        epochs: over everything that is answered, per step.
        batch: images per update.
        lr: SGD's rate (momentum 0.9).
    """

    access = ("label", "probabilities")
    kept = ("optimizer", "order_left", "asked", "answers")

    def __init__(self, pool: int = 2000, epochs: int = 3, batch: int = 64, lr: float = 0.01):
        self.pool, self.epochs, self.batch, self.lr = pool, epochs, batch, lr

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        if setting.natural is None:
            raise GauntletError(
                "knockoff needs images of another dataset", key="methods.natural", remedy="name one"
            )
        self.s = setting.substitute.train()
        self.optimizer = Sgd([(list(self.s.parameters()), self.lr)], momentum=0.9)
        self.order_left = torch.randperm(len(setting.natural), generator=self.draws).to(setting.device)
        self.asked = self.order_left[:0]
        self.answers = None

    def step(self) -> None:
        rows = self.order_left[: self.pool]
        natural = self.setting.natural
        if not len(rows):
            raise Finished("every natural image is asked")
        answers = self.setting.oracle(natural[rows])
        self.order_left = self.order_left[self.pool :]
        self.asked = torch.cat([self.asked, rows])
        self.answers = answers if self.answers is None else torch.cat([self.answers, answers])
        for _ in range(self.epochs):
            for part in self.order(len(self.asked), self.batch):
                loss = F.cross_entropy(self.s(natural[self.asked[part]]), self.answers[part])
                self.optimizer.descend(loss)
                self.watch("substitute", loss)

    def samples(self, count):
        return self.setting.natural[self.asked[:count]]
