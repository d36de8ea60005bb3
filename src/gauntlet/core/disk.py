"""Room on a disk: asked for before it is needed, and one message for when it is gone."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gauntlet.core.errors import GauntletError

#: No room: on the disk, in the user's quota, or for a file so large (``ulimit -f``, some file systems).
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoRoom(GauntletError):
    """A disk that is full, or too small for what is to come. Another source would not help."""


def require(folder: Path, needed: int, purpose: str) -> None:
    """Raise NoRoom unless the disk of ``folder``, which need not exist yet, has ``needed`` bytes left."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise NoRoom(
            f"{purpose} needs {size(needed)} here, and {size(free)} are free",
            file=folder,
            remedy=f"free {size(needed - free)}, or make {folder} a link to a folder on a larger disk",
        )


@contextmanager
def explained(folder: Path, remedy: str) -> Iterator[None]:
    """Turn the system's error of a full disk into NoRoom."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise NoRoom(f"the disk is full ({error.strerror})", file=folder, remedy=remedy) from error


def size(count: float) -> str:
    """``1.2 GB``"""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
