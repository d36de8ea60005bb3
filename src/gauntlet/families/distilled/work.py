"""How much work a ``distilled`` job is: images that pass forward and backward through a network, per seed."""

from __future__ import annotations

from typing import Any

from gauntlet.core.registry import create
from gauntlet.data.sizes import class_count
from gauntlet.families.distilled.settings import Data, Train
from gauntlet.families.federated.work import owned


def train(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed.

    Where samples are shared: rounds x clients x updates x (a batch and the samples), then steps x the joined
    set; what an update unrolls is in the method's rate. Where nothing is: rounds x epochs x images.
    """
    data, recipe, given = Data(**identity["data"]), Train(**identity["train"]), identity["method"]
    method = create("distillation", given["distillation"], given["options"])
    if method.shares:
        samples = class_count(identity["dataset"], data.task) * method.per_class
        update = method.batch + samples
        rounds = data.clients * (method.iterations * update + recipe.steps * samples)
    else:
        rounds = method.epochs * owned(identity["dataset"], data)
    return {("classifier", identity["architecture"]): recipe.rounds * rounds}


def weights(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> networks of which a seed keeps the weights; every client's if none shares."""
    given = identity["method"]
    shares = create("distillation", given["distillation"], given["options"]).shares
    return {("classifier", identity["architecture"]): 1 if shares else identity["data"]["clients"]}
