"""How many rounds a method needs to come close to the best accuracy of a reference method."""

from __future__ import annotations

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.report.rounds import TRIAL, accuracy, rows
from gauntlet.report.vocabulary import BLOCK


@register("derived", "rounds_to_accuracy")
def rounds_to_accuracy(tables, *, references: dict[str, list[str]], share: float = 0.99, smooth: int = 3):
    """R@99 per trial: the first round whose test accuracy is at least ``share`` times the highest that the
    reference reaches, in the same block and with the same seed; the last round where it never does.

    FedEMD, section 6. Metrics ``r@99``; ``r@99_smooth``, on the means of ``smooth`` rounds, since raw
    curves are spiky; and ``reached@99``, 1 or 0: whether it was reached at all.

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
    name = f"{round(100 * share)}"
    found = []
    for reference, methods in references.items():
        if not (curve["method"] == reference).any():
            continue
        for column, suffix in (("value", ""), ("smooth", "_smooth")):
            highest = curve[curve["method"] == reference].groupby([*BLOCK, "seed"])[column].max()
            target = (share * highest).rename("target").reset_index()
            compared = curve[curve["method"].isin(methods)].merge(target)
            trials = compared.groupby(TRIAL, as_index=False)
            last = trials["round"].max()
            first = compared[compared[column] >= compared["target"]].groupby(TRIAL)["round"].min()
            reached = last.join(first.rename("first"), on=TRIAL)
            value = reached["first"].fillna(reached["round"])
            found.append(rows(reached.assign(value=value), f"r@{name}{suffix}"))
            if not suffix:
                found.append(rows(reached.assign(value=reached["first"].notna() * 1.0), f"reached@{name}"))
    return pd.concat(found, ignore_index=True) if found else rows(curve.head(0), "r")
