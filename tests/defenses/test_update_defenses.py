"""Defenses of updates against definitions, closed forms and Opacus."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2, kstest, norm
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create, names
from gauntlet.defenses.updates import privacy
from gauntlet.defenses.updates.base import Client, Setting, UpdateDefense, clipped
from gauntlet.defenses.updates.secure_aggregation import MODULUS, masks
from gauntlet.defenses.updates.soteria import relevance

DELTA = 1e-5


def make(name, **options):
    return create("update_defense", name, options)


def setting(**changes):
    told = {
        "samples": np.array([100, 40, 40, 7, *[10] * 16]),
        "selected": 2,
        "rounds": 10,
        "epochs": 2,
        "batch": 10,
        "weights": lambda samples: np.full(len(samples), 1 / len(samples)),
        "uniform": True,
        "statistics": False,
        "inspected": False,
    }
    return Setting(**{**told, **changes})


def begun(name, told=None, **options):
    defense = make(name, **options)
    defense.begin(told or setting())
    return defense


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def update(scale=1.0, seed=0, sizes=((40, 30), (30,), (7, 3, 5, 5))):
    generator = seeded(seed)
    return {str(i): scale * torch.randn(*size, generator=generator) for i, size in enumerate(sizes)}


def flat(tensors):
    return torch.cat([value.flatten() for value in tensors.values()])


def client(seed=0, images=None, before=None, net=None):
    return Client(
        torch.zeros(0) if images is None else images, before or {}, net or nn.Identity(), seeded(seed)
    )


def within(sample, std):
    """The sample variance of centred normal numbers of this deviation, in its interval of 1 - 1e-6."""
    n = sample.numel()
    low, high = chi2.ppf([5e-7, 1 - 5e-7], n) / n
    assert low < float(sample.double().square().mean()) / std**2 < high
    assert kstest((sample / std).numpy(), norm.cdf).pvalue > 1e-6


def test_the_defenses_are_there():
    assert set(names("update_defense")) == {
        "clip", "dp_fedavg", "dp_sgd", "noise", "secure_aggregation", "soteria", "top_k"
    }  # fmt: skip


def test_a_defense_without_hooks_changes_nothing():
    plain, sent = UpdateDefense(), update()
    plain.begin(setting())
    assert plain.update(sent, client()) is sent
    assert plain.total(sent, 3, seeded()) is sent
    assert plain.up_bytes(100, 400) == 400
    assert plain.epsilon(5, np.ones(4)) is None
    assert plain.batches(torch.arange(3), seeded()) is None


# --- what is sent


@pytest.mark.parametrize("std", [1e-4, 0.1])
def test_noise_has_the_stated_deviation(std):
    sent = update(sizes=((200, 300), (5000,)))
    found = make("noise", std=std).update(sent, client())
    within((flat(found).double() - flat(sent)).float(), std)
    again = make("noise", std=std).update(sent, client())
    other = make("noise", std=std).update(sent, client(seed=1))
    assert torch.equal(flat(found), flat(again))
    assert not torch.equal(flat(found), flat(other))


@settings(deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(0, 99))
def test_clipping_keeps_the_direction_and_bounds_the_length(bound, scale, seed):
    sent = update(scale, seed)
    found, length = flat(make("clip", norm=bound).update(sent, client())), flat(sent).norm()
    if length <= bound:
        assert torch.equal(found, flat(sent))
    else:
        torch.testing.assert_close(found, flat(sent) * (bound / length))
        assert found.norm().item() == pytest.approx(bound, rel=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_clipped_to_nothing(bad):
    sent = update()
    sent["1"][3] = bad
    assert flat(clipped(sent, 1.0)).abs().sum() == 0


@pytest.mark.parametrize("share", [1e-9, 0.1, 0.37, 1.0])
def test_top_k_keeps_the_largest_entries_of_all_together(share):
    sent = update()
    defense = make("top_k", share=share)
    found, before = flat(defense.update(sent, client())), flat(sent)
    kept = max(1, round(share * len(before)))
    largest = np.argsort(-before.abs().numpy())[:kept]
    expected = np.zeros(len(before), dtype=np.float32)
    expected[largest] = before[largest]
    assert found.tolist() == expected.tolist()
    assert defense.up_bytes(len(before), 4 * len(before)) == min(8 * kept, 4 * len(before))


# --- sparse representations


def convolutional(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2)
    )


def test_relevance_is_the_entry_over_its_slope():
    """Entry by entry through autograd."""
    net, image = convolutional(), torch.rand(1, 4, 4, generator=seeded(), requires_grad=True)
    values = net[:3](image[None])[0]
    expected = []
    for value in values:
        (slope,) = torch.autograd.grad(value, image, retain_graph=True)
        expected.append(0.0 if value == 0 else (value.abs() / slope.norm()).item())
    state = {name: value.clone() for name, value in net.state_dict().items()}
    other = convolutional(seed=5)  # whose own weights mean nothing
    assert relevance(other, other[3], state, image.detach()).tolist() == pytest.approx(expected, rel=1e-5)
    assert 0 in expected


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_soteria_prunes_what_says_most_about_the_images(share):
    net, images = convolutional(), torch.rand(3, 1, 4, 4, generator=seeded())
    state = dict(net.state_dict())
    sent = {name: torch.randn(value.shape, generator=seeded()) for name, value in net.named_parameters()}
    found = make("soteria", share=share, images=2).update(sent, client(0, images, state, net))
    scores = torch.stack([relevance(net, net[3], state, image) for image in images[:2]])
    means = [column[column > 0].mean().item() if (column > 0).any() else 0.0 for column in scores.T]
    pruned = sorted(np.argsort(means)[::-1][: round(12 * share)].tolist())
    assert (found["3.weight"] == 0).all(0).nonzero().flatten().tolist() == pruned
    rest = [index for index in range(12) if index not in pruned]
    assert torch.equal(found["3.weight"][:, rest], sent["3.weight"][:, rest])
    assert all(torch.equal(found[name], value) for name, value in sent.items() if name != "3.weight")
    assert not (sent["3.weight"] == 0).any()


def test_soteria_needs_a_linear_layer():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten())
    with pytest.raises(GauntletError, match="linear layer"):
        make("soteria").update({}, client(0, torch.rand(1, 1, 4, 4), dict(net.state_dict()), net))


# --- local steps


def opacus_model(net, images, labels):
    """Per-example gradients by Opacus' hooks."""
    from opacus.grad_sample import GradSampleModule

    model = GradSampleModule(net)
    F.cross_entropy(model(images), labels, reduction="mean").backward()
    return model


