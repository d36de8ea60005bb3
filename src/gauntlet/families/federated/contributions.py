"""What each client of a round contributed: all coalitions of their models, evaluated and credited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from gauntlet.families.federated.evaluation import Evaluator
from gauntlet.metrics.shapley import coalitions, influence, shapley
from gauntlet.models.copies import State


@dataclass(frozen=True)
class Contributions:
    """Per client of the round, (K,): exact Shapley value and influence, for both value functions.

    The value of a coalition is the aggregate's ``accuracy`` in [0, 1], or minus its mean cross-entropy
    ``loss``, on the server's images: larger is better in all four.
    """

    shapley_accuracy: np.ndarray
    shapley_loss: np.ndarray
    influence_accuracy: np.ndarray
    influence_loss: np.ndarray


def mean(states: list[State], weights: np.ndarray) -> State:
    """The weighted mean of models, added up in the given order; ``weights`` sum to 1."""
    total = {name: value * float(weights[0]) for name, value in states[0].items()}
    for state, weight in zip(states[1:], weights[1:], strict=True):
        for name, value in total.items():
            value.add_(state[name], alpha=float(weight))
    return total


def contributions(
    before: State,
    states: list[State],
    samples: np.ndarray,
    rule: Callable[[np.ndarray], np.ndarray],
    evaluate: Evaluator,
) -> Contributions:
    """Evaluate the aggregates of all 2^K coalitions and credit the clients.

    Args:
        before: the global model before the round: the empty coalition's.
        states: the K clients' models.
        samples: (K,) their numbers of images.
        rule: the aggregation rule, applied to every coalition alike.
        evaluate: scores on the server's images.
    """
    members = coalitions(len(states))[1:]
    weights = np.zeros(members.shape)
    for row, inside in enumerate(members):
        weights[row, inside] = rule(samples[inside])
    mixed = _mixtures(states, weights)
    scores = evaluate(before, *mixed)
    accuracy, gain = scores.accuracy, -scores.loss
    return Contributions(shapley(accuracy), shapley(gain), influence(accuracy), influence(gain))


def _mixtures(states: list[State], weights: np.ndarray) -> list[State]:
    """All weighted means at once: one matrix product per tensor."""
    first = states[0]
    matrix = torch.from_numpy(weights).to(next(iter(first.values())))
    mixed = {
        name: (matrix @ torch.stack([state[name].flatten() for state in states])).view(-1, *value.shape)
        for name, value in first.items()
    }
    return [{name: value[row] for name, value in mixed.items()} for row in range(len(matrix))]
