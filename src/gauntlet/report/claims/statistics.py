"""The statistics of every verdict: t intervals over seeds, the margin rule, rounds to reach a level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

CONFIDENCE = 0.95
#: How often a verdict may be wrong on each side when the true effect lies at the margin.
ALPHA = (1 - CONFIDENCE) / 2
#: Differences below this are rounding.
TINY = 1e-12

HOLDS, FAILS, UNDECIDED, NOT_MEASURED = "holds", "fails", "undecided", "not measured"


@dataclass(frozen=True)
class Interval:
    """Mean of ``n`` values with its t interval; ``half_width`` is None for fewer than two values."""

    mean: float
    half_width: float | None
    n: int

    @property
    def low(self) -> float | None:
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        return None if self.half_width is None else self.mean + self.half_width


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval of the mean: ``mean +/- t_{n-1} s / sqrt(n)``, s with n - 1.

    Args:
        values: (n,) finite numbers, n >= 1; one per seed (already paired differences if paired).

    Raises:
        ValueError: no values, or one is not finite.
    """
    from scipy.special import stdtrit

    n = len(values)
    if n == 0 or not all(math.isfinite(value) for value in values):
        raise ValueError("an interval needs finite values, and at least one")
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, None, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    quantile = float(stdtrit(n - 1, 0.5 + confidence / 2))
    return Interval(mean, quantile * deviation / math.sqrt(n), n)


@dataclass(frozen=True)
class Decision:
    """``verdict``: holds, fails or undecided. ``smallest``: the effect nearest to the margin that an
    interval of this width would have decided in the claim's favour (None for one seed)."""

    verdict: str
    smallest: float | None
    reason: str = ""


def decide(interval: Interval, side: str, margin: float) -> Decision:
    """The rule of the project: where the whole interval lies, relative to the margin.

    ``above``/``below``: holds when the interval is entirely on that side of the margin, fails when it
    is entirely on the other side, else undecided. ``within``: holds when it is inside (-margin,
    margin), fails when it is entirely outside. With the true effect at the margin, a wrong ``holds``
    has probability (1 - confidence) / 2 for normally distributed differences.
    """
    if interval.half_width is None:
        return Decision(UNDECIDED, None, "one seed gives no interval")
    low, high, half = interval.low, interval.high, interval.half_width
    # Seeds that agree exactly: guard the comparison against rounding in the mean.
    if half <= TINY and interval.n < 3:
        # Scores are counts over few images, so two equal differences happen by chance.
        return Decision(UNDECIDED, None, "two seeds that agree exactly give no interval")
    if side == "above":
        right, wrong, smallest = low > margin + TINY, high < margin - TINY, margin + half
    elif side == "below":
        right, wrong, smallest = high < margin - TINY, low > margin + TINY, margin - half
    elif side == "within":
        right = low > -margin + TINY and high < margin - TINY
        wrong = low > margin + TINY or high < -margin - TINY
        smallest = half  # the narrowest margin that a zero effect would have met
    else:
        raise ValueError(f"unknown side {side!r}")
    reason = "" if half > TINY else "all seeds gave the same value"
    return Decision(HOLDS if right else FAILS if wrong else UNDECIDED, smallest, reason)


@dataclass(frozen=True)
class Reach:
    """Rounds until a curve reaches a level; ``censored`` when it did not within the horizon."""

    rounds: float
    censored: bool


def reach(
    rounds: Sequence[float], curve: Sequence[float], level: float, horizon: float, side: str = "above"
) -> Reach:
    """First round at which ``curve`` is at or above (``below``: at or under) ``level``.

    A curve that does not reach it by the horizon counts as ``horizon``, marked censored: the mean of
    such times is the restricted mean time (RMST). It understates differences among runs that are
    censored; ``decide_reach`` judges paired differences with that in mind.

    Args:
        rounds: (m,) increasing; curve: (m,); horizon: the last round that every run was given.

    Raises:
        ValueError: the rounds do not increase, the lengths differ, or the curve ends before the horizon
            without reaching the level: nobody knows whether it would have.
    """
    if len(rounds) != len(curve) or any(b <= a for a, b in pairwise(rounds)):
        raise ValueError("rounds must increase and match the curve")
    for at, value in zip(rounds, curve, strict=True):
        if at > horizon:
            break
        if value >= level if side == "above" else value <= level:
            return Reach(float(at), False)
    last = rounds[-1] if len(rounds) else 0
    if last < horizon:
        raise ValueError(
            f"the curve ends at round {last:g}, before the horizon {horizon:g}, short of the level"
        )
    return Reach(float(horizon), True)


def restricted_mean(times: Sequence[Reach]) -> tuple[Interval, int]:
    """Restricted mean of rounds to reach with its interval, and how many runs were censored."""
    return t_interval([time.rounds for time in times]), sum(time.censored for time in times)


def decide_reach(
    first: Sequence[Reach], second: Sequence[Reach], side: str, margin: float
) -> tuple[Interval, Decision]:
    """The rule on the paired differences ``first - second`` of rounds to reach, one pair per seed.

    A pair that is censored on both sides counts as a difference of 0 whatever the truth is. Where at
    least half are, a tie is undecided, and so is any other verdict that a difference of 0 would get
    ("no slower by m": ``below: m``).

    Raises:
        ValueError: no pairs, or the lengths differ.
    """
    pairs = list(zip(first, second, strict=True))
    interval = t_interval([a.rounds - b.rounds for a, b in pairs])
    decision = decide(interval, side, margin)
    neither = sum(a.censored and b.censored for a, b in pairs)
    of_zero = decide(Interval(0.0, 0.0, 3), side, margin).verdict
    if 2 * neither >= len(pairs) and (side == "within" or decision.verdict == of_zero != UNDECIDED):
        reason = f"in {neither} of {len(pairs)} pairs neither side reached the level"
        decision = Decision(UNDECIDED, None, reason)
    return interval, decision