def examples(net, images, labels):
    """Per-example gradients, one backward pass each."""
    losses = [
        F.cross_entropy(net(image[None]), label[None]) for image, label in zip(images, labels, strict=True)
    ]
    each = [torch.autograd.grad(loss, list(net.parameters())) for loss in losses]
    keys = [name for name, _ in net.named_parameters()]
    return {name: torch.stack([own[i] for own in each]) for i, name in enumerate(keys)}


@pytest.mark.parametrize("clip", [0.05, 0.7, 100.0])
def test_a_private_step_without_noise_is_that_of_opacus(clip):
    from opacus.optimizers import DPOptimizer

    images, labels = torch.rand(9, 1, 4, 4, generator=seeded()), torch.arange(9) % 2
    defense = begun("dp_sgd", clip=clip, noise_multiplier=1e-30)
    own = examples(convolutional(), images, labels)
    found = defense.gradient(own, 8, seeded())

    model = opacus_model(convolutional(), images, labels)
    for (name, value), parameter in zip(own.items(), model.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad_sample, value, rtol=1e-4, atol=1e-6, msg=name)
    optimizer = DPOptimizer(
        torch.optim.SGD(model.parameters(), lr=1.0),
        noise_multiplier=0.0,
        max_grad_norm=clip,
        expected_batch_size=8,
    )
    optimizer.pre_step()
    for value, parameter in zip(found.values(), model.parameters(), strict=True):
        torch.testing.assert_close(value, parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("examples", [0, 1, 30])
def test_the_noise_of_a_step_is_sigma_times_clip_over_the_batch(examples):
    defense = begun("dp_sgd", clip=0.3, noise_multiplier=1.7)
    zeros = {"a": torch.zeros(examples, 200, 300), "b": torch.zeros(examples, 1000)}
    found = defense.gradient(zeros, 10, seeded())
    assert {name: tuple(value.shape) for name, value in found.items()} == {"a": (200, 300), "b": (1000,)}
    within(flat(found), 1.7 * 0.3 / 10)


def test_an_example_moves_a_step_by_no_more_than_the_clip():
    defense, huge = begun("dp_sgd", clip=0.3, noise_multiplier=1e-30), {"a": torch.randn(5, 40) * 1e3}
    one = {"a": huge["a"][:4]}
    apart = flat(defense.gradient(huge, 1, seeded())) - flat(defense.gradient(one, 1, seeded()))
    assert apart.norm().item() == pytest.approx(0.3, rel=1e-4)


def test_batches_are_poisson_samples():
    defense, rows = begun("dp_sgd", setting(epochs=500), noise_multiplier=1.0), torch.arange(50, 90)
    drawn = defense.batches(rows, seeded())
    assert len(drawn) == 500 * 4
    sizes = np.array([len(batch) for batch in drawn])
    joined = torch.bincount(torch.cat(drawn) - 50, minlength=40)
    assert all((batch.diff() > 0).all() for batch in drawn)  # each image at most once
    low, high = binom.ppf([1e-7, 1 - 1e-7], 2000, 0.25)
    assert ((joined >= low) & (joined <= high)).all()
    assert sizes.mean() == pytest.approx(10, abs=5 * math.sqrt(40 * 0.25 * 0.75 / 2000))
    assert sizes.var() == pytest.approx(7.5, rel=0.2)
    small = defense.batches(torch.arange(7), seeded())
    assert [batch.tolist() for batch in small] == [list(range(7))] * 500


# --- privacy


def gaussian_delta(epsilon, sigma):
    """Of one Gaussian mechanism of sensitivity 1: Balle & Wang 2018 (arXiv 1805.06530), theorem 8."""
    return norm.cdf(0.5 / sigma - epsilon * sigma) - math.exp(epsilon) * norm.cdf(
        -0.5 / sigma - epsilon * sigma
    )


@pytest.mark.parametrize(("sigma", "steps"), [(4.0, 1), (8.0, 20), (30.0, 100)])
def test_without_sampling_the_bounds_lie_above_the_exact_value(sigma, steps):
    """T compositions are one mechanism of sigma / sqrt(T)."""
    low, high = 0.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (
            (low, middle) if gaussian_delta(middle, sigma / math.sqrt(steps)) < DELTA else (middle, high)
        )
    prv, rdp = (privacy.spent(sigma, 1.0, steps, DELTA, kind) for kind in privacy.ACCOUNTANTS[::-1])
    assert high <= prv <= high + 0.02
    assert prv <= rdp <= 1.25 * high


@pytest.mark.parametrize(
    ("sigma", "rate", "steps"), [(4.0, 0.01, 10_000), (6.0, 0.1, 500), (2.0, 0.004, 2000)]
)
def test_sampling_is_accounted_by_the_binomial_formula(sigma, rate, steps):
    """Mironov et al. 2019 (arXiv 1908.10530), section 3.3, at integer orders; conversion of Canonne et al.
    2020 (arXiv 2004.00010), proposition 12."""
    found = []
    for order in range(2, 64):
        logs = [
            math.log(math.comb(order, k)) + k * math.log(rate) + (order - k) * math.log1p(-rate)
            + (k * k - k) / (2 * sigma**2)
            for k in range(order + 1)
        ]  # fmt: skip
        rdp = steps * np.logaddexp.reduce(logs) / (order - 1)
        found.append(rdp + math.log1p(-1 / order) - (math.log(DELTA) + math.log(order)) / (order - 1))
    own = privacy.spent(sigma, rate, steps, DELTA, "rdp")
    assert own == pytest.approx(min(found), rel=1e-2)  # it knows some orders in between
    assert privacy.spent(sigma, rate, steps, DELTA, "prv") < own


def test_the_moments_accountants_example():
    """Abadi et al. 2016, section 3.2: sigma 4, q 0.01, 10,000 steps: (1.26, 1e-5); strong composition 9.34.
    Conversions have become tighter since."""
    assert 0.9 < privacy.spent(4.0, 0.01, 10_000, DELTA, "prv") < 1.26
    assert 0.9 < privacy.spent(4.0, 0.01, 10_000, DELTA, "rdp") < 1.26


@pytest.mark.parametrize("accountant", privacy.ACCOUNTANTS)
def test_epsilon_grows_with_steps_and_rate_and_falls_with_noise(accountant):
    spent = partial(privacy.spent, delta=DELTA, accountant=accountant)
    assert spent(1.0, 0.1, 0) == 0
    over_steps = [spent(1.0, 0.1, steps) for steps in (1, 10, 100)]
    over_rates = [spent(1.0, rate, 10) for rate in (0.01, 0.1, 1.0)]
    over_noise = [spent(sigma, 0.1, 10) for sigma in (4.0, 2.0, 1.0)]
    for values in (over_steps, over_rates, over_noise):
        assert 0 < values[0] < values[1] < values[2]


@pytest.mark.parametrize("accountant", privacy.ACCOUNTANTS)
@pytest.mark.parametrize("name", ["dp_sgd", "dp_fedavg"])
def test_an_epsilon_is_kept_and_nearly_used(name, accountant):
    defense = begun(name, epsilon=3.0, accountant=accountant)
    everyone = np.full(20, 10)
    assert 2.96 < defense.epsilon(10, everyone) <= 3.0
    over_rounds = [defense.epsilon(rounds, np.full(20, rounds)) for rounds in range(11)]
    assert over_rounds[0] == 0
    assert (np.diff(over_rounds) > 0).all()


def test_local_privacy_is_that_of_the_client_that_spent_most():
    defense = begun("dp_sgd", setting(samples=np.array([100, 40, 40, 7])), noise_multiplier=1.5)
    alone = [privacy.spent(1.5, rate, steps, DELTA, "rdp") for rate, steps in
             ((0.1, 20 * 3), (0.25, 8 * 3), (0.25, 8 * 3), (1.0, 2 * 3))]  # fmt: skip
    for index in range(4):
        times = np.eye(4, dtype=int)[index] * 3
        assert defense.epsilon(9, times) == pytest.approx(alone[index])
    assert defense.epsilon(9, np.full(4, 3)) == pytest.approx(max(alone))
    assert defense.epsilon(9, np.zeros(4, dtype=int)) == 0


@pytest.mark.parametrize("name", ["dp_sgd", "dp_fedavg"])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "either epsilon or noise_multiplier"),
        ({"epsilon": 1.0, "noise_multiplier": 1.0}, "either epsilon or noise_multiplier"),
        ({"epsilon": 0.0}, "epsilon must be positive"),
        ({"noise_multiplier": -1.0}, "noise_multiplier must be positive"),
        ({"epsilon": 1.0, "clip": 0.0}, "clip must be positive"),
        ({"epsilon": 1.0, "delta": 1.0}, "delta must be in"),
        ({"epsilon": 1.0, "accountant": "moments"}, "'moments'.*\n.*rdp, prv"),
        ({"epsilon": 1.0, "delta": 0.5}, "protects nobody"),
        (
            {"epsilon": 0.1},
            r"no noise keeps epsilon 0\.1 over .* steps.*\n.*raise epsilon, or lower train\.rounds.* prv; c",
        ),
        (
            {"epsilon": 0.002, "accountant": "prv"},
            r"no noise keeps epsilon 0\.002 over .*prv.*\n.*raise epsilon, or lower train\.rounds.*; clip",
        ),
    ],
    ids=str,
)
def test_budgets_that_cannot_be_met_say_what_to_change(name, options, says):
    with pytest.raises(GauntletError, match=says) as caught:
        begun(name, **options)
    assert caught.value.key == "method.defenses"


