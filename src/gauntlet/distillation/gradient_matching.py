"""Dataset condensation by gradient matching (Zhao et al. 2021, arXiv 2006.05929)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.distillation.base import Distillation, Setting
from gauntlet.distillation.unroll import cross_entropy, descend, repeated
from gauntlet.models.copies import State

#: Most pixels in one program: with more, what it computes no longer fits into the processor's cache.
PIXELS = 2**16


@register("distillation", "gradient_matching")
class GradientMatching(Distillation):
    """``min over S of sum over classes c of d(grad CE(theta; S_c), grad CE(theta; real batch of c))``, with d
    the sum over layers and their output nodes of 1 - cosine (equation 10; ``distance``).

    theta follows the training on the samples: from where it starts, ``inner`` steps of gradient descent on
    the union of own and received samples after each of ``outer`` updates, then it starts again (algorithm
    1). Labels stay one-hot, and no step sizes are learned.

    Args:
        per_class, iterations, batch, lr, start, pixels: see ``Distillation``; ``batch`` images of each class.
        nets: theta starts at the round's model (``current``) or newly initialised (``random``, as published).
        outer, inner: 10 and 50 in the release for 10 samples per class, 1 and 1 for one.
        lr_net: step size of theta; the release has 0.01 and momentum 0.5.
    """

    def __init__(
        self,
        per_class: int = 10,
        iterations: int = 200,
        batch: int = 64,
        lr: float = 0.05,
        start: Literal["noise", "real"] = "noise",
        pixels: Literal["clipped", "free"] = "clipped",
        nets: Literal["current", "random"] = "current",
        outer: int = 10,
        inner: int = 50,
        lr_net: float = 0.02,
    ):
        super().__init__(per_class, iterations, batch, lr, start, pixels)
        if outer < 1 or inner < 0:
            raise GauntletError(
                f"outer {outer}, inner {inner}", key="method.options", remedy="give outer at least 1"
            )
        self.nets, self.outer, self.inner, self.lr_net = nets, outer, inner, lr_net

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        self.run = self.counted(setting.net)
        # A group is a client's class; those without images are left out.
        self.held = (self.owned_by_class.counts > 0).nonzero().flatten()

    def step(self) -> None:
        super().step()
        if self.inner and self.updates % self.outer:
            samples = self.union(self.live["images"].detach(), self.sets.labels)
            sizes = samples.weights.new_full((self.clients, self.inner), self.lr_net)
            self.theta = descend(self.run, self.theta, samples, sizes)

    def objective(self, generator):
        if self.updates % self.outer == 0:
            self.theta = repeated(self.origin(), self.clients)
        classes, images = self.setting.classes, self.setting.images
        rows, weights = (value.to(self.device) for value in self.owned_by_class.draw(self.batch, generator))
        own = self.live["images"].view(-1, self.per_class, *images.pixels.shape[1:])
        found, pixels = [], rows.shape[1] * images.pixels[0, 0].numel()
        for groups in self.held.to(self.device).split(max(1, PIXELS // pixels)):
            theta = {name: value[groups // classes].requires_grad_() for name, value in self.theta.items()}
            labels = groups % classes
            real = gradients(self.run, theta, images.pixels[rows[groups]], labels, weights[groups])
            ones = torch.ones(len(groups), self.per_class, device=self.device)
            ours = gradients(self.run, theta, own[groups], labels, ones, differentiable=True)
            found.append(distance(ours, real))
        distances = torch.cat(found)
        return F.one_hot(self.held // classes, self.clients).T.to(distances) @ distances

    def state(self):
        return {**super().state(), "theta": {name: value.detach() for name, value in self.theta.items()}}

    def restore(self, state):
        super().restore(state)
        self.theta = {name: value.to(self.device) for name, value in state["theta"].items()}


def gradients(
    run, theta: State, images: Tensor, labels: Tensor, weights: Tensor, differentiable: bool = False
) -> list[Tensor]:
    """Of G copies' mean cross-entropies, each on its own images (G, b, C, H, W) with ``weights`` (G, b), all
    of the class ``labels`` (G,)."""
    logits = run(theta, images, True)
    loss = cross_entropy(logits, labels[:, None].expand(weights.shape), weights).sum()
    return list(torch.autograd.grad(loss, list(theta.values()), create_graph=differentiable))


def distance(ours: list[Tensor], real: list[Tensor]) -> Tensor:
    """(G,) ``sum over layers, output nodes of 1 - <a, b> / (|a| |b|)``, from gradients (G, out, ...).

    As released, biases are left out, and 1e-6 is added to the denominator.
    """
    total = []
    for a, b in zip(ours, real, strict=True):
        if a.dim() > 2:
            a, b = a.flatten(2), b.flatten(2)
            lengths = torch.linalg.vector_norm(a, dim=2) * torch.linalg.vector_norm(b, dim=2)
            total.append((1 - (a * b).sum(2) / (lengths + 1e-6)).sum(1))
    return torch.stack(total).sum(0)
