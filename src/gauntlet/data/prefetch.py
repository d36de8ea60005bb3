"""Batches of photos, decoded in the background while the network computes.

Threads do it: decoding and resizing release the interpreter, and the bytes are mapped, so nothing is copied
between processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gauntlet.core.seeds import stream
from gauntlet.data.photos import cores

if TYPE_CHECKING:
    from gauntlet.data.photos import Crop, Photos

BLOCK = 8  # photos that one task decodes, at most


def batches(
    photos: Photos,
    groups: Iterable[Sequence[int]],
    crop: Crop,
    *,
    seed: int = 0,
    epoch: int = 0,
    workers: int | None = None,
    ahead: int = 2,
    pin: bool = False,
) -> Iterator[Tensor]:
    """The photos of each group of rows, cut by ``crop``: uint8 (b, 3, size, size), in the groups' order.

    A crop's random numbers depend on ``seed``, ``epoch`` and the photo's row alone, so neither the number of
    workers nor the order of the rows changes a photo.

    Args:
        groups: rows of ``photos``, one sequence per batch; read as batches are wanted.
        epoch: any counter; a photo is cut alike wherever it occurs under one value of it.
        workers: threads; as many as this process has cores when None.
        ahead: batches in memory beside the one in use.
        pin: give out batches in page-locked memory, which a GPU copies without waiting.

    Raises:
        GauntletError: a photo does not decode; see ``Photos.view``. No thread is left, then as after an
            early end of the loop.
    """
    workers = workers or cores()
    key = stream(seed, "photos").generate_state(2, np.uint64)

    def fill(batch: np.ndarray, first: int, rows: Sequence[int]) -> None:
        for place, row in enumerate(map(int, rows), first):
            uniforms = _uniforms(key, epoch, row, crop.draws) if crop.draws else None
            batch[place] = photos.view(row, crop, uniforms).numpy()

    def start(rows: Sequence[int]) -> tuple[Tensor, list[Future]]:
        batch = torch.empty((len(rows), 3, crop.size, crop.size), dtype=torch.uint8, pin_memory=pin)
        step = max(1, min(BLOCK, len(rows) // (2 * workers)))
        firsts = range(0, len(rows), step)
        array = batch.numpy()  # its copies take no threads of torch's
        return batch, [pool.submit(fill, array, first, rows[first : first + step]) for first in firsts]

    pool = ThreadPoolExecutor(workers, thread_name_prefix="photos")
    under_way: deque[tuple[Tensor, list[Future]]] = deque()
    try:
        for rows in groups:
            under_way.append(start(rows))
            if len(under_way) > ahead:
                yield _finished(*under_way.popleft())
        while under_way:
            yield _finished(*under_way.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(batch: Tensor, tasks: list[Future]) -> Tensor:
    for task in tasks:
        task.result()
    return batch


def _uniforms(key: np.ndarray, epoch: int, row: int, count: int) -> np.ndarray:
    """float64 (count,) in [0, 1): the generator counts from a place of the row's own."""
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, row, epoch])).random(count)
