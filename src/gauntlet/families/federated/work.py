"""How much work a ``federated`` job is: images that pass forward and backward through one network, per seed.

A forward pass alone counts a half.
"""

from __future__ import annotations

from typing import Any

from gauntlet.data.sizes import taken
from gauntlet.families.federated.settings import Data, Train


def train(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed: rounds x selected clients x local epochs x a client's
    mean images, and the test set after every round. Nothing passes where only the selection is simulated."""
    known = {name: value for name, value in identity["train"].items() if name in Train.model_fields}
    recipe = Train(**known)  # of a federation, or of one whose updates are attacked
    if not recipe.learn:
        return {}
    data = Data(**identity["data"])
    local = owned(identity["dataset"], data) / data.clients
    test = tested(identity["dataset"], data)
    passes = recipe.rounds * (recipe.selected * recipe.epochs * local + 0.5 * test)
    return {("classifier", identity["architecture"]): passes}


def weights(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> networks of which a seed keeps the weights: the global model."""
    return {("classifier", identity["architecture"]): 1}


def owned(dataset: str, data: Data) -> float:
    """Training images of all clients together."""
    return taken(dataset, "train", data.per_class, held_out=data.held_out, task=data.task)


def tested(dataset: str, data: Data) -> float:
    """Test images."""
    return taken(dataset, "test", data.test_per_class, task=data.task)
