"""What one image costs a network: multiplications and additions of convolutions and linear layers."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import NamedTuple

from gauntlet.core.registry import PACKAGE, home


class Size(NamedTuple):
    """``operations`` of one image's forward pass (a multiplication and an addition are two), and the
    numbers in ``weights``."""

    operations: int
    weights: int


@cache
def size(kind: str, architecture: str, channels: int, pixels: int, outputs: int) -> Size:
    """The size of a registered network on images (``channels``, ``pixels``, ``pixels``).

    Args:
        kind: ``model`` or ``classifier``.
        outputs: embedding dimension, or classes.

    Raises:
        GauntletError: no such network.
    """
    import torch

    room = ".".join(("gauntlet", *home(kind).relative_to(PACKAGE).parts))
    with torch.random.fork_rng(devices=[]):
        net = import_module(room).build(architecture, channels, pixels, outputs).eval()
    with _counter() as counted, torch.no_grad():
        net(torch.zeros(1, channels, pixels, pixels))
    return Size(2 * counted.products, sum(value.numel() for value in net.state_dict().values()))


def _counter():
    """Counts the products of every convolution and linear layer that runs under it.

    (torch's own FlopCounterMode counts the same, and takes seconds to import.)
    """
    import torch.nn.functional as F
    from torch.overrides import TorchFunctionMode

    class Counter(TorchFunctionMode):
        products = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            if function in (F.conv2d, F.linear):
                weight = args[1] if len(args) > 1 else kwargs["weight"]
                self.products += out.numel() * weight[0].numel()
            return out

    return Counter()
