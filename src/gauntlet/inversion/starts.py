"""Where a search begins. Drawn on the CPU from the generator of one target and restart, so that devices and
packings agree."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError, did_you_mean

#: (shape, generator) -> images, not all in [0, 1].
STARTS: dict[str, Callable[[tuple[int, ...], torch.Generator], Tensor]] = {
    "normal": lambda shape, generator: torch.randn(shape, generator=generator),
    "uniform": lambda shape, generator: torch.rand(shape, generator=generator),
    "grey": lambda shape, generator: torch.full(shape, 0.5),
}


def start(name: str) -> Callable[[tuple[int, ...], torch.Generator], Tensor]:
    """Raises GauntletError when there is none of this name."""
    if name not in STARTS:
        raise GauntletError(f"unknown start {name!r}", remedy=did_you_mean(name, STARTS))
    return STARTS[name]
