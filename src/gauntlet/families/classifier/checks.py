"""The sanity suite of an attack on a classifier, on its accuracy."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gauntlet.attacks.classifiers.base import Attack, cross_entropy
from gauntlet.attacks.derivative import disagreement
from gauntlet.attacks.pgd import random_start
from gauntlet.core.seeds import torch_generator
from gauntlet.data.subset import Images
from gauntlet.families.classifier.attack import make_attack, perturb
from gauntlet.families.classifier.settings import Evaluation
from gauntlet.metrics import sanity


def applies(attack: Attack) -> bool:
    """Whether the attack is iterated under an L-inf budget."""
    return hasattr(attack, "eps") and hasattr(attack, "steps")


def run(net: nn.Module, images: Images, entry: Evaluation, more_steps: int, seed: int) -> list[sanity.Check]:
    """All checks of one attack (``metrics.sanity``).

    Args:
        net: the network, in eval mode.
        images: what to attack.
        entry: the attack with its headline budget.
        more_steps: of the longer attack.
        seed: of the trial.
    """
    attack, labels = make_attack(entry), images.labels
    eps, steps = attack.eps, attack.steps

    def score(radius: float, length: int, kind: sanity.Kind) -> dict[str, float]:
        generator = torch_generator(seed, "sanity", kind)
        if kind == "random_noise":
            found = random_start(images.pixels, radius, generator)
        else:
            changed = {"eps": radius, "steps": length}
            if hasattr(attack, "step"):
                # The attack of any budget and length covers the same multiple of its budget.
                changed["step"] = min(radius, attack.step * (radius / eps) * (steps / length))
            if radius == 1 and hasattr(attack, "start_eps"):
                changed["start_eps"] = eps
            maker = means(images) if kind == "transfer" else net
            found = perturb(make_attack(entry, **changed), maker, images, generator)
        return {"accuracy": accuracy(net, found, labels)}

    classes = net(images.pixels[:1]).shape[1]
    start = random_start(images.pixels, eps, torch_generator(seed, "sanity", "gradient"))
    apart = disagreement(
        cross_entropy(net, labels, False), start, generator=torch_generator(seed, "sanity", "directions")
    )
    return [
        sanity.gradient(apart),
        *sanity.suite(
            score,
            eps=eps,
            steps=steps,
            more_steps=more_steps,
            clean={"accuracy": accuracy(net, images.pixels, labels)},
            floor={"accuracy": 1 / classes},
            images=len(images),
        ),
    ]


def accuracy(net: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float((net(pixels).argmax(1) == labels).double().mean())


def means(images: Images):
    """A classifier without training to make transfer examples on: the nearest class mean, in pixels."""
    flat, classes = images.pixels.flatten(1), int(images.labels.max()) + 1
    counts = images.labels.bincount(minlength=classes).clamp(min=1)
    sums = flat.new_zeros(classes, flat.shape[1]).index_add_(0, images.labels, flat)
    centres = sums / counts[:, None]
    return lambda x: 2 * x.flatten(1) @ centres.T - centres.square().sum(1)
