"""How many attributes that a task has no need of stay hidden."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.rounds import TRIAL, rows


@register("derived", "hidden_attributes")
def hidden_attributes(tables, *, attack: str = "representation", chance: float = 0.5, margin: float = 0.05):
    """Over the attributes of a trial: ``attribute_accuracy``, the mean accuracy of the attack;
    ``attribute_gain``, its mean gain over an untrained network; and ``attributes_hidden``, the share of those
    that it finds with an accuracy of at most ``chance + margin``.

    Where whoever guesses from the class alone does better than ``chance`` (``imputation``), that takes its
    place, and the margin shrinks with what is left to find above it.
    """
    import pandas as pd

    scores = tables["scores"]
    scores = scores[(scores["attack"] == attack) & (scores["detail"] != "")]
    accuracy, gain, guessed = (scores[scores["metric"] == m] for m in ("accuracy", "gain", "imputation"))
    which = [*TRIAL, "detail"]
    hidden = accuracy.merge(guessed[[*which, "value"]], on=which, suffixes=("", "_guessed"))
    guess = hidden["value_guessed"].clip(lower=chance)
    limit = guess + margin * (1 - guess) / (1 - chance)
    hidden["value"] = (hidden["value"] <= limit).astype(float)
    found = {"attribute_accuracy": accuracy, "attribute_gain": gain, "attributes_hidden": hidden}
    means = [
        rows(of_metric.groupby(TRIAL, as_index=False)["value"].mean(), metric)
        for metric, of_metric in found.items()
    ]
    return pd.concat(means, ignore_index=True)
