"""Dataset distillation: what a network learns from the samples is judged on real images (FLiP)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.distillation.base import Distillation, Setting
from gauntlet.distillation.sets import Sets
from gauntlet.distillation.unroll import cross_entropy, descend, repeated

#: Least probability in a label, so that its logarithm is finite.
LEAST = 1e-12


@register("distillation", "bilevel")
class Bilevel(Distillation):
    """``min over S, Y, eta of CE(theta_J; real batch)``, where theta_J is the round's model after J steps of
    gradient descent with step sizes eta on the samples S with soft labels softmax(Y)
    (``unroll.descend``); the gradient flows through all steps.

    FLiP's local procedure (Xu et al. 2024, arXiv 2410.19548): dataset distillation (Wang et al. 2018, arXiv
    1811.10959, algorithm 1) with soft labels (Sucholutsky and Schonlau 2019, arXiv 1910.02551) and learned
    step sizes. In later rounds the J steps are taken on the union of the client's own samples and those that
    it received, which are constants: what is learned complements what the others share.

    Adam on S, Y and log eta.

    Args:
        per_class, iterations, batch, lr, start, pixels: see ``Distillation``.
        inner: J.
        cut: 1: each step is on all samples; c: on every c-th of each class, in turn.
        step: all of eta at the start.
        confidence: probability of a sample's own class in its label at the start, above 1 / classes; the rest
            is spread evenly. At 1 the label could not be learned.
        lr_labels, lr_steps: Adam's, of Y and of log eta.
        nets: theta starts at the round's model (``current``), or for every update at a newly initialised one
            (``random``): the samples then do not lean on one model.
        link: false leaves what others share out of the J steps.
    """

    def __init__(
        self,
        per_class: int = 10,
        iterations: int = 200,
        batch: int = 64,
        lr: float = 0.05,
        start: Literal["noise", "real"] = "noise",
        pixels: Literal["clipped", "free"] = "clipped",
        inner: int = 5,
        cut: int = 1,
        step: float = 0.2,
        confidence: float = 0.9,
        lr_labels: float = 0.02,
        lr_steps: float = 0.01,
        nets: Literal["current", "random"] = "current",
        link: bool = True,
    ):
        super().__init__(per_class, iterations, batch, lr, start, pixels)
        if inner < 1 or not 1 <= cut <= per_class:
            raise GauntletError(
                f"{inner} inner steps on 1/{cut} of {per_class} samples of a class",
                key="method.options",
                remedy="give at least one step, and a cut from 1 to per_class",
            )
        if step < 0:
            raise GauntletError(f"a step size of {step}", key="method.options.step", remedy="give 0 or more")
        self.inner, self.cut, self.first_step, self.confidence = inner, cut, step, confidence
        self.lr_labels, self.lr_steps, self.nets = lr_labels, lr_steps, nets
        self.link = link

    def begin(self, setting: Setting) -> None:
        """Raises GauntletError for a confidence that is none."""
        super().begin(setting)
        if not 1 / setting.classes < self.confidence < 1:
            raise GauntletError(
                f"a confidence of {self.confidence} with {setting.classes} classes",
                key="method.options.confidence",
                remedy="give one between 1 / classes and 1",
            )
        self.run = self.counted(setting.net)
        rest = (1 - self.confidence) / (setting.classes - 1)
        self.sets = replace(
            self.sets,
            labels=rest + (self.confidence - rest) * self.sets.labels,
            steps=self.sets.images.new_full((self.clients, self.inner), self.first_step),
            cut=self.cut,
        )

    def _variables(self):
        return {
            "images": (self.sets.images, self.lr),
            "logits": (self.sets.labels.clamp_min(LEAST).log(), self.lr_labels),
            "log_steps": (self.sets.steps.log(), self.lr_steps),
        }

    def _released(self) -> Sets:
        labels, steps = self.live["logits"].softmax(-1), self.live["log_steps"].exp()
        return replace(super()._released(), labels=labels, steps=steps)

    def objective(self, generator):
        samples = self.union(self.live["images"], self.live["logits"].softmax(-1), self.link)
        start = repeated(self.origin(), self.clients)
        learned = descend(self.run, start, samples, self.live["log_steps"].exp(), differentiable=True)
        rows, weights = (value.to(self.device) for value in self.owned.draw(self.batch, generator))
        images = self.setting.images
        logits = self.run(learned, images.pixels[rows], False)
        return cross_entropy(logits, images.labels[rows], weights)
