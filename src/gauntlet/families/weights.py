"""Trained weights of a block of seeds in one safetensors file; keys are ``seed{k}.{name}``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import atomic


def save(path: str | Path, seeds: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Write the tensors of every seed; the same weights, the same bytes."""
    tensors = {
        f"seed{seed}.{name}": value.detach().cpu().contiguous()
        for seed, weights in seeds.items()
        for name, value in weights.items()
    }
    with atomic(path) as temporary:
        save_file(tensors, temporary)


def read(path: str | Path, seed: int) -> dict[str, Tensor]:
    """The tensors of one seed, by name, on the CPU.

    Raises:
        GauntletError: the file is absent or damaged, or has no such seed.
    """
    prefix = f"seed{seed}."
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - not a dict
            found = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except FileNotFoundError as error:
        raise GauntletError("no such file", file=path, remedy="train the model first") from error
    except (SafetensorError, ValueError) as error:
        raise GauntletError(
            f"damaged weights ({error})", file=path, remedy="delete it and train again"
        ) from error
    if not found:
        raise GauntletError(f"holds no weights of seed {seed}", file=path, remedy="train that seed first")
    return found
