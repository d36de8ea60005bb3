"""DaST: data-free substitute training (Zhou et al. 2020, arXiv 2003.12703)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.core.seeds import seeded
from gauntlet.models.generators.branching import Branching
from gauntlet.models.optimizers import Adam
from gauntlet.stealing.base import Setting, Stealing

#: Below this cross-entropy of the assigned classes their weight becomes that cross-entropy.
LEARNED = 0.1


@register("stealing", "dast")
class Dast(Stealing):
    """S descends ``d = CE(S(x), V(x)) + beta MSE(softmax S(x), p_V(x))``; G, with a branch per class a,
    descends ``exp(-d) + alpha CE(S(x), a)``: images that S gets wrong, spread over its classes.

    beta = 0 is DaST-L, for labels; above 0 it is DaST-P and needs probabilities. One step is one batch.

    Args:
        batch: images per step, as many of each class.
        beta: weight of the squared error of probabilities.
        alpha: weight of the assigned classes, until they are learned.
        lr_s, lr_g: Adam's rates (beta1 0.5).
        width: of the generator's branches.
    """

    kept = ("g", "s_optimizer", "g_optimizer", "alpha")

    def __init__(
        self,
        batch: int = 500,
        beta: float = 0.0,
        alpha: float = 0.2,
        lr_s: float = 1e-4,
        lr_g: float = 1e-4,
        width: int = 64,
    ):
        self.batch, self.beta, self.alpha = batch, beta, alpha
        self.lr_s, self.lr_g, self.width = lr_s, lr_g, width
        self.access = ("probabilities",) if beta else ("label", "probabilities")

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        oracle = setting.oracle
        self.each = self.batch // oracle.classes
        if not self.each:
            raise GauntletError(
                f"a batch of {self.batch} has no image for each of {oracle.classes} classes",
                key="options.batch",
                remedy="raise it",
            )
        channels, size, _ = oracle.shape
        with seeded(setting.seed, "init", "generator"):
            self.g = Branching(channels, size, setting.latent, oracle.classes, self.width)
        self.g.to(setting.device, memory_format=torch.channels_last).train()
        self.s = setting.substitute.train()
        self.s_optimizer = Adam([(list(self.s.parameters()), self.lr_s)], betas=(0.5, 0.999))
        self.g_optimizer = Adam([(list(self.g.parameters()), self.lr_g)], betas=(0.5, 0.999))
        self.assigned = torch.arange(oracle.classes, device=setting.device).repeat_interleave(self.each)

    def step(self) -> None:
        classes = self.setting.oracle.classes
        x = self.g(self.noise(classes * self.each).view(classes, self.each, -1))
        answers = self.setting.oracle(x.detach())
        loss = self.distance(self.s(x.detach()), answers)
        self.s_optimizer.descend(loss)
        self.watch("substitute", loss)
        logits = self.s(x)
        assigned = F.cross_entropy(logits, self.assigned)
        loss = torch.exp(-self.distance(logits, answers)) + self.alpha * assigned
        self.g_optimizer.descend(loss)
        self.watch("generator", loss)
        if float(assigned.detach()) <= LEARNED:
            self.alpha = float(assigned.detach())

    @torch.no_grad()
    def samples(self, count):
        classes = self.setting.oracle.classes
        each = -(-count // classes)
        x = self.g(self.noise(classes * each).view(classes, each, -1))
        return x.view(classes, each, *x.shape[1:]).transpose(0, 1).flatten(0, 1)[:count]

    def distance(self, logits, answers):
        """The scalar d of the substitute's ``logits`` (b, K) from the target's ``answers``."""
        labels = answers if answers.dim() == 1 else answers.argmax(1)
        found = F.cross_entropy(logits, labels)
        return found + self.beta * F.mse_loss(logits.softmax(1), answers) if self.beta else found
