"""MAZE: zeroth-order gradients and replay (Kariyappa et al. 2021, arXiv 2005.03161, algorithm 1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.models.optimizers import Sgd
from gauntlet.stealing.base import Setting, Stealing
from gauntlet.stealing.schedule import cosine
from gauntlet.stealing.zeroth_order import estimate


@register("stealing", "maze")
class Maze(Stealing):
    """max over G, min over S of ``KL(V(G(z)) || S(G(z)))``, with updates of S on past queries in between.

    One step is one iteration: ``batch (g_steps (directions + 1) + s_steps - 1)`` queries; the first update
    of the substitute reuses the generator's images. Rates follow a cosine over the budget.

    Args:
        batch: images per update.
        g_steps, s_steps: updates of the generator and of the substitute per iteration.
        replays: updates of the substitute on past queries per iteration.
        memory: most past queries that are kept, the newest; the release keeps all.
        directions, eps: of the estimated gradient.
        lr_s, lr_g: SGD's rates (momentum 0.9, weight decay 5e-4).
    """

    access = ("probabilities",)
    kept = ("g", "s_optimizer", "g_optimizer", "past", "answers")

    def __init__(
        self,
        batch: int = 128,
        g_steps: int = 1,
        s_steps: int = 5,
        replays: int = 10,
        memory: int = 50_000,
        directions: int = 10,
        eps: float = 1e-3,
        lr_s: float = 0.1,
        lr_g: float = 1e-4,
    ):
        self.batch, self.g_steps, self.s_steps = batch, g_steps, s_steps
        self.replays, self.memory = replays, memory
        self.directions, self.eps, self.lr_s, self.lr_g = directions, eps, lr_s, lr_g

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        self.g, self.s = setting.generator().train(), setting.substitute.train()
        options = {"weight_decay": 5e-4, "momentum": 0.9}
        self.s_optimizer = Sgd([(list(self.s.parameters()), self.lr_s)], **options)
        self.g_optimizer = Sgd([(list(self.g.parameters()), self.lr_g)], **options)
        self.past: Tensor | None = None  # images asked about
        self.answers: Tensor | None = None

    def step(self) -> None:
        factor = cosine(self.setting.oracle)
        for _ in range(self.g_steps):
            x, answers = self._mislead(factor)
        self._learn(x, answers, factor)
        self._remember(x, answers)
        for _ in range(self.s_steps - 1):
            with torch.no_grad():
                x = self.g(self.noise(self.batch))
            answers = self.setting.oracle(x)
            self._learn(x, answers, factor)
            self._remember(x, answers)
        for _ in range(self.replays):
            rows = torch.randint(len(self.past), (self.batch,), generator=self.draws).to(x.device)
            self._learn(self.past[rows], self.answers[rows], factor)

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        return self.g(self.noise(count))

    def _mislead(self, factor: float) -> tuple[Tensor, Tensor]:
        """The generator ascends the divergence; returns its images and their answers."""
        before = self.g.outer(self.g.inner(self.noise(self.batch)))
        asked: list[Tensor] = []

        def values(points: Tensor) -> Tensor:
            x = self.g.activation(points)
            asked.append(self.setting.oracle(x))
            return divergence(asked[0], self.s(x))

        self.s.eval()
        settings = {"directions": self.directions, "eps": self.eps, "generator": self.draws}
        gradient, found = estimate(values, before.detach(), **settings)
        self.s.train()
        self.g_optimizer.descend((before * -gradient / self.batch).sum(), factor)
        self.watch("generator", -found.mean())
        return self.g.activation(before.detach()), asked[0][: self.batch]

    def _learn(self, x: Tensor, answers: Tensor, factor: float) -> None:
        loss = divergence(answers, self.s(x)).mean()
        self.s_optimizer.descend(loss, factor)
        self.watch("substitute", loss)

    def _remember(self, x: Tensor, answers: Tensor) -> None:
        self.past = x if self.past is None else torch.cat([self.past, x])[-self.memory :]
        self.answers = answers if self.answers is None else torch.cat([self.answers, answers])[-self.memory :]


def divergence(p: Tensor, logits: Tensor) -> Tensor:
    """(b,) KL(p || softmax(logits)), in nats; a class of probability 0 counts nothing."""
    return F.kl_div(logits.log_softmax(1), p, reduction="none").sum(1)
