"""Shadow models in a cell's file."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gauntlet.models.copies import State
from gauntlet.models.stacked import stack


def packed(models: list[State], inside: np.ndarray) -> dict[str, Tensor]:
    """m models side by side under ``models.``, and (m, pool) bool, what each has trained on."""
    stacked = {f"models.{name}": value for name, value in stack(models).items()}
    return {**stacked, "inside": torch.from_numpy(inside)}


def unpacked(tensors: dict[str, Tensor], device: torch.device) -> tuple[list[State], np.ndarray]:
    """The inverse of ``packed``; models on the device."""
    inside = tensors["inside"].numpy()
    stacked = {
        name.removeprefix("models."): value.to(device) for name, value in tensors.items() if name != "inside"
    }
    return [{name: value[i] for name, value in stacked.items()} for i in range(len(inside))], inside
