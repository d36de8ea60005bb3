"""Datasets: a registry, and prepared sets that are verified and memory-mapped.

``load`` reads a prepared set; ``gauntlet.data.fetch`` obtains and prepares one.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from gauntlet.data.registry import folder, names, provenance

if TYPE_CHECKING:
    from gauntlet.data.dataset import AnySet, Dataset

__all__ = ["folder", "load", "names", "provenance"]


def load(
    name: str, folder: Path | None = None, splits: Collection[str] = ("train", "test")
) -> Dataset | AnySet:
    """The prepared dataset ``name``, verified; see ``gauntlet.data.dataset.load``."""
    from gauntlet.data.dataset import load

    return load(name, folder, splits)
