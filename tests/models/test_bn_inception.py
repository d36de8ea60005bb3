"""BN-Inception against its published table, and its blocks against layers applied by hand."""

import published_states
import pytest
import torch
import torch.nn.functional as F

from gauntlet.models import build
from gauntlet.models.bn_inception import Block, Features, Halve


@pytest.fixture(scope="module")
def features():
    torch.manual_seed(0)
    return Features(3, small=False).eval()


def test_the_parameters_are_those_of_the_table(features):
    rows = published_states.convolutions().values()
    expected = sum(i * o * k * k + o + 2 * o for i, o, k in rows)
    assert sum(p.numel() for p in features.parameters()) == expected
    assert expected + 1024 * 1000 + 1000 == 11_295_240  # of the network for 1000 classes


def test_the_shape_of_every_block(features):
    shapes = {}
    for name, module in features.named_children():
        if name.startswith(("inception", "pool")):
            module.register_forward_hook(
                lambda _, __, out, name=name: shapes.update({name: tuple(out.shape[1:])})
            )
    with torch.no_grad():
        features(torch.rand(1, 3, 224, 224))
    assert shapes == {
        "pool1": (64, 56, 56),
        "pool2": (192, 28, 28),
        "inception_3a": (256, 28, 28),
        "inception_3b": (320, 28, 28),
        "inception_3c": (576, 14, 14),
        "inception_4a": (576, 14, 14),
        "inception_4b": (576, 14, 14),
        "inception_4c": (608, 14, 14),
        "inception_4d": (608, 14, 14),
        "inception_4e": (1056, 7, 7),
        "inception_5a": (1024, 7, 7),
        "inception_5b": (1024, 7, 7),
    }


def randomised(block):
    """Statistics and affine parts that are not the identity; a bias that shows."""
    for name, value in block.state_dict().items():
        if value.is_floating_point() and value.dim() == 1:
            value.uniform_(0.5, 1.5) if name.endswith(("var", "weight")) else value.normal_()
    return block.eval()


def by_hand(block, name, x, stride=1):
    state = block.state_dict()
    weight = state[f"{name}.weight"]
    x = F.conv2d(x, weight, state[f"{name}.bias"], stride, padding=weight.shape[-1] // 2)
    norm = {part: state[f"{name}_bn.{part}"][:, None, None] for part in ("running_mean", "running_var")}
    x = (x - norm["running_mean"]) / torch.sqrt(norm["running_var"] + 1e-5)
    return torch.relu(x * state[f"{name}_bn.weight"][:, None, None] + state[f"{name}_bn.bias"][:, None, None])


def test_a_block_of_stride_1_by_hand():
    torch.manual_seed(0)
    x = torch.rand(2, 6, 7, 7)
    for kind in ("average", "max"):
        block = randomised(Block(6, 2, (3, 4), (5, 7), (kind, 8)))
        pooled = F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1) if kind == "average" else F.max_pool2d(x, 3, 1, 1)
        double = by_hand(block, "double_3x3_1", by_hand(block, "double_3x3_reduce", x))
        expected = [
            by_hand(block, "1x1", x),
            by_hand(block, "3x3", by_hand(block, "3x3_reduce", x)),
            by_hand(block, "double_3x3_2", double),
            by_hand(block, "pool_proj", pooled),
        ]
        with torch.no_grad():
            torch.testing.assert_close(block(x), torch.cat(expected, dim=1), rtol=1e-4, atol=1e-5)
        assert block.width == 2 + 4 + 7 + 8


@pytest.mark.parametrize(("size", "half"), [(8, 4), (7, 4)])
def test_a_block_of_stride_2_by_hand(size, half):
    torch.manual_seed(0)
    x = torch.rand(2, 6, size, size)
    block = randomised(Block(6, 0, (3, 4), (5, 7), ("max", 0)))
    double = by_hand(block, "double_3x3_1", by_hand(block, "double_3x3_reduce", x))
    windows = [[x[..., 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] for j in range(half)] for i in range(half)]
    pooled = torch.stack([torch.stack([w.amax(dim=(2, 3)) for w in row], dim=-1) for row in windows], dim=-2)
    expected = [
        by_hand(block, "3x3", by_hand(block, "3x3_reduce", x), stride=2),
        by_hand(block, "double_3x3_2", double, stride=2),
        pooled,
    ]
    with torch.no_grad():
        torch.testing.assert_close(block(x), torch.cat(expected, dim=1), rtol=1e-4, atol=1e-5)


def test_halving_an_even_map_is_torchs_own_pooling():
    x = torch.rand(1, 2, 6, 10)
    torch.testing.assert_close(Halve()(x), F.max_pool2d(x, 3, 2, ceil_mode=True), rtol=0, atol=0)


@pytest.mark.parametrize("size", [8, 28, 32, 33, 40, 65])
def test_every_size_of_image_gets_finite_gradients(size):
    torch.manual_seed(0)
    net = build("bn_inception", 1, size, 8).eval()
    images = torch.rand(2, 1, size, size, requires_grad=True)
    embeddings = net(images)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    (gradient,) = torch.autograd.grad(embeddings[:, 0].sum(), images)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
