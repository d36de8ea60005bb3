"""What a theft's course comes to: how steady the substitute was, and how the target's answers spread."""

from __future__ import annotations

import numpy as np

from gauntlet.core.registry import register
from gauntlet.report.rounds import TRIAL, rows


@register("derived", "thefts")
def thefts(tables, *, last: int = 5):
    """Per trial:

    ``queries``, asked in all; ``best_accuracy``, the highest on the way (it peeks at the test labels);
    ``last_accuracy``, the mean of the last ``last`` measurements; ``instability``, their standard deviation;
    ``top_share``, the share of the likeliest class in the answers of the last measurement; ``classes``, how
    many classes were answered at all.
    """
    import pandas as pd

    progress = tables["progress"].sort_values([*TRIAL, "queries"])
    end = progress.groupby(TRIAL).tail(last)
    found = {
        "queries": progress.groupby(TRIAL)["queries"].max(),
        "best_accuracy": progress.groupby(TRIAL)["accuracy"].max(),
        "last_accuracy": end.groupby(TRIAL)["accuracy"].mean(),
        "instability": end.groupby(TRIAL)["accuracy"].std(ddof=1),
    }
    answers = tables["answers"]
    latest = answers[answers["queries"] == answers.groupby(TRIAL)["queries"].transform("max")]
    share = latest.groupby(TRIAL)["count"].agg(lambda counts: counts.max() / counts.sum())
    answered = answers.groupby([*TRIAL, "label"])["count"].sum()
    found["top_share"] = share
    found["classes"] = (answered > 0).groupby(TRIAL).sum().astype(float)
    parts = [rows(series.rename("value").reset_index(), metric) for metric, series in found.items()]
    whole = pd.concat(parts, ignore_index=True)
    return whole[np.isfinite(whole["value"])]
