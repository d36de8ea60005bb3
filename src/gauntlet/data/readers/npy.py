"""Arrays in NumPy's own format; nothing in them is unpickled."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError


def array(content: bytes, file: Path, key: str, shape: tuple[int, ...], kind: type) -> np.ndarray:
    """The array in the file ``key`` of the archive ``file``, whose header is looked at first.

    Args:
        kind: of its elements, such as ``numpy.uint8`` or ``numpy.integer``.

    Raises:
        GauntletError: not such a file, or an array of another shape or type.
    """

    def refuse(problem: object) -> GauntletError:
        return GauntletError(
            f"not the published array ({problem})", file=file, key=key, remedy="fetch it again"
        )

    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
        found, by_column, dtype = header(stream)
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged header makes the parser raise
        raise refuse(error) from error
    if found != shape or not np.issubdtype(dtype, kind):
        raise refuse(f"{dtype} {found}, not {kind.__name__} {shape}")
    if len(content) - stream.tell() != int(np.prod(shape)) * dtype.itemsize:
        raise refuse("it is cut short, or too long")
    values = np.frombuffer(content, dtype, offset=stream.tell())
    return values.reshape(shape, order="F" if by_column else "C")
