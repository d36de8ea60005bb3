"""Trained networks in one safetensors file per job.

Keys are ``seed{k}.member{i}.{state_dict key}`` and ``seed{k}.member{i}.proxies``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import atomic
from gauntlet.models import build
from gauntlet.models.ensemble import Ensemble


def save(path: Path, seeds: dict[int, list[dict[str, Tensor]]]) -> None:
    """Write the weights (with proxies) of every member of every seed; the same weights, the same bytes."""
    tensors = {
        f"seed{seed}.member{index}.{key}": value.detach().cpu().contiguous()
        for seed, members in seeds.items()
        for index, weights in enumerate(members)
        for key, value in weights.items()
    }
    with atomic(path) as temporary:
        save_file(tensors, temporary)


def read(path: Path, seed: int) -> list[dict[str, Tensor]]:
    """The members' weights of one seed, with the key ``proxies`` among them.

    Raises:
        GauntletError: the file is absent or damaged, or has no such seed.
    """
    members: dict[int, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a dict
                head, member, key = name.split(".", 2)
                if head == f"seed{seed}":
                    index = int(member.removeprefix("member"))
                    members.setdefault(index, {})[key] = file.get_tensor(name)
    except FileNotFoundError as error:
        raise GauntletError("no such file", file=path, remedy="train the model first") from error
    except (SafetensorError, ValueError) as error:
        raise GauntletError(
            f"damaged weights ({error})", file=path, remedy="delete it and train again"
        ) from error
    if not members:
        raise GauntletError(f"holds no weights of seed {seed}", file=path, remedy="train that seed first")
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
    for weights in read(path, seed):
        proxies = weights.pop("proxies")
        net: nn.Module = build(architecture, channels, size, embedding=proxies.shape[1])
        try:
            net.load_state_dict(weights)
        except RuntimeError as error:
            raise GauntletError(
                f"these are not weights of {architecture!r}", file=path, remedy="train the model again"
            ) from error
        members.append(net)
    return Ensemble(members).to(device).eval().requires_grad_(False)
