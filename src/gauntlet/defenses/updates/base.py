"""What a defense of updates is, and where in a round it acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

#: Tensors by name: a model, an update (the model after less the model before), or gradients.
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Setting:
    """What a defense knows before the first round.

    Attributes:
        samples: (N,) images per client.
        selected: clients per round, K.
        rounds: rounds in all.
        epochs, batch: local epochs per round, and images per step.
        weights: the aggregation rule: numbers of images (k,) to weights (k,) of sum 1.
        uniform: whether every client has the same chance in every round, whatever its data.
        statistics: whether the network sends running statistics (BatchNorm) beside its parameters.
        inspected: whether the server looks at single clients' models (contributions, some selections).
    """

    samples: np.ndarray
    selected: int
    rounds: int
    epochs: int
    batch: int
    weights: Callable[[np.ndarray], np.ndarray]
    uniform: bool
    statistics: bool
    inspected: bool

    @property
    def rate(self) -> float:
        """K / N."""
        return self.selected / len(self.samples)


@dataclass(frozen=True)
class Client:
    """A client that is about to send its update.

    Attributes:
        images: (n, C, H, W) in [0, 1]: what it trained on, in that order.
        before: the model it began with, running statistics included.
        net: a network to run models in, in eval mode; its own weights mean nothing.
        generator: of this round, client and place in the chain (CPU); draw from nowhere else.
    """

    images: Tensor
    before: Tensors
    net: nn.Module
    generator: torch.Generator


class UpdateDefense:
    """Base of all defenses of updates. Each hook leaves things as they are, until a defense says otherwise.

    The order of a round, and within each step the order of the chain:

    1. ``participants``: who takes part.
    2. ``batches`` and, where ``per_example``, ``gradient``: the client's local steps (one per chain).
    3. ``update``: what the client sends, parameter by parameter; running statistics are sent as they are.
    4. ``add``: the sum of what the round's clients send, running statistics included (one per chain).
    5. ``total``: that sum, which becomes the update of the global model.

    Options are annotated keyword parameters of ``__init__``; they become the keys of a configuration's
    ``options``. Noise comes from a seeded generator, for repeatable measurements and not for deployment.

    Attributes:
        per_example: local steps go by ``gradient``, which sees every example's own.
        hides: the server learns the sum, and no client's own update.
        last: no other defense may change a client's update after this one.
        delta: of (epsilon, delta) differential privacy; None where none is stated.
    """

    per_example: bool = False
    hides: bool = False
    last: bool = False
    delta: float | None = None

    def begin(self, setting: Setting) -> None:
        """Called once, before the first round. Raises GauntletError where the defense cannot work."""
        self.setting = setting

    def participants(self, picked: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """The round's clients, ascending, given those ``picked`` and the round's (N,) random numbers in
        (0, 1], by which a uniform selection picked the K largest."""
        return picked

    def batches(self, rows: Tensor, generator: torch.Generator) -> list[Tensor] | None:
        """The client's batches of this round, of its ``rows``; None for shuffled epochs."""
        return None

    def gradient(self, gradients: Tensors, expected: int, generator: torch.Generator) -> Tensors:
        """The gradient of a local step.

        Args:
            gradients: (b, ...) per parameter, each example's own; b may be 0.
            expected: the mean of b.
        """
        raise NotImplementedError

    def update(self, update: Tensors, client: Client) -> Tensors:
        """What ``client`` sends instead of ``update``; new tensors where it differs."""
        return update

    def add(self, parts: list[Tensors], generator: torch.Generator) -> Tensors:
        """The sum of at least one client's ``parts``: their updates times their weights."""
        return plain_sum(parts)

    def total(self, total: Tensors, clients: int, generator: torch.Generator) -> Tensors:
        """The update of the global model, given the weighted sum over ``clients`` clients; maybe none."""
        return total

    def epsilon(self, rounds: int, participations: np.ndarray) -> float | None:
        """Privacy spent after ``rounds`` rounds in which the clients took part (N,) ``participations``
        times; None where none is stated."""
        return None

    def up_bytes(self, parameters: int, sent: int) -> int:
        """Bytes that one client sends for its ``parameters``, given what it would send without this."""
        return sent


def plain_sum(parts: list[Tensors]) -> Tensors:
    """The sum of tensors by name, added up in order."""
    total = {name: value.clone() for name, value in parts[0].items()}
    for part in parts[1:]:
        for name, value in total.items():
            value.add_(part[name])
    return total


def norm(update: Tensors) -> Tensor:
    """The L2 norm of all entries together, a scalar."""
    return torch.stack([value.norm() for value in update.values()]).norm()


def clipped(update: Tensors, bound: float) -> Tensors:
    """``u * min(1, bound / ||u||)``; what is not finite becomes 0, so that the norm is always bounded."""
    length = norm(update)
    scale = (bound / length.clamp(min=1e-12)).clamp(max=1.0)
    if not bool(length.isfinite()):
        return {name: torch.zeros_like(value) for name, value in update.items()}
    return {name: value * scale for name, value in update.items()}


def noisy(update: Tensors, std: float, generator: torch.Generator) -> Tensors:
    """``u + N(0, std^2)`` in every entry."""
    return {
        name: value + std * torch.randn(value.shape, generator=generator).to(value)
        for name, value in update.items()
    }
