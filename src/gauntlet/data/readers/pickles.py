"""What a pickle holds, read without running anything of it.

A pickle is a program that calls functions by name. Here each name stands for nothing but itself: a call is
written down, not made, and only the names by which NumPy stores an array of bytes may occur at all.
"""

from __future__ import annotations

import math
import pickle
import pickletools
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError

#: What NumPy calls to restore an array (before and after 2.0), and Python 3 for bytes in the older protocols.
NAMES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _Call:
    """A call that was written down: the function's name, its arguments, and the state set afterwards."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple):
        self.name, self.arguments, self.state = name, arguments, None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Name:
    """Stands for a function or class."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __call__(self, *arguments: object) -> _Call:
        return _Call(self.name, arguments)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Name:
        if (module, name) not in NAMES:
            raise ValueError(f"it calls {module}.{name}")
        return _Name(name)


def load_pickle(path: Path) -> object:
    """Dictionaries, lists, text and numbers as they are; an array as what ``byte_array`` takes.

    Raises:
        GauntletError: no pickle, or one that calls anything but what restores an array.
    """
    try:
        with open(path, "rb") as file:
            for place, (code, argument, _) in enumerate(pickletools.genops(file)):
                if (
                    "PUT" in code.name and argument > place
                ):  # the memo's size, which the reader would allocate
                    raise ValueError(f"it keeps value {argument} of {place}")
            file.seek(0)
            return _Reader(file, encoding="latin1").load()
    except Exception as error:  # whatever a damaged file makes the reader raise
        raise refuse(path, f"{type(error).__name__}: {error}") from error


def byte_array(found: object, path: Path) -> np.ndarray:
    """The array uint8 that ``found`` describes. Raises GauntletError for anything else."""
    try:
        _, shape, kind, by_column, content = found.state
        if found.name != "_reconstruct" or (kind.name, kind.arguments[0]) != ("dtype", "u1"):
            raise ValueError("not an array of bytes")
        if isinstance(content, _Call):
            content, coding = content.arguments
            if coding != "latin1":
                raise ValueError(f"bytes as {coding}")
        if isinstance(content, str):
            content = content.encode("latin1")
        if math.prod(shape) != len(content):
            raise ValueError(f"{len(content)} bytes for the shape {shape}")
        return np.frombuffer(content, np.uint8).reshape(shape, order="F" if by_column else "C")
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise refuse(path, f"no array of bytes, {error}") from error


def refuse(path: Path, problem: str) -> GauntletError:
    """The error for a pickle that is not what the publisher's is."""
    return GauntletError(f"refused: not the published pickle ({problem})", file=path, remedy="fetch it again")
