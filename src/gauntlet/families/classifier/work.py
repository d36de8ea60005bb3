"""How much work a ``classifier`` job is: images that pass forward and backward through one network, per seed.

A forward pass alone counts a half.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from gauntlet.core.registry import create
from gauntlet.data.sizes import taken
from gauntlet.families.classifier.settings import Data, Evaluate, Evaluation, Method, Train

#: Defense -> passes per image beside those of its training attack, where that is not one.
PASSES = {"trades": 2.5, "mart": 2}


def train(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed's training: epochs x images x passes of the defense."""
    data, recipe = Data(**identity["data"]), Train(**identity["train"])
    images = taken(identity["dataset"], "train", data.per_class, held_out=data.held_out)
    passes = recipe.epochs * images * defense_passes(Method(**identity["method"]))
    return {("classifier", identity["architecture"]): passes}


def attack(identity: dict[str, Any], evaluate: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed's attacks and their sanity suite."""
    passes = _attacked(identity["dataset"], Evaluate(**evaluate))
    return {("classifier", identity["architecture"]): passes}


def weights(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> networks of which a seed keeps the weights."""
    return {("classifier", identity["architecture"]): 1}


def defense_passes(method: Method) -> float:
    """Passes per training image and epoch."""
    return method.options.get("steps", 0) + PASSES.get(method.classifier_defense, 1)


def attack_passes(entry: Evaluation, steps: int | None = None) -> float:
    """Passes per image of one attack; those that stop early are counted whole."""
    attack = _attack(entry.classifier_attack, json.dumps(entry.options))
    if not hasattr(attack, "steps"):
        return 0.5 * attack.queries if hasattr(attack, "queries") else 1
    steps = attack.steps if steps is None else steps
    if hasattr(attack, "targets"):  # the ensemble
        return steps * (1 + attack.targets) + 0.5 * attack.queries
    return steps * getattr(attack, "restarts", 1) * getattr(attack, "searches", 1)


def _attacked(dataset: str, settings: Evaluate) -> float:
    count = 0.5 * taken(dataset, "test", settings.test_per_class)
    images = taken(dataset, "test", _least(settings.attacked_per_class, settings.test_per_class))
    checked = taken(dataset, "test", _least(settings.sanity_per_class, settings.test_per_class))
    for entry in settings.attacks.values():
        own = attack_passes(entry)
        count += images * own
        if {"eps", "steps"} <= set(entry.options):  # the suite: white-box, twice the budget, two longer ones
            count += checked * 2 * (own + attack_passes(entry, settings.sanity_steps))
    return count


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


@cache
def _attack(name: str, options: str):
    return create("classifier_attack", name, json.loads(options), key="options")
