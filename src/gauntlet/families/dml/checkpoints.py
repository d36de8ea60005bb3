"""Trained networks in one safetensors file per job.

Keys are ``seed{k}.member{i}.{state_dict key}`` and ``seed{k}.member{i}.proxies``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.families import weights
from gauntlet.models import restore
from gauntlet.models.ensemble import Ensemble


def flat(members: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """One seed's members (their weights, with proxies) as one dict."""
    return {f"member{index}.{key}": value for index, own in enumerate(members) for key, value in own.items()}


def read(path: Path, seed: int) -> dict[int, dict[str, Tensor]]:
    """The members' weights of one seed by the member's number, with the key ``proxies`` among them.

    Raises:
        GauntletError: the file is absent or damaged, or has no such seed.
    """
    members: dict[int, dict[str, Tensor]] = {}
    for name, value in weights.read(path, seed).items():
        member, key = name.split(".", 1)
        members.setdefault(int(member.removeprefix("member")), {})[key] = value
    return dict(sorted(members.items()))


def load(
    path: Path,
    seed: int,
    architecture: str,
    channels: int,
    size: int,
    device: torch.device | str = "cpu",
    members: int | None = None,
) -> Ensemble:
    """The trained ensemble of one seed (of one member, for single networks), in eval mode.

    Args:
        path: what ``families.weights.save`` wrote.
        seed: which seed.
        architecture: a file in ``gauntlet/models/``.
        channels, size: of the images.
        members: how many there must be; None takes those that there are.

    Raises:
        GauntletError: as ``read``; a member, or a tensor of one, is missing, of another network, or not
            finite.
    """
    found, nets = read(path, seed), []
    for member in range(max(found, default=0) + 1 if members is None else members):
        if member not in found:
            raise GauntletError(
                f"holds no weights of member {member} of seed {seed}",
                file=path,
                remedy="train the model again",
            )
        own = {key: value for key, value in found[member].items() if key != "proxies"}  # for training alone
        for key, value in own.items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise GauntletError(
                    f"{key} of member {member} of seed {seed} holds NaN or infinity",
                    file=path,
                    remedy="train the model again, at a lower rate if it diverged",
                )
        nets.append(restore(architecture, channels, size, own, file=path, key=f"seed{seed}.member{member}"))
    return Ensemble(nets).to(device).eval().requires_grad_(False)
