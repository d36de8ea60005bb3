"""What is known of a federation when it has ended: its model or its clients', and shared samples."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.models.copies import State, state_of


@dataclass(frozen=True)
class Samples:
    """Distilled samples: ``images`` (r, C, H, W), the (r,) ``classes`` and ``clients`` that they are for and
    from."""

    images: Tensor
    classes: Tensor
    clients: Tensor


@dataclass(frozen=True)
class Released:
    """``models``: (client, network) pairs, the client None for the model of all; ``samples``, if any."""

    models: list[tuple[int | None, nn.Module]]
    samples: Samples | None


def released(tensors: dict[str, Tensor], new: Callable[[], nn.Module], device: torch.device) -> Released:
    """Read the tensors of one seed: the model's by name, under ``client<k>.`` where each client has its own,
    and under ``distilled.`` what was shared.

    Args:
        new: () -> a network to load a model into.

    Raises:
        GauntletError: the tensors are not those of this network.
    """
    states: dict[int | None, State] = {}
    shared: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name.startswith("distilled."):
            shared[name.removeprefix("distilled.")] = value.to(device)
        elif match := re.fullmatch(r"client(\d+)\.(.+)", name):
            states.setdefault(int(match[1]), {})[match[2]] = value
        else:
            states.setdefault(None, {})[name] = value
    models = [(client, _loaded(new(), states[client])) for client in sorted(states, key=lambda k: k or 0)]
    samples = Samples(shared["images"], shared["class"], shared["client"]) if shared else None
    return Released(models, samples)


def _loaded(net: nn.Module, state: State) -> nn.Module:
    """``net`` with these weights; counters of BatchNorm, which nothing reads, are not among them."""
    own = state_of(net)
    if {name: value.shape for name, value in own.items()} != {
        name: value.shape for name, value in state.items()
    }:
        raise GauntletError("these are not weights of this network", remedy="train the federation again")
    net.load_state_dict(state, strict=False)
    return net.requires_grad_(False)
