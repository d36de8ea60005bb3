"""Aggregation rules: numbers of images to weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names, resolve

sizes = st.lists(st.integers(1, 10_000), min_size=1, max_size=9).map(np.array)


def test_sizes_or_nothing_decide():
    samples = np.array([600, 100, 300])
    assert resolve("aggregation", "fedavg")(samples) == pytest.approx([0.6, 0.1, 0.3])
    assert resolve("aggregation", "uniform")(samples) == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("name", names("aggregation"))
@given(sizes)
@settings(deadline=None)
def test_weights_are_a_mean_and_do_not_depend_on_the_order(name, samples):
    weights = resolve("aggregation", name)(samples)
    assert weights.shape == samples.shape
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(resolve("aggregation", name)(samples[::-1]), weights[::-1])


@pytest.mark.parametrize("name", names("aggregation"))
@given(st.integers(1, 5000), st.integers(1, 9))
@settings(deadline=None)
def test_clients_of_equal_size_count_equally(name, size, clients):
    assert resolve("aggregation", name)(np.full(clients, size)) == pytest.approx([1 / clients] * clients)


def test_an_unknown_rule_is_named():
    with pytest.raises(GauntletError, match="did you mean 'fedavg'"):
        resolve("aggregation", "fedavgg")
