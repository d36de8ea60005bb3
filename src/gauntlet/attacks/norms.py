"""Balls around images: where a search may start, how it steps, and how it is kept inside.

A ball stays with its images: every projection is also cut to [0, 1], which moves no pixel away from the
(clean) centre and so never leaves the ball.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError, did_you_mean


class Ball:
    """Images within ``eps`` of ``x`` (n, ...) and within [0, 1].

    Attributes:
        draws: the random numbers of a start, in their order: by which of torch's functions, and whether one
            per pixel or one per image.
    """

    draws: ClassVar[tuple[tuple[Callable[..., Tensor], bool], ...]]

    def __init__(self, x: Tensor, eps: float):
        raise NotImplementedError

    def project(self, images: Tensor) -> Tensor:
        """The nearest images inside; a new tensor."""
        raise NotImplementedError

    def rise_(self, images: Tensor, gradient: Tensor, step: float) -> Tensor:
        """Move ``images`` in place by ``step`` along the norm's steepest ascent, and project them."""
        raise NotImplementedError

    @classmethod
    def start(cls, x: Tensor, radius: float, generator: torch.Generator) -> Tensor:
        """Uniform in the ball of ``radius``, cut to [0, 1]; drawn on the CPU, so that devices agree."""
        drawn = [
            draw(x.shape if per_pixel else x.shape[:1], generator=generator, dtype=x.dtype)
            for draw, per_pixel in cls.draws
        ]
        return cls.begin(x, radius, *drawn)

    @staticmethod
    def begin(x: Tensor, radius: float, *drawn: Tensor) -> Tensor:
        """``start`` from random numbers that were ``drawn`` already, on the CPU; the first is changed."""
        raise NotImplementedError

    @staticmethod
    def whole(x: Tensor) -> float:
        """The least radius of a ball that has all of [0, 1] inside, wherever its centre."""
        raise NotImplementedError


class Linf(Ball):
    """No pixel moves by more than ``eps``; steps along the sign of the gradient."""

    draws = ((torch.rand, True),)

    def __init__(self, x: Tensor, eps: float):
        self.low, self.high = (x - eps).clamp_(min=0), (x + eps).clamp_(max=1)

    def project(self, images: Tensor) -> Tensor:
        return images.clamp(self.low, self.high)

    def rise_(self, images: Tensor, gradient: Tensor, step: float) -> Tensor:
        return images.add_(gradient.sign(), alpha=step).clamp_(self.low, self.high)

    @staticmethod
    def begin(x: Tensor, radius: float, noise: Tensor) -> Tensor:
        return noise.to(x.device).mul_(2 * radius).sub_(radius).add_(x).clamp_(0, 1)

    @staticmethod
    def whole(x: Tensor) -> float:
        return 1.0


class L2(Ball):
    """No image moves by more than ``eps`` in Euclidean distance, over all its pixels and channels; steps
    along the gradient, made a unit vector per image."""

    draws = ((torch.randn, True), (torch.rand, False))

    def __init__(self, x: Tensor, eps: float):
        self.x, self.eps = x, eps

    def project(self, images: Tensor) -> Tensor:
        change = images - self.x
        shrink = (self.eps / length(change).clamp(min=1e-12)).clamp(max=1.0)
        return change.mul_(shrink).add_(self.x).clamp_(0, 1)

    def rise_(self, images: Tensor, gradient: Tensor, step: float) -> Tensor:
        images.add_(gradient / length(gradient).clamp(min=1e-12), alpha=step)
        return images.copy_(self.project(images))

    @staticmethod
    def begin(x: Tensor, radius: float, noise: Tensor, share: Tensor) -> Tensor:
        """A normal vector's direction is uniform; its length is that of a uniform point, U^(1/pixels)."""
        share = share.pow(1 / max(x[0].numel(), 1))
        noise.mul_(radius * share.view(-1, *[1] * (x.dim() - 1)) / length(noise).clamp(min=1e-12))
        return noise.to(x.device).add_(x).clamp_(0, 1)

    @staticmethod
    def whole(x: Tensor) -> float:
        return math.sqrt(x[0].numel())


#: By the names that configurations give them.
NORMS: dict[str, type[Ball]] = {"linf": Linf, "l2": L2}


def ball(norm: str) -> type[Ball]:
    """The balls of a norm. Raises GauntletError for an unknown one."""
    if norm not in NORMS:
        raise GauntletError(f"unknown norm {norm!r}", remedy=did_you_mean(norm, NORMS))
    return NORMS[norm]


def length(change: Tensor) -> Tensor:
    """(n, 1, ...) Euclidean lengths of (n, ...), to be multiplied with it."""
    return change.flatten(1).norm(dim=1).view(-1, *[1] * (change.dim() - 1))
