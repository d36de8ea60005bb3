"""Each defense's loss against its formula, computed here by other means."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import ProxyAnchorLoss
from toy_defense import ALPHA, DELTA, EPS, batch, defense, loss_for, member

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create, names, resolve
from gauntlet.core.seeds import torch_generator
from gauntlet.defenses.embeddings.base import Batch, evaluating
from gauntlet.defenses.embeddings.feature_scattering import transport


def proxy_anchor_of_pml(embeddings, labels, proxies):
    loss = ProxyAnchorLoss(len(proxies), proxies.shape[1], margin=DELTA, alpha=ALPHA)
    loss.proxies.data = proxies.detach().clone()
    return loss(embeddings, labels)


def test_every_defense_gives_every_member_a_finite_loss_with_a_gradient():
    for name in names("defense"):
        made = defense(name, members=2)
        members = [member(0), member(1)]
        batches = [batch()] * (1 if made.shared_batches else 2)
        seen = []
        for one, loss in made.losses(members, batches):
            loss.backward()
            seen.append(one.index)
            assert loss.isfinite(), name
            if loss_for(name).proxies:
                assert one.proxies.grad.abs().sum() > 0, name
            assert all(p.grad.isfinite().all() for p in one.net.parameters()), name
            assert one.net.training, name
        assert seen == [0, 1], name


def test_none_is_the_metric_loss():
    one, data = member(), batch()
    expected = proxy_anchor_of_pml(one.net(data.images), data.labels, one.proxies)
    loss = defense("none").loss(one, data)
    torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-5)
    assert one.passes == len(data.labels)


def test_at_trains_on_images_that_raise_its_own_loss():
    one, data = member(), batch()
    made = defense("at")
    adversarial = made.attack_loss(one, data.images, data.labels)
    assert (adversarial - data.images).abs().max() <= EPS + 1e-6
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1
    noise = (data.images + (torch.rand_like(data.images) * 2 - 1) * EPS).clamp(0, 1)
    with evaluating([one]), torch.no_grad():
        attacked = made.metric_loss(one, adversarial, data.labels)
        assert attacked > made.metric_loss(one, data.images, data.labels) + 0.1
        assert attacked > made.metric_loss(one, noise, data.labels) + 0.1

    one, again = member(), member()
    expected = made.metric_loss(one, made.attack_loss(one, data.images, data.labels), data.labels)
    torch.testing.assert_close(made.loss(again, data), expected)
    assert again.passes == 4 * len(data.labels)  # three for the attack, one for the update


def test_attacks_leave_the_batch_statistics_alone():
    one, data = member(), batch()
    before = {key: value.clone() for key, value in one.net.state_dict().items()}
    defense("at").attack_loss(one, data.images, data.labels)
    defense("trades").attack_divergence(one, data.images)
    after = one.net.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


class TestMixup:
    def test_is_linear_in_the_two_labels(self):
        made = defense("mixup")
        one, data = member(), batch()
        other = torch.randperm(len(data.labels), generator=torch_generator(0, "attack", 0))
        loss = made.loss(one, data)
        # The share of the mix is drawn after the permutation; recover it from a second generator.
        replay = torch_generator(0, "attack", 0)
        torch.randperm(len(data.labels), generator=replay)
        share = made.draw_share(replay)
        assert 0 < share < 1
        mixed = share * data.images + (1 - share) * data.images[other]
        embeddings = member().net(mixed)
        expected = share * proxy_anchor_of_pml(embeddings, data.labels, one.proxies) + (
            1 - share
        ) * proxy_anchor_of_pml(embeddings, data.labels[other], one.proxies)
        torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-5)

    def test_gradient_matches_a_finite_difference(self):
        made, data = defense("mixup"), batch()

        def loss(shift):
            one = member()
            with torch.no_grad():
                one.proxies[1, 2] += shift
            return one, made.loss(one, data)

        one, value = loss(0.0)
        value.backward()
        step = 1e-2
        numeric = (loss(step)[1] - loss(-step)[1]).item() / (2 * step)
        assert abs(numeric) > 1e-3
        assert one.proxies.grad[1, 2].item() == pytest.approx(numeric, rel=0.02)

    def test_shares_follow_the_beta_distribution(self):
        generator = torch.Generator().manual_seed(0)
        made = defense("mixup", concentration=0.4)
        shares = torch.tensor([made.draw_share(generator) for _ in range(2000)])
        assert shares.mean().item() == pytest.approx(0.5, abs=0.03)
        assert shares.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)


class TestTrades:
    def test_divergence_by_hand(self):
        p, q = torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([[0.2, 0.2, 0.6]])
        expected = (p * (p / q).log()).sum()
        got = resolve("defense", "trades").divergence(p.log(), q.log())
        torch.testing.assert_close(got, expected[None])

    def test_loss_is_clean_loss_plus_beta_times_divergence(self):
        data = batch()
        made, one = defense("trades", beta=2.5), member()
        loss = made.loss(one, data)
        assert one.passes == (3 + 2 + 0.5) * len(data.labels)

        replay = member()
        adversarial = made.attack_divergence(replay, data.images)
        clean, attacked = replay.net(data.images), replay.net(adversarial)
        p, q = (
            torch.softmax(ALPHA * F.cosine_similarity(e[:, None], replay.proxies[None], dim=2), dim=1)
            for e in (clean, attacked)
        )
        divergence = (p * (p.log() - q.log())).sum(dim=1).mean()
        assert divergence > 1e-3
        expected = proxy_anchor_of_pml(clean, data.labels, replay.proxies) + 2.5 * divergence
        torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-4)


class TestAlp:
    def test_loss_is_attacked_loss_plus_weighted_distance(self):
        data = batch()
        loss = defense("alp", weight=3.0).loss(member(), data)
        made, again = defense("at"), member()
        adversarial = made.attack_loss(again, data.images, data.labels)
        clean, attacked = again.net(data.images), again.net(adversarial)
        pairing = ((clean - attacked) ** 2).sum() / len(data.labels)
        assert pairing > 1e-3
        expected = proxy_anchor_of_pml(attacked, data.labels, again.proxies) + 3.0 * pairing
        torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-4)


class TestIat:
    def test_is_the_mean_of_a_clean_and_an_adversarial_mix(self):
        data = batch()
        loss = defense("iat").loss(member(), data)
        mixup, again = defense("mixup"), member()
        adversarial = mixup.attack_loss(again, data.images, data.labels)
        clean = mixup.mixed_loss(again, data.images, data.labels)
        attacked = mixup.mixed_loss(again, adversarial, data.labels)
        assert attacked > clean
        torch.testing.assert_close(loss, (clean + attacked) / 2)


class TestAvmixup:
    def test_shares_by_hand(self):
        shares = defense("avmixup").shares(torch.tensor([2, 0]), torch.tensor([1.0, 0.4]))
        expected = torch.tensor([[0.0, 0.0, 1.0, 0.0], [0.4, 0.2, 0.2, 0.2]])
        torch.testing.assert_close(shares, expected)

    def test_without_reach_and_smoothing_it_is_the_metric_loss(self):
        data = batch()
        loss = defense("avmixup", reach=0.0, vertex=1.0).loss(member(), data)
        one = member()
        expected = proxy_anchor_of_pml(one.net(data.images), data.labels, one.proxies)
        torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-5)

    def test_mixes_towards_a_vertex_beyond_the_attack(self):
        data, seen = batch(), []
        one = member()
        one.embed, embed = lambda images: seen.append(images) or embed(images), one.embed
        defense("avmixup").loss(one, data)
        again, made = member(), defense("at")
        adversarial = made.attack_loss(again, data.images, data.labels)
        t = torch.rand(len(data.labels), generator=again.generator)[:, None, None, None]
        vertex = (data.images + 2 * (adversarial - data.images)).clamp(0, 1)
        torch.testing.assert_close(seen[-1], t * data.images + (1 - t) * vertex)


class TestFeatureScattering:
    def test_transport_equals_the_best_of_all_assignments(self):
        generator = torch.Generator().manual_seed(0)
        a, b = (F.normalize(torch.randn(5, 3, generator=generator)) for _ in range(2))
        every = [(1 - (a * b[list(order)]).sum(1)).mean() for order in itertools.permutations(range(5))]
        torch.testing.assert_close(transport(a, b), min(every))

    def test_its_gradient_matches_finite_differences(self):
        generator = torch.Generator().manual_seed(0)
        a, b = (torch.randn(4, 3, generator=generator, dtype=torch.float64) for _ in range(2))
        b.requires_grad_(True)
        assert torch.autograd.gradcheck(lambda moved: transport(a, moved), (b,))

    def test_the_attack_moves_the_batch_as_a_set_without_labels(self):
        data = batch()
        made, one = defense("feature_scattering"), member()
        made.loss(one, data)
        assert one.passes == (0.5 + 3 + 1) * len(data.labels)
        other = Batch(data.images, data.labels.roll(1), data.rows)
        trained = [[], []]
        for kept, shown in zip(trained, (data, other), strict=True):
            one = member()
            made.metric_loss = lambda member, images, labels, kept=kept: kept.append(images) or images.sum()
            made.loss(one, shown)
        assert torch.equal(*trained[0], *trained[1])


def test_est_trains_on_the_most_shifted_images():
    data, made, one, seen = batch(), defense("est"), member(), []
    made.metric_loss = lambda member, images, labels: seen.append(images) or images.sum()
    made.loss(one, data)
    noise = (data.images + (torch.rand_like(data.images) * 2 - 1) * EPS).clamp(0, 1)
    clean = made.embed_clean(one, data.images)
    shifts = [(made.embed_clean(one, images) - clean).norm(dim=1) for images in (seen[0], noise)]
    assert (seen[0] - data.images).abs().max() <= EPS + 1e-6
    assert shifts[0].mean() > 2 * shifts[1].mean()


@pytest.mark.parametrize(
    ("name", "loss"), [("trades", "triplet"), ("avmixup", "contrastive"), ("rdml", "proxy_anchor")]
)
def test_a_defense_refuses_a_loss_that_it_is_not_defined_for(name, loss):
    with pytest.raises(GauntletError, match=r"train\.loss.*defined for losses with"):
        defense(name, loss=create("loss", loss, {}))


@pytest.mark.parametrize("name", ["none", "at", "mixup", "iat", "alp", "est", "feature_scattering"])
@pytest.mark.parametrize("loss", ["triplet", "contrastive"])
def test_defenses_of_any_loss_train_on_triplets_too(name, loss):
    one = member()
    defense(name, loss=create("loss", loss, {})).loss(one, batch()).backward()
    gradients = [p.grad for p in one.net.parameters()]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert sum(gradient.abs().sum() for gradient in gradients) > 0


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(TypeError):
        resolve("defense", "none")(beta=1)


def test_a_part_count_out_of_range_names_the_option():
    with pytest.raises(GauntletError, match="parts_per_member"):
        defense("eat", members=2, parts_per_member=3)
    with pytest.raises(GauntletError, match="parts_per_member"):
        defense("eat", members=2, parts_per_member=0)
