"""How many attributes that a task has no need of stay hidden."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report.rounds import TRIAL, rows


@register("derived", "hidden_attributes")
def hidden_attributes(tables, *, attack: str = "representation", chance: float = 0.5, margin: float = 0.05):
    """Over the attributes of a trial: ``attribute_accuracy``, the mean accuracy of the attack;
    ``attribute_gain``, its mean gain over an untrained network; and ``attributes_hidden``, the share of those
    that it finds with an accuracy of at most ``margin`` above ``chance``, or above that of whoever guesses
    from the class alone, should this be more (``imputation``).
    """
    import pandas as pd

    scores = tables["scores"]
    scores = scores[(scores["attack"] == attack) & (scores["detail"] != "")]
    accuracy, gain, guessed = (scores[scores["metric"] == m] for m in ("accuracy", "gain", "imputation"))
    which = [*TRIAL, "detail"]
    hidden = accuracy.merge(guessed[[*which, "value"]], on=which, suffixes=("", "_guessed"))
    hidden["value"] = (hidden["value"] <= hidden["value_guessed"].clip(lower=chance) + margin).astype(float)
    found = {"attribute_accuracy": accuracy, "attribute_gain": gain, "attributes_hidden": hidden}
    means = [
        rows(of_metric.groupby(TRIAL, as_index=False)["value"].mean(), metric)
        for metric, of_metric in found.items()
    ]
    return pd.concat(means, ignore_index=True)
