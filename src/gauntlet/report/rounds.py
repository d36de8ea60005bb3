"""Test curves of federated trials, shared by derived scores and figures."""

from __future__ import annotations

from gauntlet.report.vocabulary import CELL

#: What identifies a trial.
TRIAL = [*CELL, "seed"]


def accuracy(rounds):
    """Test accuracy per trial and round: DataFrame with ``TRIAL``, ``round``, ``value`` in [0, 1].

    Args:
        rounds: the table ``rounds``: images and hits per class.
    """
    return _share(rounds)


def maverick_recall(rounds, clients):
    """Recall on the classes that Mavericks alone own, as ``accuracy``; trials without Mavericks have none."""
    owned = clients[clients["samples"] > 0]
    common = owned.loc[~owned["maverick"], [*TRIAL, "label"]].drop_duplicates()
    theirs = owned.loc[owned["maverick"], [*TRIAL, "label"]].drop_duplicates()
    alone = theirs.merge(common, how="left", indicator=True)
    alone = alone.loc[alone["_merge"] == "left_only", [*TRIAL, "label"]]
    return _share(rounds.merge(alone))


def _share(rounds):
    sums = rounds.groupby([*TRIAL, "round"], as_index=False)[["correct", "total"]].sum()
    return sums.assign(value=sums["correct"] / sums["total"])[[*TRIAL, "round", "value"]]


def mavericks(clients):
    """The Mavericks of every trial: DataFrame with ``TRIAL``, ``client``."""
    return clients.loc[clients["maverick"], [*TRIAL, "client"]].drop_duplicates()


def rows(frame, metric: str):
    """``frame`` (TRIAL, value) as score rows of one metric."""
    return frame[[*TRIAL, "value"]].assign(metric=metric)