@pytest.mark.parametrize("name", ["dp_sgd", "dp_fedavg"])
def test_running_statistics_are_outside_of_the_guarantee(name):
    with pytest.raises(GauntletError, match="BatchNorm") as caught:
        begun(name, setting(statistics=True), epsilon=1.0)
    assert caught.value.key == "architecture"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"uniform": False}, "method.selection"),
        ({"weights": lambda samples: samples / samples.sum()}, "method.aggregation"),
    ],
)
def test_user_level_privacy_needs_clients_that_count_the_same(changes, key):
    with pytest.raises(GauntletError) as caught:
        begun("dp_fedavg", setting(**changes), epsilon=1.0)
    assert caught.value.key == key


def test_clients_take_part_independently():
    defense = begun("dp_fedavg", setting(samples=np.full(40, 5), selected=10), noise_multiplier=1.0)
    numbers = 1 - np.random.default_rng(0).random((2000, 40))
    cohorts = [defense.participants(np.arange(10), uniforms) for uniforms in numbers]
    sizes = np.array([len(cohort) for cohort in cohorts])
    joined = np.bincount(np.concatenate(cohorts), minlength=40)
    low, high = binom.ppf([1e-7, 1 - 1e-7], 2000, 0.25)
    assert ((joined >= low) & (joined <= high)).all()
    assert sizes.var() == pytest.approx(40 * 0.25 * 0.75, rel=0.2)
    for uniforms, cohort in zip(numbers[:50], cohorts, strict=False):  # the largest, as random picks them
        assert set(cohort) == set(np.argsort(-uniforms)[: len(cohort)])


