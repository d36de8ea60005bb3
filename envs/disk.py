"""Room for the environment, checked before anything is fetched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bootstrap import SetupError

#: Download and disk size in GB on x86-64 Linux, measured.
SIZES = {"cpu": (3.3, 6.2), "test": (3.4, 6.3), "gpu": (4.3, 7.6)}
#: The same with PyTorch's CPU build, reckoned from the sizes of the packages that it replaces.
SIZES_TORCH_CPU = {"cpu": (0.7, 1.8), "test": (0.8, 1.9)}


def sizes(names, torch_index):
    key = next(name for name in ("gpu", "test", "cpu") if name in names)
    return (SIZES_TORCH_CPU if torch_index else SIZES)[key]


def existing_parent(path):
    while not path.exists():
        path = path.parent
    return path


def free_gb(path):
    """Free space in GB; GAUNTLET_FREE_GB stands in for it (0 to see the message, inf to skip the check)."""
    claimed = os.environ.get("GAUNTLET_FREE_GB")
    return float(claimed) if claimed else shutil.disk_usage(existing_parent(path)).free / 1e9


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("UV_CACHE_DIR") or Path(base) / "uv")


def check(venv, need):
    """uv links files from its cache into ``.venv``; on two disks each needs the room."""
    for place, what in ((venv.parent, "the environment"), (cache_folder(), "uv's cache")):
        free = free_gb(place)
        if free < need + 0.3:
            raise SetupError(
                f"{existing_parent(place)} has {free:.1f} GB free and {what} needs {need + 0.3:.1f} GB; "
                "free some space, move uv's cache with UV_CACHE_DIR, or, when the packages are cached "
                "already, skip this check with GAUNTLET_FREE_GB=inf"
            )


def same(first, second):
    return os.stat(existing_parent(first)).st_dev == os.stat(existing_parent(second)).st_dev
