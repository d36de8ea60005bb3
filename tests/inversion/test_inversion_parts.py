"""Distances, layer weights, priors, starts and searches, against torch and by hand."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from toy_inversion import network

from gauntlet.core.errors import GauntletError
from gauntlet.inversion.base import Inversion
from gauntlet.inversion.distances import L2, Cosine, distance
from gauntlet.inversion.epoch_sets import merged
from gauntlet.inversion.layer_weights import FORMULAS, Weighting, blocks
from gauntlet.inversion.priors import epoch_order, l2, total_variation
from gauntlet.inversion.searches import Adam, Lbfgs, Variable
from gauntlet.inversion.starts import STARTS, start


def tensors(seed, rows=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, *s, generator=generator).double() for s in ((2, 3, 3), (2,), (4, 5), (4,))]


def flat(values):
    return torch.cat([value.flatten(1) for value in values], dim=1)


def test_the_cosine_with_equal_weights_is_torchs():
    g, seen = tensors(0), tensors(1)
    expected = 1 - F.cosine_similarity(flat(g), flat(seen))
    torch.testing.assert_close(Cosine(seen, torch.ones(1, 4).double())(g), expected)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=4, max_size=4), st.floats(0.01, 100), st.integers(0, 99))
def test_weights_are_in_the_product_and_in_both_norms(lam, factor, seed):
    """The same as torch's cosine of vectors whose tensors are scaled by the roots of the weights."""
    g, seen, lam = tensors(seed), tensors(seed + 100), torch.tensor([lam]).double()
    scaled = [[value * lam[0, i].sqrt() for i, value in enumerate(values)] for values in (g, seen)]
    expected = 1 - F.cosine_similarity(flat(scaled[0]), flat(scaled[1]))
    torch.testing.assert_close(Cosine(seen, lam)(g), expected)
    torch.testing.assert_close(Cosine([factor * value for value in seen], factor * lam)(g), expected)


def test_candidates_without_gradient_are_as_far_as_orthogonal_ones_with_a_finite_slope():
    g = [torch.zeros_like(value).requires_grad_() for value in tensors(0)]
    far = Cosine(tensors(1), torch.ones(1, 4).double())(g)
    assert torch.equal(far, torch.ones(3).double())
    assert all(slope.isfinite().all() for slope in torch.autograd.grad(far.sum(), g))


def test_l2_by_hand():
    seen = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])]
    g = [torch.tensor([[0.0, 4.0]]), torch.tensor([[2.0]])]
    assert L2(seen, torch.tensor([[1.0, 1.0]]))(g).tolist() == [6.0]
    assert L2(seen, torch.tensor([[10.0, 3.0]]))(g).tolist() == [53.0]


def test_total_variation_by_hand():
    image = torch.tensor([[0.0, 1.0], [0.5, 0.0]])  # |dx| 1, 0.5; |dy| 0.5, 1
    checks = image.view(1, 1, 1, 1, 2, 2)
    assert total_variation(checks).tolist() == [1.5]
    flat_image = torch.full((1, 1, 1, 1, 2, 2), 0.3)
    both = torch.cat([checks, flat_image], dim=2)  # two images of one copy: the mean over both
    assert total_variation(both).tolist() == [0.75]
    assert total_variation(torch.cat([checks, flat_image])).tolist() == [1.5, 0.0]  # two copies
    assert l2(checks).tolist() == [(1 + 0.25) / 4]


def test_the_order_of_images_within_an_epoch_does_not_matter():
    sets = torch.rand(2, 3, 4, 1, 5, 5, generator=torch.Generator().manual_seed(0)).double()
    pairs = list(itertools.product(range(3), repeat=2))
    means = sets.mean(2)
    brute = sum((means[:, a] - means[:, b]).square().flatten(1).mean(1) for a, b in pairs) / len(pairs)
    torch.testing.assert_close(epoch_order(sets), brute)
    shuffled = torch.stack([sets[:, e][:, torch.randperm(4)] for e in range(3)], dim=1)
    torch.testing.assert_close(epoch_order(shuffled), brute)
    one = sets[:, :1]
    orders = torch.stack([one[:, 0][:, torch.randperm(4)] for _ in range(3)], dim=1)
    assert (epoch_order(orders) < 1e-20).all()


def test_shuffled_sets_are_merged_in_the_order_of_the_first():
    first = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    noise = 0.01 * torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    sets = torch.stack([first, (first + noise)[torch.tensor([3, 1, 4, 0, 2])]])
    torch.testing.assert_close(merged(sets[None])[0], first + noise / 2)
    assert torch.equal(merged(first[None, None])[0], first)


def observed(net, rows=2):
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(rows, *value.shape, generator=generator) for value in net.parameters()]


def test_a_block_is_a_weight_with_what_follows_it():
    assert blocks(list(network(norm=True).parameters())) == [0, 0, 0, 0, 1, 1, 2, 2]
    assert blocks(list(nn.Linear(3, 2).parameters())) == [0, 0]


#: Of m = 4 blocks with s = 20, worked out by the formulas of the card.
BY_HAND = {
    "equal": [1, 1, 1, 1],
    "linear": [1, 1 + 19 / 3, 1 + 38 / 3, 20],
    "reversed": [20, 1 + 38 / 3, 1 + 19 / 3, 1],
    "log": [1, 1 + 19 / 2, 1 + 19 * math.log2(3) / 2, 20],
    "quadratic": [1 + 19 / 16, 1 + 19 / 4, 1 + 19 * 9 / 16, 20],
    "exponential": [1 + 19 / math.e**3, 1 + 19 / math.e**2, 1 + 19 / math.e, 20],
    "power": [1, 2**20, 3**20, 4**20],
}


