"""Structs, texts and numbers in MATLAB's format 5. Nothing in such a file is executed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError

#: Kinds of arrays of numbers.
NUMBERS = (
    "double",
    "single",
    "logical",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)


def structs(content: bytes, file: Path, name: str, fields: Sequence[str]) -> dict[str, np.ndarray]:
    """The fields of a 1 x n array of structs, each (n,): text as str, numbers as int64.

    Args:
        content: of a .mat file, which is ``file`` or in the archive ``file``.
        name: of the array.

    Raises:
        GauntletError: not such a file, or not such an array.
    """
    found = np.atleast_1d(_load(content, file, name, "struct"))
    if missing := [field for field in fields if field not in (found.dtype.names or ())]:
        raise _refuse(file, name, f"its structs have no field {missing[0]!r}")
    try:
        return {field: _plain(found[field]) for field in fields}
    except (TypeError, ValueError) as error:
        raise _refuse(file, name, f"a field is neither text nor a number ({error})") from error


def cells(content: bytes, file: Path, name: str) -> list[str]:
    """The texts of a 1 x n cell array. Raises GauntletError as ``structs``."""
    return [str(cell) for cell in np.atleast_1d(_load(content, file, name, "cell"))]


def vector(content: bytes, file: Path, name: str) -> np.ndarray:
    """The numbers of a row or a column, float64 (n,). Raises GauntletError as ``structs``."""
    return np.atleast_1d(_load(content, file, name, *NUMBERS)).astype(np.float64).reshape(-1)


def _plain(column: np.ndarray) -> np.ndarray:
    values = column.tolist()
    if all(isinstance(value, str) for value in values):
        return np.array(values)
    return np.array([int(value) for value in values], np.int64)


def _load(content: bytes, file: Path, name: str, *wanted: str) -> np.ndarray:
    from scipy.io import loadmat, whosmat

    try:
        kinds = {found: what for found, _, what in whosmat(io.BytesIO(content))}
        if kinds.get(name) not in wanted:
            raise _refuse(file, name, f"it has no {wanted[0]} array of this name")
        return loadmat(io.BytesIO(content), variable_names=[name], squeeze_me=True)[name]
    except GauntletError:
        raise
    except Exception as error:  # whatever a damaged file makes the reader raise
        raise _refuse(
            file, name, f"not a MATLAB file of format 5 ({type(error).__name__}: {error})"
        ) from error


def _refuse(file: Path, key: str, problem: str) -> GauntletError:
    return GauntletError(problem, file=file, key=key, remedy="fetch the file again")
