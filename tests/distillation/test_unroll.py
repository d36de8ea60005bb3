"""Unrolled descent: against finite differences, nested autograd by hand, torch's SGD and a closed form."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from gauntlet.distillation.sets import Samples, Sets
from gauntlet.distillation.unroll import cross_entropy, descend, repeated
from gauntlet.models.classifiers import build
from gauntlet.models.copies import copies, state_of

DOUBLE = torch.float64
EXACT = {"rtol": 1e-9, "atol": 1e-11}


@pytest.fixture(autouse=True)
def one_seed():
    torch.manual_seed(0)


def network(classes=3):
    return build("convnet2", 1, 4, classes).to(DOUBLE)


def samples(clients=2, count=6, classes=3, cut=1):
    """Samples of some clients, two of each class; requires gradients."""
    pixels = torch.rand(clients, count, 1, 4, 4, dtype=DOUBLE).requires_grad_()
    labels = torch.randn(clients, count, classes, dtype=DOUBLE).softmax(-1).requires_grad_()
    weights = torch.rand(clients, count, dtype=DOUBLE)
    turn = torch.arange(count) % 2 % cut
    columns = tuple(torch.arange(count)[turn == part] for part in range(cut))
    return Samples(pixels, labels, weights, columns)


def judged(net, learned, real, truth):
    """Summed cross-entropy of K models on their real images."""
    return cross_entropy(copies(net)(learned, real, False), truth, torch.ones(truth.shape, dtype=DOUBLE))


def real_images(clients=2, count=5, classes=3):
    return torch.rand(clients, count, 1, 4, 4, dtype=DOUBLE), torch.randint(classes, (clients, count))


def nested(net, client, found, sizes, real, truth):
    """One client's outer loss with plain nested autograd: a list of tensors and a loop."""
    names = [name for name, _ in net.named_parameters()]
    theta = [value.detach().clone().requires_grad_() for _, value in net.named_parameters()]
    for step in range(sizes.shape[1]):
        columns = found.parts[step % len(found.parts)]
        x, y, w = found.images[client][columns], found.labels[client][columns], found.weights[client][columns]
        logits = functional_call(net, dict(zip(names, theta, strict=True)), (x,))
        each = -(y * torch.log(torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True))).sum(1)
        loss = sum(w[i] * each[i] for i in range(len(w))) / sum(w)
        slopes = torch.autograd.grad(loss, theta, create_graph=True)
        theta = [value - sizes[client, step] * slope for value, slope in zip(theta, slopes, strict=True)]
    logits = functional_call(net, dict(zip(names, theta, strict=True)), (real[client],))
    return F.cross_entropy(logits, truth[client])


@pytest.mark.parametrize("cut", [1, 2])
def test_the_gradient_through_the_steps_is_that_of_nested_autograd(cut):
    net, found = network(), samples(cut=cut)
    sizes = (0.3 + torch.rand(2, 3, dtype=DOUBLE)).requires_grad_()
    real, truth = real_images()
    learned = descend(copies(net), repeated(state_of(net), 2), found, sizes, differentiable=True)
    losses = judged(net, learned, real, truth)
    expected = [nested(net, client, found, sizes, real, truth) for client in range(2)]
    torch.testing.assert_close(losses, torch.stack(expected), **EXACT)
    variables = (found.images, found.labels, sizes)
    ours = torch.autograd.grad(losses.sum(), variables)
    theirs = torch.autograd.grad(sum(expected), variables)
    for one, other in zip(ours, theirs, strict=True):
        assert other.abs().max() > 1e-4
        torch.testing.assert_close(one, other, **EXACT)


def test_the_gradient_through_the_steps_is_that_of_finite_differences():
    """Without kinks: of every label, step size and some pixels, central differences in double precision."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).to(DOUBLE)
    found, (real, truth) = samples(clients=1), real_images(clients=1)
    logits = torch.randn(1, 6, 3, dtype=DOUBLE, requires_grad=True)
    log_steps = torch.full((1, 3), -0.5, dtype=DOUBLE, requires_grad=True)

    def outer(pixels, logits, log_steps):
        some = Samples(pixels, logits.softmax(-1), found.weights, found.parts)
        start = repeated(state_of(net), 1)
        learned = descend(copies(net), start, some, log_steps.exp(), differentiable=True)
        return judged(net, learned, real, truth).sum()

    variables = [found.images, logits, log_steps]
    gradients = torch.autograd.grad(outer(*variables), variables)
    h = 1e-5
    for index, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
        for at in range(0, variable.numel(), max(1, variable.numel() // 20)):
            both = []
            for sign in (1, -1):
                moved = [value.detach().clone() for value in variables]
                moved[index].view(-1)[at] += sign * h
                both.append(outer(*moved).item())
            assert (both[0] - both[1]) / (2 * h) == pytest.approx(
                float(gradient.flatten()[at]), rel=1e-5, abs=1e-9
            )


@pytest.mark.parametrize("cut", [1, 2])
def test_plain_descent_is_torchs_sgd_on_each_clients_samples(cut):
    found = samples(cut=cut)
    sizes = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.4, 1.0]], dtype=DOUBLE)
    net = network()
    learned = descend(copies(net), repeated(state_of(net), 2), found, sizes)
    assert not any(value.requires_grad for value in learned.values())
    for client in range(2):
        own = network()
        own.load_state_dict(net.state_dict())
        for step in range(3):
            columns = found.parts[step % cut]
            weights = found.weights[client][columns]
            optimiser = torch.optim.SGD(own.parameters(), lr=float(sizes[client, step]))
            logits = own(found.images[client][columns].detach())
            each = F.cross_entropy(logits, found.labels[client][columns].detach(), reduction="none")
            own.zero_grad()
            ((weights * each).sum() / weights.sum()).backward()
            optimiser.step()
        for name, value in own.named_parameters():
            torch.testing.assert_close(learned[name][client], value.detach(), **EXACT)


def test_one_step_of_a_linear_model_has_a_closed_form():
    """From zero weights the gradient is (1/K - y) x^T."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).to(DOUBLE)
    zero = {name: torch.zeros_like(value) for name, value in state_of(net).items()}
    x, y = torch.rand(1, 1, 1, 2, 2, dtype=DOUBLE), torch.tensor([[[0.7, 0.2, 0.1]]], dtype=DOUBLE)
    found = Samples(x, y, torch.ones(1, 1, dtype=DOUBLE), (torch.arange(1),))
    learned = descend(copies(net), repeated(zero, 1), found, torch.tensor([[0.6]], dtype=DOUBLE))
    expected = 0.6 * torch.outer(y[0, 0] - 1 / 3, x.flatten())
    torch.testing.assert_close(learned["1.weight"][0], expected, **EXACT)
    torch.testing.assert_close(learned["1.bias"][0], 0.6 * (y[0, 0] - 1 / 3), **EXACT)


