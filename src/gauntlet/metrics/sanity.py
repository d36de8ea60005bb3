"""The sanity suite of a robustness number: checks that a broken attack or masked gradients would fail.

After Carlini et al. 2019 ("On Evaluating Adversarial Robustness", arXiv 1902.06705, section 5) and
Athalye et al. 2018 (arXiv 1802.00420, section 3.1). It knows no model and no attack: it asks for scores.

Every check says ``value <= bound``; scores are in [0, 1] and higher is better for the defender:

``gradient``      backpropagation agrees with finite differences of the deployed network's objective. Sees
                  what no comparison of scores may see: an attack that is blind to a part of the defense.
``more_steps``    the longer attack is no better for the defender than the attack, within noise.
``bigger_eps``    twice the budget is no better for the defender, within noise.
``unbounded``     with the whole [0, 1] box as budget the attack succeeds: of what the clean score has over
                  the floor, at most the share ``left`` remains, within noise. (0 for an attack that can
                  pass chance, as on recall. An attack on clustering maximises a stand-in for NMI and F1
                  and stops a little above their floor: a quarter.)
``transfer``      the attack is at least as strong as examples made on another model, within noise.
``random_noise``  the attack is at least as strong as uniform noise of the same budget, within noise.

The unbounded attack must begin near the clean images (``start_eps`` of PGD): begun in noise it would
"succeed" without any gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["white_box", "transfer", "random_noise"]
Scores = Mapping[str, float]

#: Most that backpropagation may be apart from finite differences (``attacks.derivative``). Honest networks
#: show below 0.05; an ensemble of three attacked through one member about 0.5.
APART = 0.2
#: Share of the clean margin over the floor that an unbounded attack on clustering may leave.
LEFT = 0.25


@dataclass(frozen=True)
class Check:
    """One line of the suite: ``passed`` is ``value <= bound``."""

    check: str
    metric: str
    value: float
    bound: float
    passed: bool


def noise(images: int) -> float:
    """Half-width of the widest 95% binomial interval for a share among ``images``: 0.98 / sqrt(images).

    Wider than the noise of a paired difference of two recalls, and a rule of thumb for set-level scores:
    the checks find gross faults, not small ones.
    """
    return 1.96 * math.sqrt(0.25 / images)


def suite(
    score: Callable[[float, int, Kind], Scores],
    *,
    eps: float,
    steps: int,
    more_steps: int,
    clean: Scores,
    floor: Scores,
    images: int,
    left: float = 0.0,
) -> list[Check]:
    """Run the checks on one attack.

    Args:
        score: (eps, steps, kind) -> {metric: score under that attack}, on a fixed set of images.
        eps, steps: the attack that the reported number was measured with.
        more_steps: steps of the longer attack, which the unbounded one takes as well.
        clean: {metric: score without an attack}; names the metrics that are checked.
        floor: {metric: score of a model that knows nothing}, such as chance.
        images: how many images the scores are over; sets the noise.
        left: share of what the clean score has over the floor that an unbounded attack may leave.

    Returns:
        Checks, by metric within check.
    """
    slack = noise(images)
    attacked = score(eps, steps, "white_box")
    others = {
        "more_steps": score(eps, more_steps, "white_box"),
        "bigger_eps": score(min(1.0, 2 * eps), steps, "white_box"),
        "unbounded": score(1.0, more_steps, "white_box"),
    }
    rivals = {
        "transfer": score(eps, steps, "transfer"),
        "random_noise": score(eps, steps, "random_noise"),
    }
    checks = []
    for name, scores in others.items():
        for metric in clean:
            limit = attacked[metric]
            if name == "unbounded":
                limit = floor[metric] + left * max(clean[metric] - floor[metric], 0.0)
            checks.append(_check(name, metric, scores[metric], limit + slack))
    for name, scores in rivals.items():
        checks += [_check(name, metric, attacked[metric], scores[metric] + slack) for metric in clean]
    return checks


def gradient(apart: float) -> Check:
    """The check ``gradient``, from the relative disagreement in [0, 1] (``attacks.derivative``)."""
    return _check("gradient", "objective", apart, APART)


def _check(check: str, metric: str, value: float, bound: float) -> Check:
    return Check(check, metric, float(value), float(bound), bool(value <= bound))
