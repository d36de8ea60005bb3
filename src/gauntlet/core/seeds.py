"""One seed fans out into named streams, so that a new random draw in one place moves no other."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.SeedSequence:
    """The ``SeedSequence`` of the stream ``names`` under ``seed``.

    Streams with different names are independent; the same name always gives the same stream,
    whatever other streams exist. Names such as ``split``, ``init``, ``batches``, ``attack``.
    """
    key = tuple(zlib.crc32(str(name).encode()) for name in names)
    return np.random.SeedSequence(seed, spawn_key=key)


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator on the named stream."""
    return np.random.default_rng(stream(seed, *names))


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """torch's global generator is on the named stream inside, and where it was afterwards."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_generator(seed, *names).initial_seed())
        yield


def torch_generator(seed: int, *names: str | int):
    """A CPU ``torch.Generator`` on the named stream (drawn on the CPU, so devices agree)."""
    import torch

    state = stream(seed, *names).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))
