"""Defenses of the black box against their definitions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gauntlet.blackbox.defenses.prada import Prada
from gauntlet.core.registry import names, resolve

GENERATOR = torch.Generator().manual_seed(0)
PROBABILITIES = (2 * torch.randn(40, 5, generator=GENERATOR)).softmax(1)
IMAGES = torch.rand(40, 1, 2, 2, generator=GENERATOR)


def answer(name, probabilities=PROBABILITIES, **options):
    return resolve("oracle_defense", name)(**options).answer(IMAGES[: len(probabilities)], probabilities)


@pytest.mark.parametrize("name", names("oracle_defense"))
def test_answers_are_about_probabilities(name):
    before = PROBABILITIES.clone()
    found = answer(name)
    assert torch.equal(PROBABILITIES, before)
    assert found.shape == PROBABILITIES.shape
    assert found.min() >= 0
    assert found.sum(1).max() <= 1 + 0.05


def test_rounding_and_top_k():
    p = torch.tensor([[0.126, 0.374, 0.5], [0.7, 0.2, 0.1]])
    torch.testing.assert_close(
        answer("rounding", p, decimals=2), torch.tensor([[0.13, 0.37, 0.5], [0.7, 0.2, 0.1]])
    )
    assert answer("top_k", p, k=1).tolist() == [[0, 0, 0.5], [p[1, 0], 0, 0]]
    torch.testing.assert_close(answer("top_k", p, k=9), p)


def test_noise_is_normalised_and_averages_away():
    defense = resolve("oracle_defense", "noise")(scale=0.02)
    found = torch.stack([defense.answer(IMAGES, PROBABILITIES) for _ in range(400)])
    torch.testing.assert_close(found.sum(2), torch.ones(400, 40))
    assert (found[0] - PROBABILITIES).abs().max() > 0.01
    sure = PROBABILITIES.amin(1) > 0.06  # where nothing is cut off at 0
    assert sure.any()
    assert (found.mean(0) - PROBABILITIES)[sure].abs().max() < 0.005
    nothing = answer("noise", torch.full((3, 5), -9.0), scale=0.0)
    torch.testing.assert_close(nothing, torch.full((3, 5), 0.2))


def deviation(y, other):
    """Distance of the directions of the last layer's gradients, by backpropagation through a surrogate."""
    features = torch.rand(7, generator=torch.Generator().manual_seed(1))
    gradients = []
    for label in (y, other):
        weight = torch.zeros(5, 7, requires_grad=True)
        loss = -(label * F.log_softmax(weight @ features, dim=0)).sum()
        (gradient,) = torch.autograd.grad(loss, weight)
        gradients.append(F.normalize(gradient.flatten(), dim=0))
    return float((gradients[0] - gradients[1]).norm())


def test_poisoning_goes_towards_the_corner_that_turns_the_gradient_furthest():
    for budget in (0.3, 2.0):
        found = answer("poisoning", budget=budget)
        torch.testing.assert_close(found.sum(1), torch.ones(40))
        assert (found - PROBABILITIES).abs().sum(1).max() <= budget + 1e-5
        for y, poisoned in zip(PROBABILITIES, found, strict=True):
            corners = [deviation(y, corner) for corner in torch.eye(5)]
            best = torch.eye(5)[int(np.argmax(corners))]
            moved = F.normalize(poisoned - y, dim=0)
            torch.testing.assert_close(moved, F.normalize(best - y, dim=0), rtol=1e-3, atol=1e-3)
            assert deviation(y, poisoned) > 0


def test_poisoning_may_keep_the_label():
    found = answer("poisoning", budget=2.0, keep_label=True)
    assert torch.equal(found.argmax(1), PROBABILITIES.argmax(1))
    assert not torch.equal(answer("poisoning", budget=2.0).argmax(1), PROBABILITIES.argmax(1))
    assert (found - PROBABILITIES).abs().sum(1).max() > 0.05


def watched(rows, batch=50, **options):
    """PRADA after queries, all taken for one class."""
    defense = Prada(**options)
    certain = torch.tensor([[1.0, 0.0]]).expand(len(rows), 2)
    for part, p in zip(rows.split(batch), certain.split(batch), strict=True):
        defense.answer(part.view(len(part), 1, 1, -1), p)
    return defense


def test_prada_by_hand():
    """Points on a line: each one's distance to the nearest of the growing set, and who joins it."""
    defense = watched(torch.tensor([[0.0], [4.0], [1.0], [9.0]]), batch=1)
    # 4 is 4 from {0} and joins (4 > 0): threshold 4 - 0. 1 is 1 from {0, 4}: no. 9 is 5 from 4 and joins:
    # threshold 4.5 - 0.5, mean less deviation.
    assert defense.distances == [4.0, 1.0, 5.0]
    assert defense.kept[0][:, 0].tolist() == [0, 4, 9]
    assert defense.threshold[0] == pytest.approx(4.0)
    assert defense.statistic() == 1
    assert defense.detected_at is None


def test_prada_lets_natural_queries_pass_and_sees_a_generators():
    generator = torch.Generator().manual_seed(0)
    users = torch.randn(400, 60, generator=generator)
    quiet = watched(users)
    assert quiet.detected_at is None
    assert quiet.statistic() > 0.95
    # Small steps around a few seeds, as synthetic queries are: distances with two modes.
    seeds = torch.randn(200, 60, generator=generator)
    steps = seeds.repeat_interleave(2, 0) + 0.05 * torch.randn(400, 60, generator=generator)
    steps[::2] = seeds
    alarmed = watched(steps)
    assert 100 <= alarmed.detected_at < 400


def test_prada_goes_on_from_its_state():
    rows = torch.randn(300, 8, generator=torch.Generator().manual_seed(2))
    whole, first = watched(rows), watched(rows[:150])
    second = Prada()
    second.restore(first.state())
    for part in rows[150:].split(50):
        second.answer(part.view(len(part), 1, 1, -1), torch.tensor([[1.0, 0.0]]).expand(len(part), 2))
    assert second.distances == whole.distances
    assert second.detected_at == whole.detected_at
    assert second.threshold == whole.threshold
