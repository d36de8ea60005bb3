"""Copies of a network in one program against the same networks one by one, in double precision."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names
from gauntlet.models import stacked
from gauntlet.models.classifiers import build
from gauntlet.models.stacked import Stacked, stack

SHAPES = {
    "cnn2_bn": (1, 8),
    "cnn3": (3, 47),
    "cnn6_bn": (3, 8),
    "convnet2": (1, 8),
    "convnet3": (3, 8),
    "lenet": (1, 12),
    "net3conv": (1, 8),
    "plain3conv": (1, 8),
    "net4conv": (1, 16),
}
#: Blocks that branch; and layers of the kinds above, too many to run here.
BRANCHING, LARGE = {"resnet18", "resnet34"}, {"vgg11_bn", "vgg16_bn"}
EXACT = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(autouse=True)
def one_seed():
    torch.manual_seed(0)


def plain():
    """All kinds of layers that can be stacked, with settings off their defaults."""
    return nn.Sequential(
        nn.Conv2d(2, 6, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), bias=False),
        nn.BatchNorm2d(6, eps=1e-3, momentum=0.3),
        nn.MaxPool2d(3, stride=2, padding=1, dilation=2, ceil_mode=True),
        nn.GroupNorm(3, 6, eps=1e-3),
        nn.AvgPool2d(2, stride=1, padding=1, ceil_mode=True, count_include_pad=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 5, bias=False),
        nn.ReLU(),
        nn.Linear(5, 4),
    )


def network(name):
    net = plain() if name == "plain" else build(name, *SHAPES[name], 10)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return net.double()


def copies(name, count):
    nets = [network(name) for _ in range(count)]
    tensors = stack([{key: value.detach() for key, value in net.state_dict().items()} for net in nets])
    return nets, {key: value for key, value in tensors.items() if value.is_floating_point()}


def images(name, *leading):
    channels, size = (2, 11) if name == "plain" else SHAPES[name]
    return torch.rand(*leading, channels, size, size, dtype=torch.float64)


def test_every_classifier_is_tested():
    assert {*SHAPES, *BRANCHING, *LARGE} == set(names("classifier"))
    for name in LARGE:
        Stacked(build(name, 1, 28, 2))
    for name in BRANCHING:
        with pytest.raises(GauntletError, match="cannot be stacked"):
            Stacked(build(name, 1, 8, 2))


@pytest.mark.parametrize("name", [*SHAPES, "plain"])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("count", [1, 3])
def test_copies_compute_what_each_computes_alone(name, batch, count):
    nets, tensors = copies(name, count)
    own, same = images(name, count, batch), images(name, batch)
    run = Stacked(nets[0])
    for net in nets:
        net.eval()
    expected = torch.stack([net(pixels) for net, pixels in zip(nets, own, strict=True)])
    torch.testing.assert_close(run(tensors, own, training=False), expected, **EXACT)
    expected = torch.stack([net(same) for net in nets])
    torch.testing.assert_close(run(tensors, same, training=False), expected, **EXACT)
    assert expected.std() > 1e-3


@pytest.mark.parametrize("name", [*SHAPES, "plain"])
def test_losses_gradients_and_running_statistics_are_each_copys_own(name):
    nets, tensors = copies(name, 3)
    pixels, labels = images(name, 3, 6), torch.randint(4, (3, 6))
    parameters = [key for key, _ in nets[0].named_parameters()]
    tensors |= {key: tensors[key].clone().requires_grad_() for key in parameters}
    before = {key: value.clone() for key, value in tensors.items()}
    logits = Stacked(nets[0])(tensors, pixels, training=True)
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(3, 6).mean(dim=1)
    gradients = torch.autograd.grad(losses.sum(), [tensors[key] for key in parameters])
    for index, net in enumerate(nets):
        net.train()
        loss = F.cross_entropy(net(pixels[index]), labels[index])
        torch.testing.assert_close(losses[index], loss, **EXACT)
        expected = torch.autograd.grad(loss, list(net.parameters()))
        for found, wanted in zip(gradients, expected, strict=True):
            torch.testing.assert_close(found[index], wanted, **EXACT)
        for key, value in net.named_buffers():
            if value.is_floating_point():
                torch.testing.assert_close(tensors[key][index], value, **EXACT)
                assert (tensors[key][index] - before[key][index]).abs().max() > 1e-3


@pytest.mark.parametrize("name", [*SHAPES, "plain"])
@pytest.mark.parametrize("columns", [0, 100, 10**6])
def test_the_gradient_of_a_gradient_is_each_copys_own(name, columns, monkeypatch):
    """As inversion and distillation take it, with convolutions as products of matrices and without."""
    monkeypatch.setattr(stacked, "COLUMNS", columns)
    nets, tensors = copies(name, 3)
    pixels, labels = images(name, 3, 2).requires_grad_(), torch.randint(4, (3, 2))
    parameters = [key for key, _ in nets[0].named_parameters()]
    tensors |= {key: tensors[key].clone().requires_grad_() for key in parameters}
    own = [tensors[key] for key in parameters]

    def slopes(logits, labels, of):
        loss = F.cross_entropy(logits, labels, reduction="sum")
        gradients = torch.autograd.grad(loss, of, create_graph=True)
        return torch.autograd.grad(sum(value.pow(3).sum() for value in gradients), [pixels, *of])

    logits = Stacked(nets[0], twice=True)(tensors, pixels, training=False)
    of_pixels, *found = slopes(logits.flatten(0, 1), labels.flatten(), own)
    assert of_pixels.abs().max() > 1e-6
    for index, net in enumerate(nets):
        net.eval()
        expected, *wanted = slopes(net(pixels[index]), labels[index], list(net.parameters()))
        torch.testing.assert_close(of_pixels[index], expected[index], **EXACT)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one[index], other, **EXACT)


def test_a_convolution_with_many_positions_stays_one(monkeypatch):
    """The product would need memory for every position of every kernel."""
    monkeypatch.setattr(stacked.F, "unfold", None)
    nets, tensors = copies("plain3conv", 2)
    run = Stacked(nets[0], twice=True)
    with pytest.raises(TypeError):
        run(tensors, images("plain3conv", 2, 1), training=False)
    monkeypatch.setattr(stacked, "COLUMNS", 0)
    run(tensors, images("plain3conv", 2, 1), training=False)


def test_evaluation_moves_no_running_statistics():
    nets, tensors = copies("cnn2_bn", 2)
    before = {key: value.clone() for key, value in tensors.items()}
    Stacked(nets[0])(tensors, images("cnn2_bn", 4), training=False)
    assert all(torch.equal(value, before[key]) for key, value in tensors.items())


@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
def test_a_norm_may_come_before_the_first_convolution_of_shared_images(training):
    nets = [nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3), nn.Flatten()).double() for _ in range(3)]
    for net in nets:
        nn.init.normal_(net[0].weight)
        nn.init.normal_(net[0].running_mean)
    tensors = stack([{key: value.clone() for key, value in net.state_dict().items()} for net in nets])
    pixels = images("plain", 4)
    expected = torch.stack([net.train(training)(pixels) for net in nets])
    torch.testing.assert_close(Stacked(nets[0])(tensors, pixels, training), expected, **EXACT)


def test_copies_of_a_network_without_convolutions():
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(8, 3)).double() for _ in range(3)]
    tensors = stack([net.state_dict() for net in nets])
    run, same = Stacked(nets[0]), torch.rand(5, 2, 2, 2, dtype=torch.float64)
    expected = torch.stack([net(same) for net in nets])
    torch.testing.assert_close(run(tensors, same, training=False), expected, **EXACT)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_copy_that_diverged_leaves_the_others_as_they_were(bad):
    nets, tensors = copies("cnn2_bn", 3)
    ill = {key: value.clone() for key, value in tensors.items()}
    for key, _ in nets[0].named_parameters():
        ill[key][1] = bad
    pixels, run = images("cnn2_bn", 3, 5), Stacked(nets[0])
    logits, wanted = run(ill, pixels, training=True), run(tensors, pixels, training=True)
    assert logits[1].isnan().all()
    for copy in (0, 2):
        torch.testing.assert_close(logits[copy], wanted[copy], **EXACT)
        for key, value in tensors.items():
            torch.testing.assert_close(ill[key][copy], value[copy], **EXACT)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Dropout(0.5),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.GroupNorm(1, 2, affine=False),
        nn.Sequential(nn.ReLU()),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
        nn.BatchNorm2d(2, affine=False),
        nn.BatchNorm2d(2, track_running_stats=False),
        nn.BatchNorm2d(2, momentum=None),
        nn.BatchNorm2d(2, bias=False),
        nn.MaxPool2d(2, return_indices=True),
        nn.Flatten(2),
        nn.Flatten(1, 2),
    ],
    ids=str,
)
def test_a_layer_that_copies_would_not_honour_is_refused(layer):
    with pytest.raises(GauntletError) as caught:
        Stacked(nn.Sequential(nn.Conv2d(1, 2, 3), deepcopy(layer)))
    assert caught.value.key == "train.mode"
    assert type(layer).__name__ in str(caught.value)
    assert "sequential" in caught.value.remedy


def test_a_network_that_is_no_plain_sequence_is_refused():
    class Residual(nn.Module):
        def forward(self, x):
            return x + 1

    with pytest.raises(GauntletError, match="Residual"):
        Stacked(Residual())


def test_states_are_stacked_by_name():
    stacked = stack(
        [{"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(3)}, {"b": torch.tensor(4), "a": torch.zeros(2)}]
    )
    assert stacked["a"].tolist() == [[1, 2], [0, 0]]
    assert stacked["b"].tolist() == [3, 4]
