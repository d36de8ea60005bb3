"""TandemGAN, MEGA's successor (Hong et al. 2023, ECML PKDD): explore with one part of the generator, exploit
with the other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.registry import register
from gauntlet.models.generators.base import without_negative_weights
from gauntlet.models.optimizers import RmsProp
from gauntlet.stealing.base import Setting, Stealing
from gauntlet.stealing.schedule import falls
from gauntlet.stealing.zeroth_order import estimate


@register("stealing", "tandem_gan")
class TandemGan(Stealing):
    """Fresh noise in every step; the generator's inner layers explore, its outer convolution exploits.

    With labels (``batch (1 + s_steps)`` queries per step):

    - explore: inner layers ascend CE(S(x), V(x));
    - exploit: the outer layer descends ``-mean log max_c softmax S(x)``, MEGA's term;
    - imitate: S descends CE(S(x), V(x)).

    With logits, recovered from probabilities (``batch (4 + s_steps)`` queries with one direction): S descends
    ``mean |S(x) - l_V(x)|``, inner layers ascend it and the outer layer ascends the target's top probability,
    both by estimated gradients at images before their activation.

    Args:
        batch: images per update.
        s_steps: updates of the substitute per step.
        lr_s, lr_inner, lr_outer: RMSprop's rates.
        decay_at, decay: shares of the budget after which all rates are multiplied.
        weight: lambda, of the exploiting term.
        directions, eps: of the estimated gradients.
        positive_init: the generator begins without negative convolution weights.
        released_sign: descend the target's top probability, as the released file does.
    """

    access = ("label", "logits")
    kept = ("g", "s_optimizer", "inner_optimizer", "outer_optimizer")

    def __init__(
        self,
        batch: int = 256,
        s_steps: int = 5,
        lr_s: float = 1e-3,
        lr_inner: float = 1e-5,
        lr_outer: float = 1e-6,
        decay_at: list = (0.5, 0.8),
        decay: float = 0.3,
        weight: float = 1.0,
        directions: int = 1,
        eps: float = 1e-3,
        positive_init: bool = True,
        released_sign: bool = False,
    ):
        self.batch, self.s_steps, self.weight = batch, s_steps, weight
        self.lr_s, self.lr_inner, self.lr_outer = lr_s, lr_inner, lr_outer
        self.decay_at, self.decay = decay_at, decay
        self.directions, self.eps = directions, eps
        self.positive_init, self.released_sign = positive_init, released_sign

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        self.g, self.s = setting.generator().train(), setting.substitute.train()
        if self.positive_init:
            without_negative_weights(self.g)
        self.s_optimizer = RmsProp([(list(self.s.parameters()), self.lr_s)])
        self.inner_optimizer = RmsProp([(list(self.g.inner.parameters()), self.lr_inner)])
        self.outer_optimizer = RmsProp([(list(self.g.outer.parameters()), self.lr_outer)])
        self.labels = setting.oracle.access == "label"

    def step(self) -> None:
        factor = falls(self.setting.oracle, self.decay_at, self.decay)
        self._explore(factor)
        self._exploit(factor)
        for _ in range(self.s_steps):
            with torch.no_grad():
                x = self.g(self.noise(self.batch))
            loss = self.apart(self.s(x), self.setting.oracle(x)).mean()
            self.s_optimizer.descend(loss, factor)
            self.watch("substitute", loss)

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        return self.g(self.noise(count))

    def apart(self, logits: Tensor, answers: Tensor) -> Tensor:
        """(b,) how far the substitute is from the target's answers."""
        if self.labels:
            return F.cross_entropy(logits, answers, reduction="none")
        return (logits - answers).abs().mean(1)

    def _explore(self, factor: float) -> None:
        before = self.g.outer(self.g.inner(self.noise(self.batch)))
        if self.labels:
            x = self.g.activation(before)
            loss = -self.apart(self.s(x), self.setting.oracle(x)).mean()
        else:
            loss = -self._estimated(before, lambda x: self.apart(self.s(x), self.setting.oracle(x)))
        self.inner_optimizer.descend(loss, factor)

    def _exploit(self, factor: float) -> None:
        with torch.no_grad():
            features = self.g.inner(self.noise(self.batch))
        before = self.g.outer(features)
        if self.labels:
            loss = -self.s(self.g.activation(before)).log_softmax(1).amax(1).mean()
            self.watch("generator", loss)
        else:
            sign = 1.0 if self.released_sign else -1.0
            loss = sign * self._estimated(before, lambda x: self.setting.oracle(x).softmax(1).amax(1))
        self.outer_optimizer.descend(self.weight * loss, factor)

    def _estimated(self, before: Tensor, values) -> Tensor:
        """A scalar with the gradient of the mean of ``values`` of the images, estimated at ``before`` their
        activation, and divided by the number of classes as released."""
        self.s.eval()  # values of each image alone
        gradient, _ = estimate(
            lambda points: values(self.g.activation(points)),
            before.detach(),
            directions=self.directions,
            eps=self.eps,
            generator=self.draws,
        )
        self.s.train()
        return (before * gradient).sum() / (len(before) * self.setting.oracle.classes)
