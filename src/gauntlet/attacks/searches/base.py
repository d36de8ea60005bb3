"""What a search is, and the budget that it keeps to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gauntlet.attacks.norms import ball
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create

Objective = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Budget:
    """What a search may spend.

    Attributes:
        eps: radius of the ball, in pixel units of ``norm``.
        step: step size or learning rate, in pixel units; not used by searches without steps.
        steps: iterations; what one costs is the search's own matter.
        norm: ``linf`` or ``l2``.
        start_eps: radius of the random start.
    """

    eps: float
    step: float
    steps: int
    norm: str
    start_eps: float

    def __post_init__(self):
        for name in ("eps", "start_eps", "step", "steps"):
            value = getattr(self, name)
            if not 0 <= value < math.inf or (name == "step" and value == 0):
                least = "more than 0" if name == "step" else "0 or more"
                raise GauntletError(f"no attack has {name} {value}", key=name, remedy=f"set {least}")


class Search:
    """Base of all searches. Options are annotated keyword parameters of ``__init__``, each with a default;
    they become the keys of a configuration's ``options``.

    Attributes:
        gradients: it backpropagates. If not, it gets all images at once (their forward passes go in
            batches), and objectives of one score per image only.
        stateless: it steps along the gradient of where it is, as PGD does, and remembers nothing: the images
            of a joint attack then need not be on the device together (``attacks.joint``).
        norms: the norms that it keeps to.
    """

    gradients: bool = True
    stateless: bool = False
    norms: tuple[str, ...] = ("linf", "l2")

    def start(self, x: Tensor, budget: Budget, generator: torch.Generator) -> Tensor:
        """Where one restart begins, for all images of the attack at once."""
        return ball(budget.norm).start(x, budget.start_eps, generator)

    def __call__(
        self,
        objective: Objective,
        x: Tensor,
        starts: list[Tensor],
        budget: Budget,
        generator: torch.Generator,
    ) -> Tensor:
        """Images near ``x`` that (locally) maximise ``objective``.

        Args:
            objective: maps (n, C, H, W) images to (n,) scores, each of its own image alone, or to one scalar.
            x: (n, C, H, W) images in [0, 1].
            starts: one tensor like ``x`` per restart; not changed.
            generator: CPU generator of further draws. Searches with ``gradients`` draw none: they are
                called batch by batch, and the size of a batch must change nothing.

        Returns: tensor like ``x``, detached, within the budget and [0, 1].

        Raises: GauntletError when the objective or its gradient is not finite.
        """
        raise NotImplementedError

    def passes(self, steps: int, restarts: int) -> float:
        """Forward-backward passes per image; a forward pass alone counts half."""
        raise NotImplementedError


def make(name: str, norm: str = "linf", options: dict[str, Any] | None = None) -> Search:
    """The registered search called ``name``.

    Raises:
        GauntletError: there is no such search, it does not take these options, or not keep to this norm.
    """
    search = create("search", name, options or {}, key="options")
    if norm not in search.norms:
        raise GauntletError(
            f"search {name!r} does not keep to the norm {norm!r}",
            key="norm",
            remedy=f"it has {', '.join(search.norms)}",
        )
    return search