@pytest.mark.parametrize("clients", [0, 1, 3])
def test_the_noise_of_a_round_is_that_of_a_fixed_number_of_clients(clients):
    defense = begun("dp_fedavg", clip=0.5, noise_multiplier=1.2)
    mean = {"a": torch.full((300, 200), 0.1)}
    found = defense.total(mean, clients, seeded())
    within(flat(found) - 0.1 * clients / 2, 1.2 * 0.5 / 2)
    assert flat(defense.update(update(9.0), client())).norm().item() == pytest.approx(0.5, rel=1e-5)


# --- secure aggregation


@pytest.mark.parametrize("clients", [2, 3, 10])
@pytest.mark.parametrize("bits", [10, 20])
def test_the_masked_sum_is_the_plain_sum(clients, bits):
    parts = [update(0.1, seed) for seed in range(clients)]
    found = begun("secure_aggregation", fraction_bits=bits).add(parts, seeded())
    plain = torch.stack([flat(part).double() for part in parts]).sum(0)
    assert (flat(found).double() - plain).abs().max() <= clients / 2 ** (bits + 1) + 1e-6
    assert {name: value.shape for name, value in found.items()} == {
        name: value.shape for name, value in parts[0].items()
    }


def test_the_sum_does_not_depend_on_the_masks():
    parts = [update(0.1, seed) for seed in range(4)]
    defense = begun("secure_aggregation")
    assert torch.equal(flat(defense.add(parts, seeded())), flat(defense.add(parts, seeded(1))))


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_one_masked_update_is_uniform_noise(value):
    """Whatever the update: a chi-squared test on the first and on the last byte, and Kolmogorov-Smirnov."""
    defense = begun("secure_aggregation")
    received = defense.send([{"a": torch.full((60_000,), value)}] * 3, seeded())
    assert (defense.decode(received.sum(0)) == 3 * value).all()
    for row in received:
        for byte in (row >> 24, row & 255):
            counts = torch.bincount(byte, minlength=256).double()
            statistic = ((counts - 60_000 / 256) ** 2 / (60_000 / 256)).sum().item()
            assert chi2.ppf(1e-6, 255) < statistic < chi2.ppf(1 - 1e-6, 255)
        assert kstest((row.double() / MODULUS).numpy(), "uniform").pvalue > 1e-6
    together = received.double() / MODULUS
    assert torch.corrcoef(together[:2])[0, 1].abs() < 0.03  # although the two share a mask


