"""DFME: data-free model extraction (Truong et al. 2021, arXiv 2011.14779, algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.models.optimizers import Adam, Sgd
from gauntlet.stealing.base import Setting, Stealing
from gauntlet.stealing.schedule import falls
from gauntlet.stealing.zeroth_order import estimate


@register("stealing", "dfme")
class Dfme(Stealing):
    """max over G, min over S of ``mean |S(G(z)) - l_V(G(z))|``, l_V the target's logits, recovered from its
    probabilities. The generator's gradient is estimated at its images before the activation.

    One step is one iteration of the paper: ``batch (g_steps (directions + 1) + s_steps)`` queries.

    Args:
        batch: images per update.
        g_steps, s_steps: updates of the generator and of the substitute per iteration.
        directions, eps: of the estimated gradient.
        lr_s, lr_g: of the substitute (SGD, momentum 0.9, weight decay 5e-4) and of the generator (Adam).
        decay_at, decay: shares of the budget after which both rates are multiplied.
    """

    access = ("logits",)
    kept = ("g", "s_optimizer", "g_optimizer")

    def __init__(
        self,
        batch: int = 256,
        g_steps: int = 1,
        s_steps: int = 5,
        directions: int = 1,
        eps: float = 1e-3,
        lr_s: float = 0.1,
        lr_g: float = 1e-4,
        decay_at: list = (0.1, 0.3, 0.5),
        decay: float = 0.3,
    ):
        self.batch, self.g_steps, self.s_steps = batch, g_steps, s_steps
        self.directions, self.eps, self.lr_s, self.lr_g = directions, eps, lr_s, lr_g
        self.decay_at, self.decay = decay_at, decay

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        self.g, self.s = setting.generator().train(), setting.substitute.train()
        self.s_optimizer = Sgd([(list(self.s.parameters()), self.lr_s)], weight_decay=5e-4, momentum=0.9)
        self.g_optimizer = Adam([(list(self.g.parameters()), self.lr_g)])

    def step(self) -> None:
        factor = falls(self.setting.oracle, self.decay_at, self.decay)
        for _ in range(self.g_steps):
            self._mislead(factor)
        for _ in range(self.s_steps):
            with torch.no_grad():
                x = self.g(self.noise(self.batch))
            loss = (self.s(x) - self.setting.oracle(x)).abs().mean()
            self.s_optimizer.descend(loss, factor)
            self.watch("substitute", loss)

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        return self.g(self.noise(count))

    def _mislead(self, factor: float) -> None:
        """The generator ascends the disagreement."""
        before = self.g.outer(self.g.inner(self.noise(self.batch)))
        settings = {"directions": self.directions, "eps": self.eps, "generator": self.draws}
        self.s.eval()
        gradient, values = estimate(self._disagreement, before.detach(), **settings)
        self.s.train()
        # As released, the mean over the batch is divided by the number of classes once more.
        scaled = -gradient / (self.batch * self.setting.oracle.classes)
        self.g_optimizer.descend((before * scaled).sum(), factor)
        self.watch("generator", -values.mean())

    def _disagreement(self, before: Tensor) -> Tensor:
        """(m,) mean absolute difference of logits at images before their activation."""
        x = self.g.activation(before)
        return (self.s(x) - self.setting.oracle(x)).abs().mean(1)
