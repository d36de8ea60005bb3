"""What stands beside a verdict: the paired tests behind a check, and the bootstrap interval of its effect.

Each test asks one-sided questions of the effects, one per bound of the margin: is the effect on the
claim's side of it? A tie has two bounds, so its test is TOST (two one-sided tests; Schuirmann 1987).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gauntlet.core.seeds import numpy_generator
from gauntlet.report.claims.statistics import ALPHA, CONFIDENCE, FAILS, HOLDS, TINY, UNDECIDED, Decision

#: Sign patterns and resamples that are drawn where there are too many to enumerate.
RESAMPLES = 9999


def paired_tests(effects: Sequence[float], side: str, margin: float) -> dict[str, dict[str, Any]]:
    """One-sided p-values of the paired tests, by test: ``t``, ``wilcoxon`` (signed rank), ``permutation``
    (sign flips of the mean).

    Args:
        effects: (n,) finite, one per seed; ``side``: above, below or within; ``margin``: its bound.

    Returns:
        Per test ``bounds``: p of every bound, such as ``above -0.02``; ``holds``: the largest of them, for
        all must be met; ``fails``: the smallest p of the opposites, for one is enough. Nothing where the
        effects decide nothing: one seed, or two that agree exactly.
    """
    import numpy as np

    values = np.asarray(effects, float)
    if len(values) < 2 or (len(values) == 2 and np.ptp(values) <= TINY):
        return {}
    wanted = {}
    if side in ("above", "within"):
        least = -margin if side == "within" else margin
        wanted[f"above {least:g}"] = values - least
    if side in ("below", "within"):
        wanted[f"below {margin:g}"] = margin - values
    rows = np.round([*wanted.values()], 12)  # rounding would break ties
    found = {}
    for name, test in TESTS.items():
        p = test(np.concatenate([rows, -rows])).tolist()
        met, opposite = p[: len(rows)], p[len(rows) :]
        found[name] = {
            "bounds": dict(zip(wanted, met, strict=True)),
            "holds": max(met),
            "fails": min(opposite),
        }
    return found


def _t(rows):
    from scipy import stats

    if (rows.max(axis=1) - rows.min(axis=1)).max() <= TINY:  # no spread: as the rule on intervals has it
        return (rows.mean(axis=1) <= TINY).astype(float)
    return stats.ttest_1samp(rows, 0, axis=1, alternative="greater").pvalue


def _signed_rank(rows):
    """Wilcoxon's test is that of sign flips on ranks, zeros dropped. Flipped here rather than looked up:
    scores are counts, so ties are common, and the tables do not hold for them."""
    import numpy as np
    from scipy import stats

    zero = rows == 0
    ranks = stats.rankdata(abs(rows), axis=1) - zero.sum(axis=1, keepdims=True)
    return _sign_flips(np.sign(rows) * ranks)


def _sign_flips(rows):
    from scipy import stats

    def mean(values, axis):
        return values.mean(axis=axis).round(12)  # equal means must be so

    return stats.permutation_test(
        (rows,), mean, permutation_type="samples", vectorized=True, axis=1,
        n_resamples=RESAMPLES, alternative="greater", rng=numpy_generator(0, "sign flips"),
    ).pvalue  # fmt: skip


#: (k, n) distances beyond a bound -> (k,) p-values of the hypotheses that they are centred at or below 0.
TESTS: dict[str, Callable] = {"t": _t, "wilcoxon": _signed_rank, "permutation": _sign_flips}


def bootstrap(effects: Sequence[float]) -> list[float] | None:
    """The 95% BCa bootstrap interval of the mean, over seeds; None for fewer than 3, or if all agree.

    Reported, never judged: of five seeds it is too short (docs/claims.md has its coverage).
    """
    import numpy as np
    from scipy import stats

    values = np.asarray(effects, float)
    if len(values) < 3 or np.ptp(values) <= TINY:
        return None
    interval = stats.bootstrap(
        (values,), np.mean, confidence_level=CONFIDENCE, method="BCa",
        n_resamples=RESAMPLES, rng=numpy_generator(0, "bootstrap"),
    ).confidence_interval  # fmt: skip
    return [float(interval.low), float(interval.high)]


def decide_by(p: dict[str, Any], seeds: int) -> Decision:
    """The verdict of a test that a check names in place of the t interval, at the same 2.5% per side."""
    verdict = HOLDS if p["holds"] <= ALPHA else FAILS if p["fails"] <= ALPHA else UNDECIDED
    return Decision(verdict, None, resolution(seeds))


def resolution(seeds: int) -> str:
    """What the tests on signs cannot do with so few seeds; empty where they can."""
    least = 0.5**seeds
    if seeds < 2 or least <= ALPHA:
        return ""
    return (
        f"with {seeds} seeds the signed-rank and sign-flip tests cannot go below p = {least:.3g} "
        f"({2 * least:.3g} two-sided), so they never reach {ALPHA:g}"
    )
