"""How often Mavericks were picked, in each quarter of the rounds."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.rounds import TRIAL, mavericks, rows


@register("derived", "maverick_picks")
def maverick_picks(tables, *, per: int = 50):
    """``picks@q1`` to ``picks@q4`` per trial: picks of a Maverick per ``per`` rounds (the mean over several
    Mavericks), so that uniform selection has ``per * K / N`` whatever the number of rounds; and
    ``picks@fall``, the first less the last.
    """
    import pandas as pd

    picks = tables["picks"]
    length = picks.groupby(TRIAL)["round"].transform("max")
    quarter = ((picks["round"] - 1) * 4 // length).clip(upper=3)
    theirs = picks.assign(quarter=quarter, length=length).merge(
        mavericks(tables["clients"])
    )  # a row per round and Maverick
    rate = theirs.groupby([*TRIAL, "quarter"])["picked"].mean().unstack("quarter") * per
    quarters = [
        rows(rate[column].rename("value").reset_index(), f"picks@q{int(column) + 1}") for column in rate
    ]
    if {0, 3} <= set(rate.columns):
        quarters.append(rows((rate[0] - rate[3]).rename("value").reset_index(), "picks@fall"))
    return pd.concat(quarters, ignore_index=True) if quarters else rows(theirs.assign(value=0.0), "")
