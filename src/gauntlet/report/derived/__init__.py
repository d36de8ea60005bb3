"""Derived scores: one file each, a function from a study's gathered tables to rows of ``scores``.

A derived function is registered under its file's name and takes ``(tables, **options)``: the tables are
DataFrames by name, those of the whole study, each with the columns ``CELL`` first, and its keyword-only
parameters are the options that a study's YAML may give. It changes no table, and returns a DataFrame with
``CELL``, ``seed``, ``metric`` and ``value``; the other columns of ``scores`` are as in ``frames.CLEAN``
unless it gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import module_path, resolve
from gauntlet.report.frames import as_scores, types, whole
from gauntlet.report.study import DerivedEntry

#: What the files of this folder register.
KIND = "derived"


def derive(tables: dict[str, Any], declared: Mapping[str, DerivedEntry]) -> tuple[Any, list[str]]:
    """The table ``scores`` with the rows that the declared functions give, and the names of their metrics.

    The functions are applied in the order of declaration, and see the rows of those before them.

    Args:
        tables: the gathered tables by name, ``scores`` among them.

    Raises:
        GauntletError: a function returns no such table, measures something twice, or gives a metric that
            jobs measure: what is derived must be known from its name.
    """
    tables, measured, metrics = dict(tables), set(tables["scores"]["metric"]), set()
    for name, entry in declared.items():
        rows = resolve(KIND, entry.derived)(dict(tables), **entry.options)
        rows = as_scores(rows)
        at = {"file": module_path(KIND, entry.derived), "key": f"derived.{name}"}
        if absent := [column for column in types("scores") if column not in rows]:
            raise GauntletError(
                f"the derived table lacks {', '.join(absent)}", **at, remedy="see docs/measurements.md"
            )
        if clash := sorted(measured & set(rows["metric"])):
            raise GauntletError(f"jobs measure {', '.join(clash)}", **at, remedy="give it another name")
        tables["scores"] = whole("scores", [tables["scores"], rows])
        metrics |= set(rows["metric"])
    return tables["scores"], sorted(metrics)
