"""Labels from updates: exact where theory says so, and a hand-worked example."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toy_inversion import CLASSES, SHAPE, images, labels, network, observe

from gauntlet.core.errors import GauntletError
from gauntlet.inversion.labels import Clue, _whole, infer
from gauntlet.inversion.observation import Observation


def clue(net, *observations):
    return Clue(net, list(observations), SHAPE, CLASSES)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, CLASSES - 1), st.sampled_from([nn.ReLU, nn.Sigmoid]))
def test_the_label_of_a_single_image_is_found(seed, label, activation):
    """Behind features that are not negative, always."""
    net = network(seed, activation)
    seen = observe(net, images(1, seed), torch.tensor([label]), known=False)
    for how in ("idlg", "yin", "llg"):
        assert infer(how, clue(net, seen)).tolist() == [label], how


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=12), st.booleans())
def test_counts_are_exact_where_the_networks_answers_are_known(drawn, bias):
    """A head of zeros answers 1/C to every image; without a bias, equal features are needed too."""
    net = network()
    if not bias:
        net[-1] = nn.Linear(36, CLASSES, bias=False).double()
        for layer in (net[0], net[2]):
            nn.init.zeros_(layer.weight)
    for value in net[-1].parameters():
        nn.init.zeros_(value)
    seen = observe(net, images(len(drawn)), torch.tensor(drawn), known=False)
    assert infer("counts", clue(net, seen)).tolist() == sorted(drawn)


def test_counts_of_several_local_steps_and_rounds():
    """Untrained networks answer noise and images alike; small steps change little of it."""
    nets = [network(seed) for seed in range(3)]
    y = torch.tensor([3, 0, 0, 2, 0, 3])
    seen = [observe(net, images(6), y, batch=2, epochs=2, lr=0.01, known=False) for net in nets]
    assert infer("counts", clue(nets[0], *seen)).tolist() == [0, 0, 0, 2, 3, 3]


@pytest.mark.parametrize(
    ("rows", "n", "expected"),
    [
        ([-5.0, -2.0, 3.0, 4.0], 2, [0, 1]),
        ([-5.0, -2.0, 3.0, 4.0], 1, [0]),
        # m = -7 * 5/4 / 3 = -35/12: one label each leaves -25/12 and 11/12.
        ([-5.0, -2.0, 3.0, 4.0], 3, [0, 0, 1]),
        # m = -5 * 5/4 / 6 = -25/24: one each leaves -47/24, -23/24; then 0 (-22/24), 1 (2/24), 0 (3/24), 1.
        ([-3.0, -2.0, 9.0, 9.0], 6, [0, 0, 0, 1, 1, 1]),
    ],
)
def test_llg_by_hand(rows, n, expected):
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES, bias=False)).double().eval()
    gradient = torch.zeros(CLASSES, 36).double()
    gradient[:, 0] = torch.tensor(rows)
    seen = Observation({"1.weight": net[1].weight.detach()}, {"1.weight": gradient}, n, n)
    assert infer("llg", clue(net, seen)).tolist() == expected


def test_yin_finds_labels_that_are_all_different():
    net = network(activation=nn.ReLU)
    y = torch.tensor([3, 0, 2])
    assert infer("yin", clue(net, observe(net, images(3), y, known=False))).tolist() == [0, 2, 3]


def test_rounds_are_averaged():
    """A second round with the opposite update, twice as large, decides."""
    net = network()
    seen = observe(net, images(1), torch.tensor([2]), known=False)
    other = observe(net, images(1, 1), torch.tensor([1]), known=False)
    stronger = Observation(seen.weights, {k: 3 * v for k, v in other.update.items()}, 1, 1, 1, seen.lr)
    assert infer("idlg", clue(net, seen, stronger)).tolist() == [1]


def test_given_labels_keep_their_order():
    y = torch.tensor([3, 0, 3])
    net = network()
    assert infer("given", clue(net, observe(net, images(3), y))).tolist() == [3, 0, 3]


def test_what_cannot_be_inferred_is_refused():
    net = network()
    seen = observe(net, images(5), labels(5), known=False)
    for how, text in (("given", "no labels"), ("idlg", "one image"), ("yin", "all different")):
        with pytest.raises(GauntletError, match=text):
            infer(how, clue(net, seen))
    unknown = Observation(seen.weights, seen.update, 5, 5)
    with pytest.raises(GauntletError, match="no learning rate"):
        infer("counts", clue(net, unknown))
    headless = nn.Sequential(nn.Conv2d(1, 4, 6), nn.Flatten()).double().eval()
    seen = observe(headless, images(5), labels(5), known=False)
    with pytest.raises(GauntletError, match="does not end in a linear layer"):
        infer("llg", clue(headless, seen))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-2, 5), min_size=3, max_size=3), st.integers(1, 6))
def test_rounding_is_to_the_nearest_whole_numbers_of_that_sum(raw, total):
    raw = torch.tensor(raw, dtype=torch.float64)
    found = _whole(raw, total)
    able = [c for c in itertools.product(range(total + 1), repeat=3) if sum(c) == total]
    cut = raw.clamp(0, total)
    best = min(float((torch.tensor(c) - cut).square().sum()) for c in able)
    assert tuple(found.tolist()) in able
    assert float((found - cut).square().sum()) == pytest.approx(best)
