"""Gathered tables as DataFrames: the columns of the cell first, rows sorted, nothing measured twice."""

from __future__ import annotations

from collections.abc import Iterable

from gauntlet.core.errors import GauntletError
from gauntlet.core.tables.every import COLUMNS, KEYS
from gauntlet.report.vocabulary import CELL


def types(name: str) -> dict[str, str]:
    """Column -> type of a gathered table."""
    return {**dict.fromkeys(CELL, "str"), **COLUMNS[name]}


#: What a score row says of itself when it is of the deployed model, and nothing was attacked.
CLEAN = {
    "suite": "main",
    "attack": "clean",
    "eps": 0.0,
    "steps": 0,
    "fraction": 0.0,
    "view": "ensemble",
    "detail": "",
}


def as_scores(frame, **columns):
    """``frame`` (``CELL``, ``seed``, ``metric``, ``value``, ...) with these columns, and those of ``CLEAN``
    that it lacks: rows of ``scores``."""
    given = CLEAN | columns
    return frame.assign(
        **{column: given[column] for column in given if column in columns or column not in frame}
    )


def empty(name: str):
    """A gathered table without rows."""
    import pandas as pd

    return pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in types(name).items()})


def whole(name: str, parts: Iterable):
    """The rows of all parts as one table with the columns of ``types``, sorted by its keys.

    Raises:
        GauntletError: two rows measure the same thing.
    """
    import pandas as pd

    kinds, keys = types(name), [*CELL, *KEYS[name]]
    parts = [part[list(kinds)].astype(kinds) for part in parts if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else empty(name)
    if (double := table.duplicated(keys)).any():
        row = table.loc[double, keys].iloc[0].to_dict()
        raise GauntletError(
            f"two rows of {name} measure the same thing: {row}", remedy="check that blocks of seeds differ"
        )
    return table.sort_values(keys, kind="stable", ignore_index=True)
