"""FedEMD's headline: how much faster than the strongest baseline, over all datasets."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.vocabulary import BLOCK


@register("derived", "headline_improvement")
def headline_improvement(tables, *, method: str, baselines: list[str], setting: str, metric: str = "r@99"):
    """``min over baselines b of the mean over datasets d of (R_b(d) - R(d)) / R_b(d)``, R = mean over seeds.

    The formula that reproduces the paper's 26.9 % and 11.3 % from its Table 1. It is one number, not one per
    seed: each seed's row is its jackknife pseudo-value ``n t - (n - 1) t_without_it`` (Tukey 1958), so that
    their mean is the bias-corrected estimate and their t interval the jackknife's. The seeds are those that
    every method has on every dataset; fewer than 3 give no rows. Metric ``improvement``, of the dataset
    ``all``.

    Args:
        method: the one that is claimed to be faster.
        baselines: those compared with; all of them must have been measured on a dataset for it to count.
        setting: whose runs.
        metric: which number of rounds.
    """
    import pandas as pd

    scores = tables["scores"]
    scores = scores[(scores["metric"] == metric) & (scores["setting"] == setting)]
    scores = scores[scores["method"].isin([method, *baselines])]
    wide = scores.pivot(index=[*BLOCK, "seed"], columns="method", values="value").dropna()
    empty = pd.DataFrame(columns=[*BLOCK, "method", "seed", "metric", "value"])
    if not {method, *baselines} <= set(wide.columns) or wide.empty:
        return empty
    per_seed = wide.unstack(BLOCK).dropna()  # columns: (method, dataset, setting, architecture)
    seeds = list(per_seed.index)
    if len(seeds) < 3:
        return empty
    whole = improvement(per_seed, method, baselines)
    values = [
        len(seeds) * whole - (len(seeds) - 1) * improvement(per_seed.drop(seed), method, baselines)
        for seed in seeds
    ]
    where = {"dataset": "all", "setting": setting, "architecture": "all"}
    return pd.DataFrame({**where, "method": method, "seed": seeds, "metric": "improvement", "value": values})


def improvement(per_seed, method: str, baselines: list[str]) -> float:
    """The formula, on a frame with a row per seed and the columns (method, dataset ...)."""
    means = per_seed.mean()
    return min(((means[b] - means[method]) / means[b]).mean() for b in baselines)
