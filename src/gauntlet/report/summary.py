"""Mean and 95% interval over seeds, per group: what figures draw and tables print."""

from __future__ import annotations

from collections.abc import Sequence

from gauntlet.report.claims.statistics import t_interval
from gauntlet.report.study import Study
from gauntlet.report.vocabulary import BLOCK


def summarise(rows, by: Sequence[str], value: str = "value"):
    """One row per group of ``by``: mean, low, high, half_width (NaN for one seed), seeds.

    Seeds whose value is not finite are left out and so lower ``seeds``.
    """
    import numpy as np
    import pandas as pd

    found = []
    for key, group in rows.groupby(list(by), sort=True):
        values = group[value].to_numpy()
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        interval = t_interval(values.tolist())
        half = np.nan if interval.half_width is None else interval.half_width
        found.append((*key, interval.mean, interval.mean - half, interval.mean + half, half, interval.n))
    return pd.DataFrame(found, columns=[*by, "mean", "low", "high", "half_width", "seeds"])


def blocks(frame) -> list[tuple[str, str, str]]:
    """The blocks (dataset, setting, architecture) of ``frame`` in order of appearance."""
    return list(frame[BLOCK].drop_duplicates().itertuples(index=False, name=None))


def choose(study: Study, rows, wanted: Sequence[str] | None) -> list[str]:
    """The methods to show, in the study's order: those of ``wanted`` (all when None) that are in ``rows``."""
    measured = set(rows["method"])
    return [m for m in study.methods if m in measured and (wanted is None or m in wanted)]


def seeds_note(frame) -> str:
    """``5 seeds`` or ``3 to 5 seeds``, from a frame with a column ``seeds``."""
    if not len(frame):
        return "no seeds"
    low, high = int(frame["seeds"].min()), int(frame["seeds"].max())
    if low == high:
        return f"{low} seed{'' if low == 1 else 's'}"
    return f"{low} to {high} seeds"
