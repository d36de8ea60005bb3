"""How much work a ``privacy`` job is: images that pass forward through one network, per seed, each a half."""

from __future__ import annotations

from typing import Any

from gauntlet.families.federated.work import owned, tested
from gauntlet.families.privacy.settings import Data, Evaluate, Train
from gauntlet.families.shadows.work import candidates


def attack(identity: dict[str, Any], evaluate: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed: the candidates through the model (once per attack on
    membership) and every shadow model; the clients' images through the model and an untrained one, per attack
    on an attribute."""
    data, settings = Data(**identity["data"]), Evaluate(**evaluate)
    recipe = Train(**identity["train"]).shadows
    shadows = recipe.models if recipe else 0
    asked = candidates(identity["dataset"], data) * (shadows + len(settings.membership))
    attributes = len(data.private) + len(data.plant)
    looked = len(settings.attributes) * attributes * 2 * owned(identity["dataset"], data)
    clean = owned(identity["dataset"], data) + tested(identity["dataset"], data)
    return {("classifier", identity["architecture"]): 0.5 * (asked + looked + clean)}


def weights(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Nothing is trained."""
    return {}
