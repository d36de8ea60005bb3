"""The IDX format of MNIST and its relatives (yann.lecun.com/exdb/mnist)."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.registry import Entry

#: Third byte of the magic number: the element type, big-endian.
RANK_MAX = 4  # images in colour
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file, in native byte order.

    The header's dimensions are compared with the file's size before anything is allocated.

    Raises:
        GauntletError: not IDX, truncated, longer than its header says, empty, or of more than 4 dimensions.
    """

    def refuse(problem: str) -> GauntletError:
        return GauntletError(f"not a valid IDX file: {problem}", file=path, remedy="fetch the file again")

    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not magic[3]:
            raise refuse("it does not start with an IDX magic number")
        rank = magic[3]
        header = file.read(4 * rank)
        if len(header) < 4 * rank:
            raise refuse("its header is cut short")
        if rank > RANK_MAX:
            raise refuse(f"it has {rank} dimensions; images have at most {RANK_MAX}")
        shape = struct.unpack(f">{rank}I", header)
        dtype = np.dtype(TYPES[magic[2]])
        expected = 4 + 4 * rank + math.prod(shape) * dtype.itemsize
        if size != expected:
            raise refuse(f"its header {shape} needs {expected} bytes, the file has {size}")
        if not math.prod(shape):
            raise refuse(f"there is nothing in it, its header is {shape}")
        values = np.fromfile(file, dtype, count=math.prod(shape))
    return values.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


@register("reader", "idx")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Four IDX files: images (n, H, W) or (n, C, H, W), labels (n,)."""
    arrays = {role: read_idx(path) for role, path in files.items()}
    for role in ("train_images", "test_images"):
        if arrays[role].ndim == 3:
            arrays[role] = arrays[role][:, None]
    return arrays
