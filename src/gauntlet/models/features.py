"""What a classifier makes of images before it decides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError

#: Images per forward pass; bounds memory, changes no result beyond rounding.
BATCH = 500


def penultimate(net: nn.Module, images: Tensor) -> Tensor:
    """(n, D) what enters the last linear layer, of (n, C, H, W) images, in the mode that the net is in.

    Raises:
        GauntletError: there is no linear layer.
    """
    layers = [module for module in net.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise GauntletError(f"no linear layer in a {type(net).__name__}", remedy="choose another network")
    found: list[Tensor] = []
    hook = layers[-1].register_forward_pre_hook(lambda _, given: found.append(given[0]))
    try:
        with torch.inference_mode():
            for part in images.split(BATCH):
                net(part)
    finally:
        hook.remove()
    return torch.cat(found)
