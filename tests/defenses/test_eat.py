"""EAT: the data split's laws, and each reading of self-transfer against its definition."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import resolve
from gauntlet.core.seeds import torch_generator
from gauntlet.defenses.embeddings.base import Batch, Member, Setting, evaluating
from gauntlet.defenses.embeddings.eat import member_rows, split_classes, split_samples
from gauntlet.losses.proxy_anchor import ProxyAnchor, proxy_anchor
from gauntlet.models import build

CLASSES, MEMBERS, EPS = 4, 3, 0.1
LABELS = torch.arange(48) % CLASSES


def members(count=MEMBERS):
    made = []
    for index in range(count):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(index)
            net = build("conv", 1, 8, 8).train()
            proxies = torch.nn.Parameter(torch.randn(CLASSES, 8))
        made.append(Member(index, net, proxies, torch_generator(0, "attack", index)))
    return made


def batch(rows=24):
    images = torch.rand(rows, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return Batch(images, LABELS[:rows], torch.arange(rows))


def eat(count=MEMBERS, **options):
    made = resolve("defense", "eat")(**options)
    made.begin(Setting(LABELS, CLASSES, count, seed=0, loss=ProxyAnchor(16.0), eps=EPS, step=0.05, steps=3))
    return made


def collect(made, group, data):
    return {member.index: loss.item() for member, loss in made.losses(group, [data])}


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    count=st.integers(1, 6),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_every_sample_reaches_exactly_the_chosen_number_of_members(sizes, count, seed, data):
    taken = data.draw(st.integers(1, count))
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    part = split_samples(labels, count, np.random.default_rng(seed))
    rows = member_rows(torch.from_numpy(part), count, taken)
    assert rows.shape == (count, len(labels))
    assert (rows.sum(dim=0) == taken).all()
    for label, size in enumerate(sizes):  # stratified: every part holds its share of every class
        counts = np.bincount(part[labels == label], minlength=count)
        assert counts.sum() == size
        assert counts.max() - counts.min() <= 1
    total = np.bincount(part, minlength=count)
    assert total.max() - total.min() <= 1


def test_by_default_each_member_leaves_out_its_own_part():
    part = torch.tensor([0, 1, 2, 0, 1, 2])
    assert member_rows(part, 3, 2).tolist() == [(part != index).tolist() for index in range(3)]


@given(classes=st.integers(1, 12), count=st.integers(1, 5), seed=st.integers(0, 99))
def test_class_splits_keep_classes_whole(classes, count, seed):
    labels = np.tile(np.arange(classes), 3)
    part = split_classes(labels, count, np.random.default_rng(seed))
    assert all(len(np.unique(part[labels == label])) == 1 for label in range(classes))
    per_part = np.bincount(part[:classes], minlength=count)
    assert per_part.max() - per_part.min() <= 1


def test_the_split_is_random_but_fixed_by_the_seed():
    first, second = (split_samples(LABELS.numpy(), 3, np.random.default_rng(s)) for s in (0, 1))
    assert (first != second).any()
    assert torch.equal(eat().usable, eat().usable)


@pytest.mark.parametrize("count", [1, 3])
def test_without_split_and_transfer_every_member_is_trained_as_by_at(count):
    """The loss, its gradients and the draws of each member are those of `at` on the same batch."""
    made = eat(count, parts_per_member=count, self_transfer="own")
    at = resolve("defense", "at")()
    at.begin(made.setting)
    ours, theirs, data = members(count), members(count), batch()
    for (mine, loss), (other, reference) in zip(
        made.losses(ours, [data]), at.losses(theirs, [data] * count), strict=True
    ):
        loss.backward()
        reference.backward()
        assert loss.item() == reference.item()
        assert torch.equal(mine.proxies.grad, other.proxies.grad)
        for p, q in zip(mine.net.parameters(), other.net.parameters(), strict=True):
            assert torch.equal(p.grad, q.grad)


def test_with_one_member_attacks_on_the_ensemble_and_on_the_member_are_the_same():
    data = batch()
    losses = [collect(eat(1, self_transfer=how), members(1), data)[0] for how in ("ensemble", "own", "all")]
    assert losses[0] == losses[1] == losses[2]


def mean_loss(made, targets, images, data, rows):
    with evaluating(targets), torch.no_grad():
        values = [proxy_anchor(t.net(images), data.labels[rows], t.proxies, 16.0, 0.1) for t in targets]
    return sum(values).item() / len(values)


@pytest.mark.parametrize("how", ["ensemble", "own", "peer", "all"])
def test_the_attack_is_made_against_the_named_members(how):
    """Among all sets of members, the images hurt most the set that they were made against."""
    made, group, data = eat(parts_per_member=MEMBERS, self_transfer=how), members(), batch()
    rows = torch.arange(len(data.rows))
    attacks = made.attacks(group, data, [rows] * MEMBERS)
    for index, sets in enumerate(attacks):
        expected = {
            "ensemble": [[0, 1, 2]],
            "own": [[index]],
            "peer": [[i for i in range(MEMBERS) if i != index]],
            "all": [[0], [1], [2]],
        }[how]
        assert len(sets) == len(expected)
        for images, targets in zip(sets, expected, strict=True):
            assert (images - data.images).abs().max() <= EPS + 1e-6
            others = [s for size in (1, 2) for s in itertools.combinations(range(MEMBERS), size)]
            others = [list(s) for s in others if set(s) != set(targets)] + [[0, 1, 2]]
            raised = {
                tuple(s): mean_loss(made, [group[i] for i in s], images, data, rows)
                - mean_loss(made, [group[i] for i in s], data.images, data, rows)
                for s in [targets, *others]
            }
            alone = {s: value for s, value in raised.items() if len(s) == 1}
            inside = [value for s, value in alone.items() if s[0] in targets]
            outside = [value for s, value in alone.items() if s[0] not in targets]
            assert min(inside) > 0.1
            if outside:
                assert np.mean(inside) > np.mean(outside)


def test_a_member_trains_on_its_own_rows_of_the_shared_attack():
    made, group, data = eat(), members(), batch()
    losses = collect(made, group, data)
    replay = members()
    rows = torch.arange(len(data.rows))
    images = made.attack_members(replay, data, rows, torch_generator(0, "attack", 0))
    for index, member in enumerate(replay):
        mine = made.usable[index, data.rows]
        assert 0 < mine.sum() < len(data.rows)
        expected = proxy_anchor(member.net(images[mine]), data.labels[mine], member.proxies, 16.0, 0.1)
        assert losses[index] == pytest.approx(expected.item(), rel=1e-5)


def test_the_clean_term_is_added_with_its_weight():
    data = batch()
    plain, weighted = (collect(eat(clean_weight=w), members(), data) for w in (0.0, 0.5))
    made = eat()
    for index, member in enumerate(members()):
        mine = made.usable[index, data.rows]
        clean = proxy_anchor(member.net(data.images[mine]), data.labels[mine], member.proxies, 16.0, 0.1)
        assert weighted[index] - plain[index] == pytest.approx(0.5 * clean.item(), rel=1e-4)


def test_a_member_without_rows_is_skipped():
    made, group, data = eat(), members(), batch()
    rows = made.usable[1].logical_not().nonzero()[:, 0]  # only what member 1 leaves out
    few = Batch(data.images[: len(rows)], LABELS[rows], rows)
    assert set(collect(made, group, few)) == {0, 2}


@pytest.mark.parametrize("how", ["ensemble", "own", "peer", "all"])
def test_class_splits_drop_the_proxies_of_unknown_classes(how):
    made, group, data = eat(split_unit="class", self_transfer=how), members(), batch()
    for member, loss in made.losses(group, [data]):
        loss.backward()
        known = made.known[member.index]
        assert 0 < known.sum() < CLASSES
        assert set(LABELS[made.usable[member.index]].tolist()) == set(known.nonzero()[:, 0].tolist())
        moved = member.proxies.grad.abs().sum(dim=1) > 0
        assert torch.equal(moved, known)


def test_passes_are_counted_per_image_and_member():
    made, group, data = eat(), members(), batch()
    list(made.losses(group, [data]))
    attack = 3 * len(data.rows)
    assert [m.passes for m in group] == [
        attack + int(made.usable[index, data.rows].sum()) for index in range(MEMBERS)
    ]


def test_peer_needs_a_peer():
    with pytest.raises(GauntletError, match="peer"):
        eat(1, self_transfer="peer")
