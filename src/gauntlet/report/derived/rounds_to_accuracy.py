"""How many rounds a method needs to come close to the best accuracy of a reference method."""

from __future__ import annotations

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.report.claims.statistics import reach
from gauntlet.report.rounds import TRIAL, accuracy
from gauntlet.report.vocabulary import BLOCK


@register("derived", "rounds_to_accuracy")
def rounds_to_accuracy(tables, *, references: dict[str, list[str]], share: float = 0.99, smooth: int = 3):
    """R@99 per trial: the first round whose test accuracy is at least ``share`` times the highest that the
    reference reaches, in the same block and with the same seed; the last round where it never does.

    FedEMD, section 6. Metrics ``r@99``; ``r@99_smooth``, on the means of ``smooth`` rounds, since raw
    curves are spiky; and ``reached@99`` (``reached@99_smooth``), 1 or 0: whether it was reached at all.

    Args:
        references: reference method -> the methods that are compared with it, itself among them.
        share: of the reference's highest accuracy, in (0, 1].
        smooth: rounds of the moving average (of those up to and including a round).

    Raises:
        GauntletError: the share is not in (0, 1].
    """
    import pandas as pd

    if not 0 < share <= 1:
        raise GauntletError(f"share must be in (0, 1] (got {share})", key="derived.options.share")
    curve = accuracy(tables["rounds"]).sort_values([*TRIAL, "round"], kind="stable")
    groups = curve.groupby(TRIAL, sort=False)["value"]
    curve["smooth"] = groups.transform(lambda values: values.rolling(smooth, min_periods=1).mean())
    name = f"r@{round(100 * share)}"
    found = []
    for reference, methods in references.items():
        highest = curve[curve["method"] == reference].groupby([*BLOCK, "seed"])[["value", "smooth"]].max()
        targets = (share * highest).reset_index()
        compared = curve[curve["method"].isin(methods)].merge(
            targets, on=[*BLOCK, "seed"], suffixes=("", "_target")
        )
        for trial, points in compared.groupby(TRIAL):
            rounds = points["round"].tolist()
            raw, smoothed = (
                reach(rounds, points[column].tolist(), points[f"{column}_target"].iloc[0], rounds[-1])
                for column in ("value", "smooth")
            )
            found += [
                (*trial, name, raw.rounds),
                (*trial, f"{name}_smooth", smoothed.rounds),
                (*trial, f"reached@{name[2:]}", 1.0 - raw.censored),
                (*trial, f"reached@{name[2:]}_smooth", 1.0 - smoothed.censored),
            ]
    return pd.DataFrame(found, columns=[*TRIAL, "metric", "value"]).astype({"value": float})
