"""Scores of membership inference: how well values tell members from non-members.

A value is an attack's confidence that an example was trained on: the higher, the more likely. A threshold
says "member" of every value that reaches it, so that examples of equal value are always judged alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from gauntlet.core.errors import GauntletError

#: False positive rates that are reported, and those of the points of a curve on logarithmic axes.
RATES = (0.01, 0.001)
GRID = np.logspace(-4, 0, 41)


@dataclass(frozen=True)
class Roc:
    """Every way to judge the examples by a threshold, from nobody to all of them.

    Attributes:
        thresholds: (k,) falling; the first is infinite, the others are the values that occur.
        hits: (k,) members whose value is at least the threshold.
        false_alarms: (k,) non-members whose value is.
        members, others: how many there are.
    """

    thresholds: np.ndarray
    hits: np.ndarray
    false_alarms: np.ndarray
    members: int
    others: int

    @property
    def tpr(self) -> np.ndarray:
        """(k,) share of the members that are found, in [0, 1]."""
        return self.hits / self.members

    @property
    def fpr(self) -> np.ndarray:
        """(k,) share of the non-members that are taken for members, in [0, 1]."""
        return self.false_alarms / self.others

    @property
    def auc(self) -> float:
        """Area below the curve: the chance that a member has a higher value than a non-member, ties half."""
        return float(np.trapezoid(self.tpr, self.fpr))

    @property
    def balanced_accuracy(self) -> np.ndarray:
        """(k,) mean of the two classes' recalls, in [0, 1]; 0.5 is chance."""
        return (self.tpr + 1 - self.fpr) / 2


def roc(values, member) -> Roc:
    """The curve of (n,) finite ``values`` with the truth (n,) bool.

    Raises:
        GauntletError: shapes that differ, values that are not finite, or only members, or none.
    """
    values, member = _checked(values, member)
    order = np.argsort(-values, kind="stable")
    values, member = values[order], member[order]
    last = np.flatnonzero(np.append(values[1:] < values[:-1], True))  # of every group of equal values
    hits = np.cumsum(member)[last]
    return Roc(
        thresholds=np.concatenate([[np.inf], values[last]]),
        hits=np.concatenate([[0], hits]),
        false_alarms=np.concatenate([[0], last + 1 - hits]),
        members=int(member.sum()),
        others=int((~member).sum()),
    )


def best_threshold(values, member) -> float:
    """The threshold of the greatest balanced accuracy; of equally good ones the highest.

    Half way to the next lower value, as it is meant for other data. Always finite: where nothing is better
    than to call everyone a member, it is the least value.

    Raises:
        GauntletError: see ``roc``.
    """
    curve = roc(values, member)
    at = 1 + int(curve.balanced_accuracy[1:].argmax())  # nobody and everybody are equally good: skip nobody
    value = curve.thresholds[at]
    if at + 1 == len(curve.thresholds):
        return float(value)
    below = curve.thresholds[at + 1]
    half = below + (value - below) / 2
    return float(half if half > below else value)


def balanced_accuracy(values, member, threshold: float) -> float:
    """Mean recall of members and non-members at a ``threshold`` that was chosen elsewhere, in [0, 1].

    Raises:
        GauntletError: see ``roc``.
    """
    values, member = _checked(values, member)
    said = values >= threshold
    return float((said[member].mean() + 1 - said[~member].mean()) / 2)


@dataclass(frozen=True)
class Share:
    """``count`` of ``of``, and its exact interval (``interval``)."""

    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of

    @property
    def interval(self) -> tuple[float, float]:
        return interval(self.count, self.of)


@dataclass(frozen=True)
class Operating:
    """One point of a curve.

    Attributes:
        threshold: infinite where nobody is called a member.
        tpr, fpr: what it reaches. The intervals are those of a threshold that was fixed beforehand; this one
            was chosen on the same examples.
    """

    threshold: float
    tpr: Share
    fpr: Share


def at_fpr(curve: Roc, rate: float) -> Operating | None:
    """The most members that are found while at most ``rate`` of the non-members are taken for members.

    Reached points alone, nothing between them.

    Returns:
        None where the rate is not measurable: with fewer than ``1 / rate`` non-members a single false alarm
        is above it.

    Raises:
        GauntletError: the rate is not in (0, 1].
    """
    if not 0 < rate <= 1:
        raise GauntletError(f"a false positive rate must be in (0, 1], not {rate}")
    allowed = _allowed(curve, rate)
    if not allowed:
        return None
    at = int(np.searchsorted(curve.false_alarms, allowed, side="right")) - 1
    return Operating(
        threshold=float(curve.thresholds[at]),
        tpr=Share(int(curve.hits[at]), curve.members),
        fpr=Share(int(curve.false_alarms[at]), curve.others),
    )


def interval(count: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of a share (Biometrika 1934)."""
    tail = (1 - confidence) / 2
    low = betaincinv(count, of - count + 1, tail) if count else 0.0
    high = betaincinv(count + 1, of - count, 1 - tail) if count < of else 1.0
    return float(low), float(high)


def points(curve: Roc, grid: np.ndarray = GRID) -> tuple[np.ndarray, np.ndarray]:
    """The curve for a table: the rates of ``grid`` that are measurable, and the true positive rate at each.

    The same rates for all trials, so that curves can be averaged. ``at_fpr`` says what is measurable.
    """
    allowed = np.array([_allowed(curve, rate) for rate in grid])
    at = np.searchsorted(curve.false_alarms, allowed, side="right") - 1
    return grid[allowed > 0], curve.tpr[at[allowed > 0]]


def scores(values, member, threshold: float | None = None) -> dict[str, float | None]:
    """All scores by name.

    ``auc``; ``best_accuracy``, balanced, at the best threshold of these examples (an upper bound);
    ``accuracy``, balanced, at ``threshold``, which was chosen elsewhere (absent without one); per rate of
    ``RATES``, ``tpr_1`` at 1% and ``tpr_0.1`` at 0.1%, each with ``_low`` and ``_high``, and ``fpr_1`` and so
    on, what was reached. None is: not measurable.

    Raises:
        GauntletError: see ``roc``.
    """
    curve = roc(values, member)
    found: dict[str, float | None] = {
        "auc": curve.auc,
        "best_accuracy": float(curve.balanced_accuracy.max()),
    }
    if threshold is not None:
        found["accuracy"] = balanced_accuracy(values, member, threshold)
    for rate in RATES:
        point = at_fpr(curve, rate)
        for kind in ("tpr", "fpr"):
            share = getattr(point, kind, None)
            name = f"{kind}_{100 * rate:g}"
            low, high = share.interval if share else (None, None)
            found |= {name: share.value if share else None, f"{name}_low": low, f"{name}_high": high}
    return found


def _allowed(curve: Roc, rate: float) -> int:
    """False alarms within the rate; the margin is for products such as 0.29 * 100."""
    return math.floor(rate * curve.others + 1e-9)


def _checked(values, member) -> tuple[np.ndarray, np.ndarray]:
    values, member = np.asarray(values, dtype=np.float64), np.asarray(member)
    if values.ndim != 1 or member.shape != values.shape or member.dtype != bool:
        raise GauntletError(
            f"expected n values and their truth (bool), got {values.shape} and {member.dtype} {member.shape}"
        )
    if not np.isfinite(values).all():
        raise GauntletError(
            "membership values are not finite",
            remedy="check the model's outputs for a training that diverged",
        )
    if not 0 < member.sum() < len(member):
        raise GauntletError(
            f"{int(member.sum())} members among {len(member)} examples", remedy="give members and others"
        )
    return values, member
