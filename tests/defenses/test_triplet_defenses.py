"""Defenses on triplets: which images move, which way, and what the loss compares."""

import pytest
import torch
from toy_defense import EPS, batch, defense, member, replay

from gauntlet.attacks.pgd import random_start
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create
from gauntlet.defenses.embeddings.base import evaluating
from gauntlet.defenses.embeddings.roles import in_order
from gauntlet.losses.base import Triplets

DATA = batch()
LABELS = DATA.labels


def distances(a, b):
    return (a - b).pow(2).sum(1).sqrt()


def seen_by(name, **options):
    """(images, labels, triplets) that the update's loss was given."""
    seen, made = [], defense(name, **options)
    kept = made.metric_loss
    made.metric_loss = lambda member, images, labels, triplets: (
        seen.append((images, labels, triplets)) or kept(member, images, labels, triplets)
    )
    made.loss(member(), DATA)
    return seen[-1]


class TestRdml:
    @pytest.mark.parametrize("role", ["anchor", "positive", "negative"])
    def test_one_role_is_played_by_perturbed_copies_and_the_batch_stays_clean(self, role):
        images, labels, triplets = seen_by("rdml", role=role)
        _, _, clean = replay("rdml", DATA.images, LABELS)
        assert torch.equal(images[: len(LABELS)], DATA.images)
        assert torch.equal(labels[getattr(triplets, role)], LABELS[getattr(clean, role)])
        for other in {"anchor", "positive", "negative"} - {role}:
            assert torch.equal(getattr(triplets, other), getattr(clean, other))
        copies, originals = images[getattr(triplets, role)], DATA.images[getattr(clean, role)]
        assert 0 < (copies - originals).abs().max() <= EPS + 1e-6

    @pytest.mark.parametrize(
        ("role", "change"),
        [
            ("positive", lambda e, a, p, n: distances(e, a)),
            ("negative", lambda e, a, p, n: -distances(e, a)),
            ("anchor", lambda e, a, p, n: distances(e, p) - distances(e, n)),
        ],
    )
    def test_the_copy_goes_the_way_that_its_role_is_for(self, role, change):
        images, _, triplets = seen_by("rdml", role=role)
        one, embeddings, clean = replay("rdml", DATA.images, LABELS)
        with evaluating([one]), torch.no_grad():
            moved = one.net(images[getattr(triplets, role)])
        places = [embeddings[rows] for rows in clean]
        before = change(embeddings[getattr(clean, role)], *places)
        assert (change(moved, *places) - before).mean() > 0.01

    def test_the_rate_is_the_share_of_attacked_triplets(self):
        made = defense("rdml", attack_rate=0.25)
        hits = []
        made.metric_loss = lambda member, images, labels, triplets: (
            hits.append(len(images) - len(LABELS)) or images.sum()
        )
        one = member()
        for _ in range(60):
            made.loss(one, DATA)
        assert sum(hits) / (60 * len(LABELS)) == pytest.approx(0.25, abs=0.05)

    def test_without_attacks_it_is_the_loss_of_the_clean_triplets(self):
        one, clean = member(), member()
        loss = defense("rdml", attack_rate=0.0).loss(one, DATA)
        made = defense("rdml")
        triplets = made.mine(clean, DATA.images, LABELS)
        torch.testing.assert_close(loss, made.metric_loss(clean, DATA.images, LABELS, triplets))


def copies_of(name, **options):
    """Images (3t, C, H, W) that the update's loss compares, anchors first; and the same, clean."""
    seen, made, one = [], defense(name, **options), member()
    embed = one.embed
    one.embed = lambda images: seen.append((images, torch.is_grad_enabled())) or embed(images)
    made.loss(one, DATA)
    _, _, clean = replay(name, DATA.images, LABELS)
    originals = torch.cat([DATA.images[rows] for rows in clean])
    return [images for images, _ in seen if len(images) == len(originals)][-1], originals


def test_act_keeps_the_anchor_and_draws_positive_and_negative_together():
    images, originals = copies_of("act")
    anchor, positive, negative = images.chunk(3)
    old_anchor, old_positive, old_negative = originals.chunk(3)
    assert torch.equal(anchor, old_anchor)
    one = member()
    with evaluating([one]), torch.no_grad():
        after = distances(one.net(positive), one.net(negative))
        before = distances(one.net(old_positive), one.net(old_negative))
    assert after.mean() < before.mean() - 0.01
    assert (images - originals).abs().max() <= EPS + 1e-6


