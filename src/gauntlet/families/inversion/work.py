"""How much work an ``inversion`` job is: images that pass both ways through a network, per seed."""

from __future__ import annotations

from typing import Any

from gauntlet.families.federated import work as federated
from gauntlet.families.inversion.settings import Data, Evaluate, Train


def train(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed: those of the federation."""
    return federated.train(identity)


def attack(identity: dict[str, Any], evaluate: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed: targets x restarts x iterations x observed rounds x its
    images; that a simulation passes them once per local epoch is not counted."""
    data, settings = Data(**identity["data"]), Evaluate(**evaluate)
    seen = Train(**identity["train"]).selected
    targets = min(seen, settings.targets or seen)
    images = federated.owned(identity["dataset"], data) / data.clients
    passes = sum(
        (attack.restarts or settings.restarts) * (attack.iterations or settings.iterations) * attack.rounds
        for attack in settings.attacks.values()
    )
    return {("classifier", identity["architecture"]): targets * images * passes}


def weights(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> networks of which a seed keeps the weights: the model at the end, and in every
    observed round what the server sent and got from each client that took part."""
    recipe = Train(**identity["train"])
    return {("classifier", identity["architecture"]): 1 + len(recipe.observe) * (1 + recipe.selected)}
