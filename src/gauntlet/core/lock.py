"""One process at a time per cell, over all machines that share the file system."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gauntlet.core.errors import GauntletError


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """Run the block while no other process runs one with this ``path``; wait for it, and say so.

    Slurm may start a job a second time while the first still runs, for instance when a node stops answering.
    The lock is the kernel's (``flock``, which NFS passes on to its server): it ends with its process, however
    that ends.

    Raises:
        GauntletError: the file system has no locks, or the folder is read-only.
    """
    path = Path(path)
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"{path}: another process works on this; waiting for its end", file=sys.stderr, flush=True)
            lock.acquire(poll_interval=1)
    except (NotImplementedError, OSError) as error:
        raise GauntletError(
            f"cannot lock here ({error})",
            file=path,
            remedy="put .gauntlet/ where files can be written and locked",
        ) from error
    try:
        yield
    finally:
        lock.release()
