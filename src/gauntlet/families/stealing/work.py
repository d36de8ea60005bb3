"""How much work a ``stealing`` job is: images that pass forward and backward through one network, per seed.

A forward pass alone counts a half.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from gauntlet.data.sizes import taken
from gauntlet.families.classifier.work import attack_passes
from gauntlet.families.stealing.settings import Data, Evaluate, Train


def train(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed's theft: every query passes the target forward, and the
    substitute once; how often a method teaches an answer, and its generator, are in the method's rate."""
    substitute, target = _networks(identity)
    budget = Train(**identity["train"]).budget
    return Counter({substitute: budget}) + Counter({target: 0.5 * budget})


def attack(identity: dict[str, Any], evaluate: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed: of attacks on the substitute, tried on the target."""
    data, settings = Data(**identity["data"]), Evaluate(**evaluate)
    substitute, target = _networks(identity)
    test = taken(identity["dataset"], "test", data.test_per_class)
    limits = [limit for limit in (data.test_per_class, settings.attacked_per_class) if limit is not None]
    images = taken(identity["dataset"], "test", min(limits, default=None))
    attacks = sum(attack_passes(entry) for entry in settings.attacks.values())
    answers = 0.5 * (test + images * len(settings.attacks))
    return Counter({substitute: 0.5 * test + images * attacks}) + Counter({target: answers})


def weights(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> networks of which a seed keeps the weights: the substitute."""
    return {("classifier", identity["architecture"]): 1}


def _networks(identity: dict[str, Any]) -> list[tuple[str, str]]:
    """The substitute and the target, which may be alike."""
    return [
        ("classifier", name) for name in (identity["architecture"], identity["data"]["target"]["classifier"])
    ]
