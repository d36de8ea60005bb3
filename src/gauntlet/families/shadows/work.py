"""How much work a ``shadows`` job is: images that pass forward and backward through one network, per seed."""

from __future__ import annotations

from typing import Any

from gauntlet.data.sizes import class_count
from gauntlet.families.federated import work as federated
from gauntlet.families.federated.settings import Data
from gauntlet.families.shadows.settings import Train


def train(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed: models x epochs x half of the candidates."""
    recipe = Train(**identity["train"])
    half = candidates(identity["dataset"], Data(**identity["data"])) / 2
    return {("classifier", identity["architecture"]): recipe.models * recipe.epochs * half}


def weights(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> networks of which a seed keeps the weights."""
    return {("classifier", identity["architecture"]): identity["train"]["models"]}


def candidates(dataset: str, data: Data) -> float:
    """Members and as many others: of every class as many as there are of both."""
    sides = federated.owned(dataset, data), federated.tested(dataset, data)
    classes = class_count(dataset, data.task)
    return 2 * classes * min(side / classes for side in sides)
