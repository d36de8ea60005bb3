"""Trained networks in one safetensors file per job.

Keys are ``seed{k}.member{i}.{state_dict key}`` and ``seed{k}.member{i}.proxies``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gauntlet.families import weights
from gauntlet.models import restore
from gauntlet.models.ensemble import Ensemble


def flat(members: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """One seed's members (their weights, with proxies) as one dict."""
    return {f"member{index}.{key}": value for index, own in enumerate(members) for key, value in own.items()}


def read(path: Path, seed: int) -> list[dict[str, Tensor]]:
    """The members' weights of one seed, with the key ``proxies`` among them.

    Raises:
        GauntletError: the file is absent or damaged, or has no such seed.
    """
    members: dict[int, dict[str, Tensor]] = {}
    for name, value in weights.read(path, seed).items():
        member, key = name.split(".", 1)
        members.setdefault(int(member.removeprefix("member")), {})[key] = value
    return [members[index] for index in sorted(members)]


def load(
    path: Path, seed: int, architecture: str, channels: int, size: int, device: torch.device | str = "cpu"
) -> Ensemble:
    """The trained ensemble of one seed (of one member, for single networks), in eval mode.

    Args:
        path: what ``save`` wrote.
        seed: which seed.
        architecture: a file in ``gauntlet/models/``.
        channels, size: of the images.
    """
    members = []
    for own in read(path, seed):
        del own["proxies"]  # for training alone
        members.append(restore(architecture, channels, size, own, file=path))
    return Ensemble(members).to(device).eval().requires_grad_(False)
