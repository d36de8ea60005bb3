import math

import pytest
import torch
from pytorch_metric_learning.losses import ProxyAnchorLoss

from gauntlet.losses.proxy_anchor import proxy_anchor, soft_proxy_anchor


def batch(b=12, d=8, classes=6, dtype=torch.float64, labels=None):
    generator = torch.Generator().manual_seed(b + d)
    embeddings = torch.randn(b, d, generator=generator, dtype=dtype, requires_grad=True)
    proxies = torch.randn(classes, d, generator=generator, dtype=dtype, requires_grad=True)
    if labels is None:
        labels = torch.randint(classes, (b,), generator=generator)
    return embeddings, labels, proxies


@pytest.mark.parametrize("alpha", [16.0, 32.0])
@pytest.mark.parametrize("delta", [0.0, 0.1, 0.3])
@pytest.mark.parametrize(
    "labels", [None, [0] * 12, [0, 1, 2, 3, 4, 5] * 2, [5, 5, 5, 5, 0, 0, 0, 0, 2, 2, 2, 2]]
)
def test_value_and_gradients_equal_those_of_pytorch_metric_learning(alpha, delta, labels):
    labels = None if labels is None else torch.tensor(labels)
    embeddings, labels, proxies = batch(labels=labels)
    ours = proxy_anchor(embeddings, labels, proxies, alpha, delta)
    gradients = torch.autograd.grad(ours, (embeddings, proxies))

    reference = ProxyAnchorLoss(len(proxies), proxies.shape[1], margin=delta, alpha=alpha).double()
    reference.proxies.data = proxies.detach().clone()
    theirs = reference(embeddings, labels)
    expected = torch.autograd.grad(theirs, (embeddings, reference.proxies))

    assert theirs.item() > 0.1
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    for got, want in zip(gradients, expected, strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


def test_one_image_by_hand():
    embeddings = torch.tensor([[1.0, 0.0]])
    proxies = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])  # cosines 1, 0, -1
    loss = proxy_anchor(embeddings, torch.tensor([0]), proxies, alpha=2.0, delta=0.5)
    pull = math.log(1 + math.exp(-2 * (1 - 0.5)))  # one proxy has a positive
    push = (math.log(1 + math.exp(2 * 0.5)) + math.log(1 + math.exp(2 * -0.5))) / 3  # K = 3
    assert loss.item() == pytest.approx(pull + push, rel=1e-6)


def test_derivatives_match_finite_differences():
    embeddings, labels, proxies = batch(b=5, d=3, classes=3)
    assert torch.autograd.gradcheck(
        lambda e, p: proxy_anchor(e, labels, p, 4.0, 0.1), (embeddings, proxies), atol=1e-5
    )


def test_a_huge_scale_overflows_nothing():
    embeddings, labels, proxies = batch(dtype=torch.float32)
    loss = proxy_anchor(embeddings, labels, proxies, alpha=1e4, delta=0.1)
    gradient = torch.autograd.grad(loss, embeddings)[0]
    assert math.isfinite(loss.item())
    assert loss.item() > 1e3
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_soft_weights_that_are_one_hot_give_the_loss_itself():
    embeddings, labels, proxies = batch()
    hard = proxy_anchor(embeddings, labels, proxies, 16.0, 0.1)
    soft = soft_proxy_anchor(embeddings, torch.eye(6, dtype=torch.float64)[labels], proxies, 16.0, 0.1)
    for got, want in zip(
        [soft, *torch.autograd.grad(soft, (embeddings, proxies))],
        [hard, *torch.autograd.grad(hard, (embeddings, proxies))],
        strict=True,
    ):
        torch.testing.assert_close(got, want)


def test_soft_weights_against_a_loop():
    embeddings, _, proxies = batch(b=5, classes=3)
    generator = torch.Generator().manual_seed(3)
    weights = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    total = 0.0
    for p in range(3):
        cosines = [float(torch.cosine_similarity(embeddings[x], proxies[p], dim=0)) for x in range(5)]
        pull = sum(float(weights[x, p]) * math.exp(-4 * (cosines[x] - 0.2)) for x in range(5))
        push = sum(float(1 - weights[x, p]) * math.exp(4 * (cosines[x] + 0.2)) for x in range(5))
        total += (math.log(1 + pull) + math.log(1 + push)) / 3
    assert soft_proxy_anchor(embeddings, weights, proxies, 4.0, 0.2).item() == pytest.approx(total, rel=1e-9)
