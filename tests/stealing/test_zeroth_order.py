"""Estimated gradients against backpropagation and against their definition."""

import pytest
import torch

from gauntlet.stealing.zeroth_order import estimate


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


SLOPE = torch.randn(2, 3, 3, generator=rng(5), dtype=torch.float64)


def plane(points):
    return (points * SLOPE).flatten(1).sum(1) + 1


def bowl(points):
    return points.square().flatten(1).sum(1)


def points(n=4):
    return torch.rand(n, 2, 3, 3, generator=rng(1), dtype=torch.float64)


def test_many_directions_give_the_gradient():
    x = points()
    found, values = estimate(plane, x, directions=20_000, eps=1e-3, generator=rng())
    torch.testing.assert_close(values, plane(x))
    error = (found - SLOPE).flatten(1).norm(dim=1) / SLOPE.norm()
    assert error.max() < 0.05
    found, _ = estimate(bowl, x, directions=20_000, eps=1e-4, generator=rng())
    assert ((found - 2 * x).flatten(1).norm(dim=1) / (2 * x).flatten(1).norm(dim=1)).max() < 0.05


def test_one_direction_is_its_definition():
    x = points()
    draws = torch.randn(1, 4, 18, generator=rng(9))
    u = torch.nn.functional.normalize(draws, dim=2).view(4, 2, 3, 3).double()
    slope = (bowl(x + 0.01 * u) - bowl(x)) / 0.01
    found, _ = estimate(bowl, x, directions=1, eps=0.01, generator=rng(9))
    torch.testing.assert_close(found, 18 * slope.view(4, 1, 1, 1) * u, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("directions", [1, 10])
def test_all_values_are_asked_in_one_call(directions):
    sizes = []

    def counted(x):
        sizes.append(len(x))
        return bowl(x)

    found, _ = estimate(counted, points(), directions=directions, eps=0.1, generator=rng())
    assert sizes == [4 * (directions + 1)]
    assert not found.requires_grad
