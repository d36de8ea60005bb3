import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.families.dml.samplers import batches, refuse_without_triplets


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(n=st.integers(1, 200), batch=st.integers(1, 60), seed=st.integers(0, 99))
def test_random_batches_are_full_and_never_repeat_an_image(n, batch, seed):
    made = batches("random", torch.zeros(n, dtype=torch.int64), batch, generator(seed))
    assert len(made) == max(1, n // batch)
    assert all(len(piece) == min(n, batch) for piece in made)
    rows = torch.cat(made)
    assert len(rows.unique()) == len(rows)
    assert rows.max() < n


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    batch=st.integers(4, 60),
    seed=st.integers(0, 99),
)
def test_balanced_batches_hold_equally_many_of_each_class(sizes, batch, seed):
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    made = batches("balanced", labels, batch, generator(seed))
    assert len(made) == max(1, len(labels) // batch)
    classes = min(len(sizes), max(1, batch // 4))
    for piece in made:
        assert len(piece) <= batch
        _, counts = labels[piece].unique(return_counts=True)
        assert len(counts) == classes
        assert (counts == batch // classes).all()


def test_balanced_batches_go_through_all_images_of_a_class_before_one_comes_again():
    labels = torch.repeat_interleave(torch.arange(2), 20)
    rows = torch.cat(batches("balanced", labels, 10, generator()))  # 4 batches of 5 + 5
    assert len(rows.unique()) == 40


@pytest.mark.parametrize("kind", ["random", "balanced"])
def test_the_generator_decides(kind):
    labels = torch.arange(60) % 3
    first, same, other = (torch.cat(batches(kind, labels, 12, generator(s))) for s in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_an_unknown_sampler_is_named():
    with pytest.raises(GauntletError, match="sorted"):
        batches("sorted", torch.zeros(3), 1, generator())


@pytest.mark.parametrize(
    ("kind", "counts", "batch", "per_class", "key"),
    [
        ("random", [5], 4, 2, "data.train_classes"),
        ("random", [1, 1, 1], 3, 2, "data.train_per_class"),
        ("balanced", [4, 4, 4], 3, 1, "train.per_class"),
        ("balanced", [4, 4, 4], 4, 4, "train.batch"),
        ("random", [4, 4], 2, 1, "train.batch"),
    ],
)
def test_batches_that_can_hold_no_triplet_are_refused(kind, counts, batch, per_class, key):
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    with pytest.raises(GauntletError, match=f"^{key}: "):
        refuse_without_triplets(kind, labels, batch, per_class)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    batch=st.integers(1, 12),
    per_class=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_balanced_batches_that_are_not_refused_have_triplets(sizes, batch, per_class, seed):
    """The converse too: where they are refused, no batch has one of two different images of a class."""
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    try:
        refuse_without_triplets("balanced", labels, batch, per_class)
        refused = False
    except GauntletError:
        refused = True
    for rows in batches("balanced", labels, batch, generator(seed), per_class):
        counts = labels[rows].unique(return_counts=True)[1]
        distinct = labels[rows.unique()].unique(return_counts=True)[1]
        if refused:
            assert len(counts) < 2 or distinct.max() < 2
        else:
            assert len(counts) >= 2
            assert counts.max() >= 2
