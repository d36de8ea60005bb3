"""Rows of drawn and measured tables: choosing them, and the cells and numbers behind them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.tables.every import KEYS
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.vocabulary import BLOCK, CELL

#: Drawn and measured means are the same number but for this (relative).
ROUNDING = 1e-9


def choose(frame, where: Mapping[str, str], what: str):
    """The rows whose columns have these values.

    Args:
        what: what the rows are of, for errors.

    Raises:
        GauntletError: no such column, or no row is left.
    """
    for column, value in where.items():
        if column not in frame.columns:
            raise GauntletError(
                f"{what} has no column {column!r}", remedy=did_you_mean(column, map(str, frame.columns))
            )
        chosen = frame[[_same(cell, value) for cell in frame[column]]]
        if chosen.empty:
            there = sorted({_text(cell) for cell in frame[column]})
            close = difflib.get_close_matches(value, there, n=3) or there[:10]
            raise GauntletError(
                f"{what} has no row with {column}={value} and what was chosen before",
                remedy=f"there are {column}={f', {column}='.join(close)}" if len(frame) else None,
            )
        frame = chosen
    return frame


def _same(cell: Any, value: str) -> bool:
    if isinstance(cell, float):
        try:
            return math.isclose(cell, float(value), rel_tol=ROUNDING)
        except ValueError:
            return False
    return _text(cell) == value


def _text(cell: Any) -> str:
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


def cells_of(frame, study: Study, measurements: Measurements) -> dict[tuple[str, ...], set[int] | None]:
    """The cells (dataset, setting, architecture, method) that rows are of -> their seeds; None for all.

    A column that is not there, or whose value no cell has (a mean over ``all`` datasets), leaves it open.
    Tables name blocks and methods by their labels.
    """
    cells = {tuple(cell[key] for key in CELL) for cell in measurements.manifest["cells"]}
    named = {cell: dict(zip(CELL, cell, strict=True)) for cell in cells}
    if "block" in frame.columns:
        named = {
            cell: {"block": study.block_label(*cell[: len(BLOCK)]), "method": study.label(cell[-1])}
            for cell in cells
        }
    columns = [key for key in ("block", *CELL) if key in frame.columns]
    known = {key: {names.get(key) for names in named.values()} for key in columns}
    found: dict[tuple[str, ...], set[int] | None] = {}
    for *values, seed in (
        frame.assign(seed=frame.get("seed"))[[*columns, "seed"]].drop_duplicates().to_numpy()
    ):
        given = {key: value for key, value in zip(columns, values, strict=True) if value in known[key]}
        for cell, names in named.items():
            if all(names.get(key) == value for key, value in given.items()):
                if seed is None:
                    found[cell] = None
                else:
                    found.setdefault(cell, set()).add(int(seed))
    return found


def behind(row: Mapping[str, Any], scores) -> list[dict[str, Any]]:
    """The measured scores, one per seed, whose mean a drawn row shows; empty where it shows something else.

    They have the row's values in all columns that both have, and that mean. Of several that do, such as a
    sweep's point at the headline budget, those of the row's suite (``sweep``, else ``main``) are meant.
    """
    if not isinstance(row.get("mean"), float):
        return []
    keys = [*CELL, *(key for key in KEYS["scores"] if key != "seed")]
    for key in keys:
        if key in row:
            scores = scores[scores[key] == row[key]]
    same = [
        group
        for _, group in scores.groupby([key for key in keys if key not in row] or keys, sort=False)
        if math.isclose(group["value"].mean(), row["mean"], rel_tol=ROUNDING, abs_tol=ROUNDING)
    ]
    same.sort(key=lambda group: group["suite"].iloc[0] != row.get("sweep", "main"))
    return same[0].to_dict("records") if same else []
