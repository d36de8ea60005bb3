"""What a federated trial's test curve comes to: highest, last, early; and recall on the Maverick class."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.rounds import TRIAL, accuracy, maverick_recall, rows


@register("derived", "learning_curves")
def learning_curves(tables, *, last: int = 10, first: int = 10, early: float = 1 / 3):
    """Per trial:

    ``max_accuracy``; ``final_accuracy``, the mean of the last ``last`` rounds; ``first_accuracy``, of the
    first ``first``; ``early_accuracy``, the mean of the first ``early`` (share) of all rounds: the area
    under the curve. ``maverick_recall`` and ``max_maverick_recall`` are the last and the highest recall on
    classes that only Mavericks own.
    """
    import pandas as pd

    curve = accuracy(tables["rounds"])
    length = curve.groupby(TRIAL)["round"].transform("max")
    recall = maverick_recall(tables["rounds"], tables["clients"])
    end = recall.groupby(TRIAL)["round"].transform("max")
    return pd.concat(
        [
            rows(_highest(curve), "max_accuracy"),
            rows(_mean(curve[curve["round"] > length - last]), "final_accuracy"),
            rows(_mean(curve[curve["round"] <= first]), "first_accuracy"),
            rows(_mean(curve[curve["round"] <= early * length]), "early_accuracy"),
            rows(_mean(recall[recall["round"] > end - last]), "maverick_recall"),
            rows(_highest(recall), "max_maverick_recall"),
        ],
        ignore_index=True,
    )


def _mean(curve):
    return curve.groupby(TRIAL, as_index=False)["value"].mean()


def _highest(curve):
    return curve.groupby(TRIAL, as_index=False)["value"].max()