def test_masks_are_shared_by_pairs():
    shared = masks(5, 1000, seeded())
    assert (shared.sum(0) % MODULUS == 0).all()
    for left in range(5):  # what all but one send does not cancel
        rest = (shared.sum(0) - shared[left]) % MODULUS
        assert (rest != 0).float().mean() > 0.99


def test_numbers_that_would_wrap_around_are_refused():
    defense = begun("secure_aggregation", fraction_bits=20)
    largest = 2**31 / 2**20 / 2
    edge = [{"a": torch.tensor([largest - 1.0, -largest + 1.0])}] * 2
    assert defense.add(edge, seeded())["a"].tolist() == [2 * largest - 2, -2 * largest + 2]
    with pytest.raises(GauntletError, match="does not fit") as caught:
        defense.add([{"a": torch.tensor([largest])}] * 2, seeded())
    assert "fraction_bits" in caught.value.remedy


def test_the_sum_over_one_client_is_not_given_away(capsys):
    defense = begun("secure_aggregation")
    assert flat(defense.add([update()], seeded())).abs().sum() == 0
    assert "abandoned" in capsys.readouterr().err
    for changes, key in (({"selected": 1}, "train.selected"), ({"inspected": True}, "method.contributions")):
        with pytest.raises(GauntletError) as caught:
            begun("secure_aggregation", setting(**changes))
        assert caught.value.key == key


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("noise", {"std": -1.0}),
        ("clip", {"norm": 0.0}),
        ("top_k", {"share": 0.0}),
        ("top_k", {"share": 1.1}),
        ("secure_aggregation", {"fraction_bits": 31}),
        ("soteria", {"share": 0.0}),
        ("soteria", {"images": 0}),
    ],
)
def test_values_out_of_range_are_refused(name, options):
    with pytest.raises(GauntletError) as caught:
        make(name, **options)
    assert caught.value.key == "method.defenses"