@pytest.mark.parametrize("name", FORMULAS)
def test_layer_weights_by_the_formulas(name):
    net = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2))))
    net.append(nn.Linear(2, 5))
    seen = observed(net)
    body = torch.tensor(BY_HAND[name]).float().repeat_interleave(4)  # weight, bias, and two of BatchNorm
    expected = torch.cat([body, body.mean().expand(2)])
    weights = Weighting(name)(seen)
    assert weights.shape == (2, 18)
    torch.testing.assert_close(weights[0], expected)
    torch.testing.assert_close(weights[1], expected)


@pytest.mark.parametrize("name", FORMULAS)
def test_networks_of_one_or_two_layers_have_weights_too(name):
    assert Weighting(name)(observed(nn.Linear(3, 2))).tolist() == [[1, 1], [1, 1]]
    weights = Weighting(name)(observed(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))))
    assert weights.isfinite().all()
    assert (weights == weights[0, 0]).all()


def test_inverse_variance_is_of_every_tensor_and_row():
    seen = observed(network())
    seen[1][0] = 7.0  # no variance, no say
    weights = Weighting("inverse_variance")(seen)
    assert weights[0, 1] == 0
    torch.testing.assert_close(weights[1, 1], 1 / seen[1][1].var())
    torch.testing.assert_close(weights[0, 2], 1 / seen[2][0].var())


def test_preserved_weights_are_divided_by_the_share_of_entries_that_are_left():
    seen = observed(network())
    seen[2][1] *= torch.rand(seen[2][1].shape, generator=torch.Generator().manual_seed(0)) < 0.3
    share = seen[2][1].ne(0).float().mean()
    seen[-2][1, :, 5:] = 0  # the head's share does not count
    plain, kept = Weighting("linear")(seen), Weighting("linear", preserve=True)(seen)
    torch.testing.assert_close(kept[1, 2], plain[1, 2] / share)
    kept[1, 2] = plain[1, 2]
    torch.testing.assert_close(kept, plain)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Weighting("liner"),
        lambda: Weighting("linear", scale=0),
        lambda: distance("cosin"),
        lambda: start("gray"),
        lambda: Inversion(source="iDLG"),
        lambda: Inversion(source="given", priors={"tv": 1.0}),
        lambda: Inversion(source="given", priors={"total_variation": -1.0}),
        lambda: Inversion(source="given", rate=0.0),
    ],
)
def test_unknown_names_and_bad_numbers_are_refused(make):
    with pytest.raises(GauntletError, match=r"liner|scale|cosin|gray|iDLG|tv|total_variation|rate"):
        make()


def test_starts():
    draws = {name: draw((4, 50, 50), torch.Generator().manual_seed(0)) for name, draw in STARTS.items()}
    assert abs(draws["normal"].mean()) < 0.05
    assert abs(draws["normal"].std() - 1) < 0.05
    assert draws["uniform"].min() >= 0
    assert abs(draws["uniform"].mean() - 0.5) < 0.02
    assert (draws["grey"] == 0.5).all()


def hills(x):
    """(copies,) of (copies, 6): a smooth function with a curved valley."""
    return ((1 - x[..., :-1]) ** 2 + 5 * (x[..., 1:] - x[..., :-1] ** 2) ** 2).sum(-1)


def descend(search, variables, iterations):
    search.begin(variables, iterations)
    for _ in range(iterations):
        values = [variable.value.detach().requires_grad_() for variable in variables]
        total = hills(torch.cat(values, dim=1)).sum()
        search.step(list(torch.autograd.grad(total, values)))


def starting_points():
    return 0.3 * torch.randn(3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("history", [4, 100])
def test_lbfgs_is_torchs_for_every_copy(history):
    x = starting_points()
    split = [Variable(x[:, :4].clone(), 0.3), Variable(x[:, 4:].clone(), 0.3)]  # two variables, one vector
    descend(Lbfgs(history), split, 30)
    for copy, own in enumerate(x.clone()):
        own.requires_grad_()
        peer = torch.optim.LBFGS([own], lr=0.3, max_iter=1, history_size=history)

        def closure(own=own, peer=peer):
            peer.zero_grad()
            loss = hills(own)
            loss.backward()
            return loss

        for _ in range(30):
            peer.step(closure)
        found = torch.cat([variable.value[copy] for variable in split])
        torch.testing.assert_close(found, own.detach())


@pytest.mark.parametrize("signed", [False, True])
def test_adam_is_torchs_with_its_steps_of_the_rate_and_a_box(signed):
    x = starting_points()
    variable = Variable(x.clone(), 0.1, box=(-0.2, 0.4), signed=signed)
    descend(Adam(), [variable], 40)
    own = x.clone().requires_grad_()
    peer = torch.optim.Adam([own], lr=0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(peer, [15, 25, 35], gamma=0.1)
    for _ in range(40):
        peer.zero_grad()
        hills(own).sum().backward()
        if signed:
            own.grad.sign_()
        peer.step()
        schedule.step()
        own.data.clamp_(-0.2, 0.4)
    torch.testing.assert_close(variable.value, own.detach())


def test_a_diverging_copy_leaves_the_others_alone():
    x = starting_points()
    alone = [Variable(x[:1].clone(), 0.3)]
    descend(Lbfgs(), alone, 20)
    x[1] = torch.inf
    together = [Variable(x, 0.3)]
    descend(Lbfgs(), together, 20)
    torch.testing.assert_close(together[0].value[:1], alone[0].value)
