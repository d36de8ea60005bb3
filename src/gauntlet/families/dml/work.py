"""How much work a ``dml`` job is: images that pass forward and backward through one network, per seed.

A forward pass alone counts a half, as in the ``passes`` that training and attacks record.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from gauntlet.data.sizes import taken
from gauntlet.families.dml.settings import Data, Evaluate, Method, Train

#: Defense -> passes per training image and member, from the steps s of its attack and its options, where that
#: is not AT's s + 1. Those of triplets are for one per image: miners that give more make the count too low.
PASSES = {
    "none": lambda s, o: 1,
    "mixup": lambda s, o: 1,
    "alp": lambda s, o: s + 2,
    "est": lambda s, o: s + 1.5,
    "feature_scattering": lambda s, o: s + 1.5,
    "iat": lambda s, o: s + 2,
    "trades": lambda s, o: s + 2.5,
    "rdml": lambda s, o: 1.5 + o.get("attack_rate", 1) * (s + 1),
    "act": lambda s, o: 0.5 + 2 * s + 3,
    "joint_minmax": lambda s, o: 0.5 + 3 * s + 3,
    "hm": lambda s, o: 0.5 + 3 * s + 3 + (2 if o.get("intra_class", 0.5) else 0),
    "anchor_fgsm": lambda s, o: 1.5 + (1 - o.get("natural", 0.5)) * 4,
}


def train(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed's training: epochs x images x passes of the defense, all
    members together."""
    data, recipe = Data(**identity["data"]), Train(**identity["train"])
    images = taken(identity["dataset"], "train", data.train_per_class, data.train_classes)
    passes = defense_passes(Method(**identity["method"]), recipe.steps)
    return {("model", identity["architecture"]): recipe.epochs * images * passes}


def attack(identity: dict[str, Any], evaluate: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> passes of one seed's attacks: the headline, the sweeps and the sanity suite,
    through all members."""
    data, settings = Data(**identity["data"]), Evaluate(**evaluate)
    images = taken(
        identity["dataset"], "test", settings.test_per_class, _test_classes(identity["dataset"], data)
    )
    members = Method(**identity["method"]).members
    return {("model", identity["architecture"]): attack_passes(settings, members, images)}


def weights(identity: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(kind, architecture) -> networks of which a seed keeps the weights."""
    return {("model", identity["architecture"]): Method(**identity["method"]).members}


def defense_passes(method: Method, steps: int) -> float:
    """Passes per training image and epoch, summed over the members."""
    members = method.members
    if method.defense == "eat":
        return _ensemble_passes(members, steps, **method.options)
    passes = PASSES.get(method.defense, lambda s, o: s + 1)
    return members * passes(steps, method.options)


def _ensemble_passes(
    members: int,
    steps: int,
    parts_per_member: int | None = None,
    self_transfer: str = "ensemble",
    clean_weight: float = 0.0,
    split_unit: str = "sample",
) -> float:
    """EAT: an image is learned by as many members as may use it, and attacked by whom self-transfer says."""
    taking = max(members - 1, 1) if parts_per_member is None else parts_per_member
    attacked = {"ensemble": members, "all": members, "own": taking, "peer": taking * (members - 1)}
    learned = taking * ((members if self_transfer == "all" else 1) + (1 if clean_weight else 0))
    return attacked[self_transfer] * steps + learned


def attack_passes(settings: Evaluate, members: int, images: float) -> float:
    """Passes of one seed's attacks on so many test images."""

    def passes(label: str, steps: int | None = None) -> float:
        attack = settings.attack(label)
        search = _search(attack.search, attack.norm, json.dumps(attack.options))
        return search.passes(attack.steps if steps is None else steps, attack.restarts)

    joint = {label: _joint(settings.attack(label).objective) for label in settings.attacks}
    swept = settings.attack(settings.sweep_attack)
    lengths = [swept.steps for eps in settings.eps_sweep if eps != swept.eps]
    lengths += [steps for steps in settings.steps_sweep if steps != swept.steps]
    parts = sum(fraction for fraction in settings.fractions if fraction < 1)
    count = sum(passes(label) for label in settings.attacks)
    count += sum(passes(settings.sweep_attack, steps) for steps in lengths)
    count += parts * passes(settings.sweep_attack)
    alone = [label for label in settings.attacks if not joint[label]]
    if members > 1 and settings.transfer and alone:  # every member is attacked by itself
        count += passes(alone[0])
    total = members * images * count
    checked = min(settings.sanity_images, images)
    for label in settings.attacks:
        longer = round(settings.sanity_steps * settings.attack(label).steps / settings.steps)
        own = passes(label) * (2 if joint[label] else 1)  # bigger_eps; a joint attack's white_box anew
        through = own + 2 * passes(label, longer)  # more_steps, unbounded
        total += checked * (members * through + passes(label))  # transfer is made on one network
    return total


def _test_classes(dataset: str, data: Data) -> int | None:
    from gauntlet.data.registry import entry

    return None if data.train_classes is None else entry(dataset).class_count - data.train_classes


@cache
def _search(name: str, norm: str, options: str):
    from gauntlet.attacks.searches.base import make

    return make(name, norm, json.loads(options))


@cache
def _joint(objective: str) -> bool:
    """Whether the attack perturbs its whole set together."""
    from gauntlet.core.registry import resolve

    return resolve("attack", objective).joint
