"""What is matched, against torch's autograd written out for one copy at a time, and finite differences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call
from torch.nn import functional as F
from toy_inversion import CLASSES, SHAPE, generators, images, labels, network, observe

from gauntlet.core.errors import GauntletError
from gauntlet.inversion.base import make
from gauntlet.inversion.descent import Descent
from gauntlet.inversion.matching import Frozen, Simulation, Surrogate
from gauntlet.inversion.problem import Problem


def case(n=4, targets=2, rounds=2, norm=False, **training):
    """Problem, nets, images (rows, 1, n, ...), targets (rows, n, classes); every row has its own weights."""
    rows = targets * rounds
    nets = [network(seed, norm=norm) for seed in range(rows)]
    seen = [observe(net, images(n, 9), labels(n, 9), **training) for net in nets]
    observations = [seen[t * rounds : (t + 1) * rounds] for t in range(targets)]
    x = torch.stack([images(n, row) for row in range(rows)])[:, None]
    y = torch.stack([labels(n, row) for row in range(rows)])
    return Problem(nets[0], observations, CLASSES), nets, x, F.one_hot(y, CLASSES).double()


def gradients(net, weights, x, y, graph=False):
    loss = -(y * functional_call(net, weights, (x,)).log_softmax(1)).sum(1).mean()
    return torch.autograd.grad(loss, list(weights.values()), create_graph=graph)


def free(net):
    return {name: value.detach().clone().requires_grad_() for name, value in net.named_parameters()}


@pytest.mark.parametrize("norm", [False, True])
def test_frozen_weights_give_the_gradient_of_all_images(norm):
    problem, nets, x, y = case(norm=norm)
    found = Frozen()(problem, x, y, {})
    for row, net in enumerate(nets):
        for mine, plain in zip(found, gradients(net, free(net), x[row, 0], y[row]), strict=True):
            torch.testing.assert_close(mine[row], plain)


def stepped(net, x, y, batch, epochs, lr):
    """``(w - w_U) / (lr U)`` by a loop of SGD steps that autograd sees through."""
    weights, steps = free(net), 0
    before = weights
    for _ in range(epochs):
        for rows in torch.arange(len(x)).split(batch):
            slopes = gradients(net, weights, x[rows], y[rows], graph=True)
            moved = zip(weights.items(), slopes, strict=True)
            weights = {name: value - lr * slope for (name, value), slope in moved}
            steps += 1
    return [(before[name] - weights[name]) / (lr * steps) for name in weights]


@pytest.mark.parametrize(("batch", "epochs"), [(1, 1), (2, 3), (3, 1), (9, 2)])
def test_the_simulation_is_a_loop_of_steps_and_so_is_its_gradient(batch, epochs):
    problem, nets, x, y = case(batch=batch, epochs=epochs, lr=0.3)
    x.requires_grad_()
    found = Simulation()(problem, x, y, {})
    probe = [torch.randn_like(value) for value in found]
    total = sum((a * b).sum() for a, b in zip(found, probe, strict=True))
    (slope,) = torch.autograd.grad(total, x)
    for row, net in enumerate(nets):
        own = x[row, 0].detach().requires_grad_()
        plain = stepped(net, own, y[row], batch, epochs, 0.3)
        for mine, value in zip(found, plain, strict=True):
            torch.testing.assert_close(mine[row], value)
        total = sum((a * b[row]).sum() for a, b in zip(plain, probe, strict=True))
        torch.testing.assert_close(slope[row, 0], torch.autograd.grad(total, own)[0])


def test_the_simulation_with_the_true_images_in_their_order_is_the_observation():
    x, y, net = images(5, 1), labels(5, 1), network()
    problem = Problem(net, [[observe(net, x, y, batch=2, epochs=2, lr=0.5)]], CLASSES)
    found = Simulation()(problem, x[None, None], F.one_hot(y, CLASSES)[None].double(), {})
    for mine, seen in zip(found, problem.gradient, strict=True):
        torch.testing.assert_close(mine, seen)


def test_sets_of_their_own_for_epochs_may_follow_the_clients_shuffles():
    x, y, net = images(4, 2), torch.tensor([1, 1, 1, 1]), network()
    orders = [torch.tensor([2, 0, 3, 1]), torch.tensor([1, 3, 0, 2])]
    problem = Problem(net, [[observe(net, x, y, batch=2, epochs=2, lr=0.5, orders=orders)]], CLASSES)
    sets, hot = torch.stack([x[order] for order in orders])[None], F.one_hot(y, CLASSES)[None].double()
    for mine, seen in zip(Simulation(own_sets=True)(problem, sets, hot, {}), problem.gradient, strict=True):
        torch.testing.assert_close(mine, seen)
    same = Simulation(own_sets=True)(problem, sets[:, :1].expand(-1, 2, *sets.shape[2:]), hot, {})
    for mine, shared in zip(same, Simulation()(problem, sets[:, :1], hot, {}), strict=True):
        torch.testing.assert_close(mine, shared)


def test_the_surrogate_lies_between_the_weights_before_and_after():
    problem, nets, x, y = case(batch=1, lr=0.5)
    alpha = torch.tensor([[0.0, 0.3], [0.8, 1.0]], dtype=torch.float64)
    found = Surrogate(0.5, 0.1)(problem, x, y, {"alpha": alpha})
    for row, net in enumerate(nets):
        a = alpha.flatten()[row]
        ends = zip(problem.names, problem.parameters, problem.update, strict=True)
        between = {
            name: ((1 - a) * w[row] + a * (w[row] - change[row])).requires_grad_() for name, w, change in ends
        }
        for mine, plain in zip(found, gradients(net, between, x[row, 0], y[row]), strict=True):
            torch.testing.assert_close(mine[row], plain)


@pytest.mark.parametrize("name", ["dlg", "idlg", "ig", "ig_simulation", "agic", "sme", "dlfa"])
def test_the_slope_of_the_whole_cost_by_finite_differences(name):
    """Of everything that is searched, for all copies at once."""
    n, epochs = (1, 1) if name == "idlg" else (2, 2)
    nets = [network(seed) for seed in range(2)]
    rounds = [[observe(net, images(n, 5), labels(n, 5), batch=1, epochs=epochs)] for net in nets]
    problem = Problem(nets[0], rounds, CLASSES)
    method = make(name)
    known = None if name == "dlg" else torch.stack([labels(n, 5)] * 2)
    descent = Descent(problem, method, SHAPE, known, [row[0] for row in generators(2)])
    _, slopes = descent.evaluate()
    for variable, slope in zip(descent.variables.values(), slopes, strict=True):
        way = torch.randn_like(slope)
        start, step = variable.value.clone(), 1e-5
        variable.value.copy_(start + step * way)
        up, none = descent.evaluate(slopes=False)
        variable.value.copy_(start - step * way)
        down, _ = descent.evaluate(slopes=False)
        variable.value.copy_(start)
        assert not none
        expected = (slope * way).flatten(1).sum(1)
        torch.testing.assert_close((up - down) / (2 * step), expected, rtol=1e-5, atol=1e-8)


def error(matching, seed, lr, learned=None, **training):
    """How far a matching is from the truth, given the true images."""
    net, x, y = network(seed), images(4, seed), labels(4, seed)
    problem = Problem(net, [[observe(net, x, y, lr=lr, **training)]], CLASSES)
    found = matching(problem, x[None, None], F.one_hot(y, CLASSES)[None].double(), learned or {})
    pairs = zip(found, problem.gradient, strict=True)
    return float(torch.cat([(a - b).detach().flatten() for a, b in pairs]).norm())


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_the_error_of_frozen_weights_shrinks_linearly_in_the_rate(seed):
    frozen = [error(Frozen(), seed, lr, batch=1) for lr in (0.01, 0.005)]
    assert frozen[0] / frozen[1] == pytest.approx(2, rel=0.05)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_the_error_at_the_mean_point_of_the_steps_shrinks_quadratically(seed, steps):
    """Full steps begin at shares 0, 1/U, ... of the way: alpha (U-1)/(2U) is exact to first order."""
    alpha = {"alpha": torch.tensor([[(steps - 1) / (2 * steps)]]).double()}
    middle = [error(Surrogate(0.5, 0.0), seed, lr, alpha, epochs=steps) for lr in (2e-3, 1e-3)]
    assert middle[0] / middle[1] == pytest.approx(4, rel=0.1)
    assert middle[1] < error(Frozen(), seed, 1e-3, epochs=steps)


def test_frozen_weights_are_exact_for_one_full_step():
    net, x, y = network(), images(4), labels(4)
    problem = Problem(net, [[observe(net, x, y, lr=3.0)]], CLASSES)
    found = Frozen()(problem, x[None, None], F.one_hot(y, CLASSES)[None].double(), {})
    for mine, seen in zip(found, problem.gradient, strict=True):
        torch.testing.assert_close(mine, seen)


@pytest.mark.parametrize(("alpha", "rate"), [(-0.1, 0.0), (1.1, 0.0), (0.5, -1.0), (float("nan"), 0.0)])
def test_a_surrogate_beyond_the_line_is_refused(alpha, rate):
    with pytest.raises(GauntletError, match="alpha"):
        make("sme", {"alpha": alpha, "alpha_rate": rate})
