"""Structs, texts and numbers in MATLAB's format 5. Nothing in such a file is executed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.data.readers import matlab


def structs(content: bytes, file: Path, name: str, fields: Sequence[str]) -> dict[str, np.ndarray]:
    """The fields of a 1 x n array of structs, each (n,): text as str, numbers as int64.

    Args:
        content: of a .mat file, which is ``file`` or in the archive ``file``.
        name: of the array.

    Raises:
        GauntletError: not such a file, or not such an array.
    """
    found = matlab.load(content, file, name)
    if not isinstance(found, dict):
        raise _refuse(file, name, "it has no struct array of this name")
    if missing := [field for field in fields if field not in found]:
        raise _refuse(file, name, f"its structs have no field {missing[0]!r}")
    try:
        return {field: _plain(found[field]) for field in fields}
    except (TypeError, ValueError, OverflowError) as error:
        raise _refuse(file, name, f"a field is neither text nor a number ({error})") from error


def cells(content: bytes, file: Path, name: str) -> list[str]:
    """The texts of a 1 x n cell array. Raises GauntletError as ``structs``."""
    found = matlab.load(content, file, name)
    if not isinstance(found, list) or not all(isinstance(cell, str) for cell in found):
        raise _refuse(file, name, "it has no cell array of texts of this name")
    return found


def vector(content: bytes, file: Path, name: str) -> np.ndarray:
    """The numbers of a row or a column, float64 (n,). Raises GauntletError as ``structs``."""
    found = matlab.load(content, file, name)
    if not isinstance(found, np.ndarray):
        raise _refuse(file, name, "it has no array of numbers of this name")
    return found.astype(np.float64).reshape(-1)


def _plain(values: list[matlab.Value]) -> np.ndarray:
    if all(isinstance(value, str) for value in values):
        return np.array(values, str)
    return np.array([int(np.asarray(value).item()) for value in values], np.int64)


def _refuse(file: Path, key: str, problem: str) -> GauntletError:
    return GauntletError(problem, file=file, key=key, remedy="fetch the file again")