def test_joint_minmax_moves_all_three_and_raises_the_loss():
    images, originals = copies_of("joint_minmax")
    moved = (images - originals).abs().flatten(1).amax(1)
    assert (moved > 0).all()
    assert moved.max() <= EPS + 1e-6
    made, one = defense("joint_minmax"), member()
    _, _, clean = replay("joint_minmax", DATA.images, LABELS)
    rows, labels = in_order(len(clean.anchor), LABELS.device), LABELS[torch.cat(clean)]
    with evaluating([one]), torch.no_grad():
        before, after = (made.metric_loss(one, x, labels, rows) for x in (originals, images))
    assert after > before + 0.01


class TestHardnessManipulation:
    def hardness(self, images):
        one = member()
        with evaluating([one]), torch.no_grad():
            anchor, positive, negative = one.net(images).chunk(3)
        return distances(anchor, positive) - distances(anchor, negative)

    def test_triplets_get_harder(self):
        images, originals = copies_of("hm", target="full", intra_class=0.0)
        assert self.hardness(images).mean() > self.hardness(originals).mean() + 0.05
        assert (images - originals).abs().max() <= EPS + 1e-6

    def test_triplets_that_are_hard_enough_stay_at_the_attacks_random_start(self):
        images, originals = copies_of("hm", gamma=1.0, intra_class=0.0)  # the first target is -1
        assert self.hardness(originals).min() > -0.5
        one, _, _ = replay("hm", DATA.images, LABELS)
        assert torch.equal(images, random_start(originals, EPS, one.generator))

    def test_the_target_follows_the_last_loss(self):
        made, one = defense("hm", gamma=0.2), member()
        assert made.hardness(one) == -0.2
        for loss, target in ((0.5, -0.2), (0.05, -0.05), (0.0, 0.0)):
            one.memory["loss"] = loss
            assert made.hardness(one) == pytest.approx(target)
        made.loss(one, DATA)
        assert 0 < one.memory["loss"] < 2

    def test_the_intra_class_term_by_hand(self):
        one, made = member(), defense("hm")
        _, _, triplets = replay("hm", DATA.images, LABELS)
        moved = one.net(DATA.images[triplets.anchor].flip(0)).detach()
        images = torch.cat([DATA.images[triplets.anchor], DATA.images[triplets.positive]])
        anchor, positive = member().net(images).chunk(2)
        terms = [
            max(0.0, ((a - m).norm() - (a - p).norm()).item())
            for a, m, p in zip(anchor, moved, positive, strict=True)
        ]
        got = made.intra_class_loss(member(), DATA, triplets, moved)
        assert sum(terms) > 0
        assert got.item() == pytest.approx(sum(terms) / len(terms), rel=1e-4)


class TestAnchorFgsm:
    def test_is_natural_at_first(self):
        one, plain = member(), member()
        made = defense("anchor_fgsm", natural=0.5)
        triplets = made.mine(plain, DATA.images, LABELS)
        expected = made.metric_loss(plain, DATA.images, LABELS, triplets)
        torch.testing.assert_close(made.loss(one, DATA), expected)

    def test_steps_by_the_sign_of_the_gradient_at_the_clean_anchor(self):
        made = defense("anchor_fgsm")
        one, clean, triplets = replay("anchor_fgsm", DATA.images, LABELS)
        anchors = DATA.images[triplets.anchor]
        found = made.perturb(one, anchors, clean, triplets, eps=0.05)
        x = anchors.clone().requires_grad_(True)
        with evaluating([one]):
            e = one.net(x)
        hard = distances(e, clean[triplets.positive]) - distances(e, clean[triplets.negative])
        (gradient,) = torch.autograd.grad(hard.sum(), x)
        torch.testing.assert_close(found, (anchors + 0.05 * gradient.sign()).clamp(0, 1))


@pytest.mark.parametrize("name", ["act", "hm", "rdml", "joint_minmax", "anchor_fgsm"])
def test_without_triplets_there_is_nothing_to_learn(name):
    made, one = defense(name), member()
    none = torch.zeros(0, dtype=torch.int64)
    made.setting.loss.mine = lambda *arguments: Triplets(none, none, none)
    loss = made.loss(one, DATA)
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad.isfinite().all() for p in one.net.parameters())


def test_a_batch_without_positives_is_refused():
    made = defense("none", loss=create("loss", "triplet", {}))
    one = member()
    with pytest.raises(GauntletError, match="no two images of one class") as caught:
        made.loss(one, batch(n=3))
    assert caught.value.key == "train.sampler"
