"""The gradient check on functions whose derivatives are known."""

import pytest
import torch

from gauntlet.attacks.derivative import disagreement


def measure(objective, shape=(5, 1, 4, 4)):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    return disagreement(objective, x, generator=torch.Generator().manual_seed(1))


def smooth(x):
    return (x.flatten(1) ** 2).sum(1)


def per_image_and_scalar(objective):
    return measure(objective), measure(lambda x: objective(x).sum())


def test_an_honest_gradient_agrees():
    assert max(per_image_and_scalar(smooth)) < 0.01


def test_a_gradient_of_one_part_does_not():
    """Two equal parts, one cut off: a = f / 2, so the value is (1 - 1/2) / (1 + 1/2)."""
    for found in per_image_and_scalar(lambda x: smooth(x) + smooth(x).detach()):
        assert found == pytest.approx(1 / 3, abs=0.01)


def test_a_rounded_function_with_a_made_up_gradient_does_not():
    def straight_through(x):
        return smooth(x + ((4 * x).round() / 4 - x).detach())

    assert min(per_image_and_scalar(straight_through)) > 0.5


def test_nothing_to_disagree_about():
    assert measure(lambda x: 0 * x.flatten(1).sum(1)) == 0.0
