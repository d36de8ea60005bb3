"""What the Maverick's contribution is credited with, early and late, and how fair that is."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.rounds import TRIAL, accuracy, mavericks, rows

#: Columns of the table ``picks`` -> the name of the measure in a metric.
MEASURES = {
    "shapley_accuracy": "shapley",
    "shapley_from_zero": "shapley_from_zero",
    "shapley_loss": "shapley_loss",
    "influence_accuracy": "influence",
    "influence_loss": "influence_loss",
}


#: Sums of contributions up to this are rounding errors of 0: nobody gained anything.
NOTHING = 1e-9


@register("derived", "contribution_shares")
def contribution_shares(tables, *, early: float = 0.2, late: float = 0.2):
    """Per trial and measure: the Mavericks' share of all contributions over the rounds of a window.

    ``shapley@early`` is, over the first ``early`` (share) of all rounds in which a Maverick took part and
    contributions were measured, the sum of a Maverick's values over the sum of all values: a ratio of sums,
    since the ratio of one round explodes when its values nearly cancel. 1/K is the average client.
    ``shapley@late`` is over the last ``late``, ``shapley@rise`` their difference. ``samples@share`` is the
    same of the images: the fair share. ``shapley_from_zero`` gives the empty coalition the value 0, as the
    FedEMD release does, instead of the global model's before the round. ``fairness`` is the mean over
    rounds and clients of ``U_k = 1 - |q_k - rc_k|`` (FedEMD, section 4), over rounds whose contributions
    are positive in sum.
    """
    import pandas as pd

    used = from_zero(with_mavericks(tables["picks"], tables["clients"]), tables["rounds"])
    windows = {
        "early": used[used["round"] <= early * used["length"]],
        "late": used[used["round"] > (1 - late) * used["length"]],
    }
    trials = used[TRIAL].drop_duplicates()  # a window that shows nothing of a trial is NaN, not left out
    found = [share(used, "samples").pipe(rows, "samples@share")]
    for column, name in MEASURES.items():
        shares = {window: trials.merge(share(part, column), how="left") for window, part in windows.items()}
        found += [rows(part, f"{name}@{window}") for window, part in shares.items()]
        both = shares["early"].merge(shares["late"], on=TRIAL, suffixes=("_early", "_late"))
        found.append(rows(both.assign(value=both["value_late"] - both["value_early"]), f"{name}@rise"))
        utility = fairness(used, column).groupby(TRIAL, as_index=False)["value"].mean()
        found.append(rows(utility, "fairness" if name == "shapley" else f"fairness_{name}"))
    return pd.concat(found, ignore_index=True)


def with_mavericks(picks, clients):
    """Rows of ``picks`` with measured contributions, of rounds in which a Maverick took part, with the
    columns ``length`` (rounds of the trial) and ``theirs`` (whether the client is a Maverick)."""
    length = picks.groupby(TRIAL)["round"].transform("max")
    used = picks.assign(length=length)[picks["used"] & picks["shapley_accuracy"].notna()]
    used = used.merge(mavericks(clients), how="left", indicator="owner")
    used = used.assign(theirs=used["owner"] == "both").drop(columns="owner")
    return used[used.groupby([*TRIAL, "round"])["theirs"].transform("any").astype(bool)]


def from_zero(used, rounds):
    """``used`` with the column ``shapley_from_zero``: Shapley values of the accuracy when the empty coalition
    has the value 0. Every value grows by a K-th of what it had: the global model's accuracy before the
    round, for which that on the test set stands. The first round has none (NaN).
    """
    before = accuracy(rounds).rename(columns={"value": "before"})
    before["round"] += 1
    joined = used.merge(before, on=[*TRIAL, "round"], how="left")
    players = joined.groupby([*TRIAL, "round"])["client"].transform("size")
    return joined.assign(shapley_from_zero=joined["shapley_accuracy"] + joined["before"] / players)


def share(part, column: str, by: list[str] = TRIAL):
    """Per group: a Maverick's sum of a column (the mean over several) over everybody's sum.

    Groups whose sum is not above 0 have no shares (NaN). Returns: DataFrame with ``by``, value.
    """
    part = part[part[column].notna()]
    theirs = part[part["theirs"]].groupby(by)
    total = part.groupby(by)[column].sum()
    value = theirs[column].sum() / theirs["client"].nunique() / total.where(total > NOTHING)
    return value.rename("value").reset_index()


def fairness(used, column: str):
    """System fairness per trial and round: the mean over the round's clients of ``1 - |q_k - rc_k|``.

    Returns: DataFrame with TRIAL, round, value; rounds whose contributions do not sum to more than 0 have
    no shares and are left out.
    """
    used = used[used[column].notna()]
    groups = used.groupby([*TRIAL, "round"])
    total = groups[column].transform("sum")
    gap = (used["samples"] / groups["samples"].transform("sum") - used[column] / total).abs()
    kept = used.assign(value=1 - gap)[total > NOTHING]
    return kept.groupby([*TRIAL, "round"], as_index=False)["value"].mean()