@pytest.mark.parametrize("differentiable", [False, True])
def test_with_step_0_nothing_moves(differentiable):
    net, found = network(), samples()
    before = repeated(state_of(net), 2)
    for sizes in (torch.zeros(2, 4, dtype=DOUBLE), torch.zeros(2, 0, dtype=DOUBLE)):
        after = descend(copies(net), before, found, sizes, differentiable)
        assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_a_sample_of_weight_0_is_not_there():
    net, found = network(), samples()
    sizes = torch.full((2, 3), 0.5, dtype=DOUBLE)
    weights = torch.tensor([[1.0, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1]], dtype=DOUBLE)
    spoilt = found.images.detach().clone()
    spoilt[0, [2, 5]] = 1e3
    one, other = (
        descend(
            copies(net),
            repeated(state_of(net), 2),
            Samples(pixels, found.labels, weights, found.parts),
            sizes,
        )
        for pixels in (found.images, spoilt)
    )
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], **EXACT)
    empty = cross_entropy(torch.randn(1, 2, 3), torch.rand(1, 2, 3), torch.zeros(1, 2))
    assert empty.tolist() == [0.0]


def two_clients(cut=1, steps=2):
    """Two clients, three classes, two samples of each; client 1 has none of class 2."""
    present = torch.ones(2, 6, dtype=torch.bool)
    present[1, 4:] = False
    return Sets(
        images=torch.arange(12.0).view(2, 6, 1, 1, 1).expand(-1, -1, 1, 2, 3).contiguous(),
        labels=torch.rand(2, 6, 3).softmax(-1),
        steps=torch.arange(2.0 * steps).view(2, steps),
        present=present,
        per_class=2,
        cut=cut,
    )


def test_bytes_by_hand():
    """6 and 4 samples of 1 x 2 x 3 pixels and 3 probabilities, and the step sizes; 4 bytes each."""
    assert two_clients(steps=2).bytes().tolist() == [4 * (6 * (6 + 3) + 2), 4 * (4 * (6 + 3) + 2)]
    assert two_clients(steps=0).bytes().tolist() == [4 * 6 * 9, 4 * 4 * 9]


def test_the_joined_set_is_all_samples_that_are_there_and_the_mean_steps():
    sets = two_clients()
    joined = sets.joined()
    there = joined.weights[0] > 0
    assert joined.images[0, there, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert torch.equal(joined.labels[0], sets.labels.flatten(0, 1))
    assert sets.averaged().steps.tolist() == [[1.0, 2.0], [1.0, 2.0]]
    assert sets.slots.tolist() == [0, 0, 1, 1, 2, 2]


def test_beside_its_own_a_client_has_what_the_others_shared():
    sets = two_clients()
    own = -1 - sets.images
    found = sets.beside(own, sets.labels)
    values = found.images[:, :, 0, 0, 0].tolist()
    assert values[0] == [-1, -2, -3, -4, -5, -6, 6, 7, 8, 9, 10, 11]
    assert values[1] == [-7, -8, -9, -10, -11, -12, 0, 1, 2, 3, 4, 5]
    assert found.weights.tolist() == [[1] * 10 + [0] * 2, [1] * 4 + [0] * 2 + [1] * 6]


def test_a_cut_takes_every_second_sample_of_each_class():
    sets = two_clients(cut=2)
    assert [part.tolist() for part in sets.samples().parts] == [[0, 2, 4], [1, 3, 5]]
    assert [part.tolist() for part in sets.joined().parts] == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]
    images, _, weights = sets.joined().part(3)
    assert images[0, :, 0, 0, 0].tolist() == [1, 3, 5, 7, 9, 11]
    assert weights.tolist() == [[1, 1, 1, 1, 1, 0]]
