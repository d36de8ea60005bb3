"""Losses on triplets against loops, and what miners return."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create
from gauntlet.losses.base import Triplets
from gauntlet.losses.mining import MINERS, at_most


def batch(n=24, classes=4, dim=6):
    generator = torch.Generator().manual_seed(0)
    return F.normalize(torch.randn(n, dim, generator=generator)), torch.arange(n) % classes


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_triplet_loss_against_a_loop():
    embeddings, labels = batch()
    loss = create("loss", "triplet", {"margin": 0.3, "miner": "uniform", "per_anchor": None})
    triplets = loss.mine(embeddings, labels, generator())
    terms = [
        (embeddings[a] - embeddings[p]).norm() - (embeddings[a] - embeddings[n]).norm() + 0.3
        for a, p, n in zip(*triplets, strict=True)
    ]
    above = [float(term) for term in terms if term > 0]
    assert 0 < len(above) < len(terms)
    got = loss(embeddings, labels, embeddings[:0], triplets)
    assert got.item() == pytest.approx(sum(above) / len(above), rel=1e-5)


def test_contrastive_loss_against_a_loop():
    embeddings, labels = batch()
    loss = create("loss", "contrastive", {"margin": 1.2, "miner": "uniform"})
    triplets = loss.mine(embeddings, labels, generator())
    pull = [float((embeddings[a] - embeddings[p]).norm()) for a, p, _ in zip(*triplets, strict=True)]
    push = [1.2 - float((embeddings[a] - embeddings[n]).norm()) for a, _, n in zip(*triplets, strict=True)]
    push = [term for term in push if term > 0]
    assert push
    got = loss(embeddings, labels, embeddings[:0], triplets)
    assert got.item() == pytest.approx(sum(pull) / len(pull) + sum(push) / len(push), rel=1e-5)


@pytest.mark.parametrize("miner", sorted(MINERS))
def test_mined_roles_have_the_classes_that_they_should(miner):
    embeddings, labels = batch()
    triplets = create("loss", "triplet", {"miner": miner, "per_anchor": None}).mine(
        embeddings, labels, generator()
    )
    assert len(triplets.anchor) > 10
    assert (triplets.anchor != triplets.positive).all()
    assert (labels[triplets.anchor] == labels[triplets.positive]).all()
    assert (labels[triplets.anchor] != labels[triplets.negative]).all()


@pytest.mark.parametrize("miner", ["distance_weighted", "uniform"])
def test_the_generator_decides_and_the_global_one_is_left_alone(miner):
    embeddings, labels = batch()
    loss = create("loss", "triplet", {"miner": miner})
    before = torch.get_rng_state()
    first, same, other = (loss.mine(embeddings, labels, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not torch.equal(first.negative, other.negative)


def test_distance_weighted_negatives_are_within_the_cut_off():
    embeddings, labels = batch(n=60)
    loss = create("loss", "triplet", {"per_anchor": None})
    triplets = loss.mine(embeddings, labels, generator())
    apart = (embeddings[triplets.anchor] - embeddings[triplets.negative]).norm(dim=1)
    assert apart.max() < 1.4 + 1e-5


@given(anchors=st.lists(st.integers(0, 5), max_size=40), count=st.integers(1, 4), seed=st.integers(0, 99))
def test_at_most_so_many_triplets_of_each_anchor(anchors, count, seed):
    anchors = torch.tensor(anchors, dtype=torch.int64)
    numbers = torch.arange(len(anchors))
    kept = at_most(Triplets(anchors, numbers, numbers + 100), count, generator(seed))
    assert torch.equal(kept.anchor, anchors[kept.positive])
    assert torch.equal(kept.negative, kept.positive + 100)
    assert len(kept.positive.unique()) == len(kept.positive)
    for anchor in anchors.unique():
        assert (kept.anchor == anchor).sum() == min(count, int((anchors == anchor).sum()))


@pytest.mark.parametrize(
    ("labels", "problem"), [([0, 1, 2], "no two images of one class"), ([1, 1, 1], "one class only")]
)
def test_a_batch_without_triplets_is_refused(labels, problem):
    loss = create("loss", "contrastive", {})
    with pytest.raises(GauntletError, match=problem):
        loss.mine(batch(n=3)[0], torch.tensor(labels), generator())


def test_triplets_that_are_all_satisfied_give_zero_with_a_gradient():
    embeddings = torch.eye(4)[[0, 0, 1, 1]].requires_grad_(True)
    labels = torch.tensor([0, 0, 1, 1])
    loss = create("loss", "triplet", {"margin": 0.1})
    value = loss(embeddings, labels, embeddings[:0], loss.mine(embeddings, labels, generator()))
    assert value.item() == 0
    (gradient,) = torch.autograd.grad(value, embeddings)
    assert gradient.isfinite().all()
