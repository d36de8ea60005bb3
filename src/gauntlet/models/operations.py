"""What one image costs a network: multiplications and additions of convolutions and linear layers."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from gauntlet.core.digest import code_digest
from gauntlet.core.files import read_json, write_json
from gauntlet.core.registry import PACKAGE, home

#: What was counted before: torchvision alone takes seconds to import.
KNOWN = Path(".gauntlet/sizes.json")


class Size(NamedTuple):
    """``operations`` of one image's forward pass (a multiplication and an addition are two), and how many
    numbers its weights are."""

    operations: int
    weights: int


@cache
def size(kind: str, architecture: str, channels: int, pixels: int, outputs: int) -> Size:
    """The size of a registered network on images (``channels``, ``pixels``, ``pixels``); counted once.

    Args:
        kind: ``model`` or ``classifier``.
        outputs: embedding dimension, or classes.

    Raises:
        GauntletError: no such network.
    """
    room = ".".join(("gauntlet", *home(kind).relative_to(PACKAGE).parts))
    code = code_digest(room, methods=((kind, architecture),))
    key = f"{kind} {architecture} {channels} {pixels} {outputs} {code}"
    known = read_json(KNOWN) if KNOWN.is_file() else {}
    if key not in known:
        known[key] = list(count(import_module(room).build, architecture, channels, pixels, outputs))
        write_json(KNOWN, known)
    return Size(*known[key])


def count(build, architecture: str, channels: int, pixels: int, outputs: int) -> Size:
    """The size of ``build(architecture, channels, pixels, outputs)``, whose weights are left as they are."""
    import torch
    import torch.nn.functional as F
    from torch.overrides import TorchFunctionMode

    draws = (torch.Tensor.normal_, torch.Tensor.uniform_)

    # torch's own FlopCounterMode counts the same, and takes seconds to import.
    class Counter(TorchFunctionMode):
        products = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function in draws or getattr(function, "__module__", "") == "torch.nn.init":
                return args[0] if args else kwargs["tensor"]
            out = function(*args, **(kwargs or {}))
            if function in (F.conv2d, F.linear):
                weight = args[1] if len(args) > 1 else kwargs["weight"]
                self.products += out.numel() * weight[0].numel()
            return out

    with Counter() as counter, torch.no_grad():
        net = build(architecture, channels, pixels, outputs).eval()
        net(torch.zeros(1, channels, pixels, pixels))
    return Size(2 * counter.products, sum(value.numel() for value in net.state_dict().values()))
