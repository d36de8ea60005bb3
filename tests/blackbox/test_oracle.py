"""The black box: what it tells, what it counts, what it refuses."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gauntlet.blackbox.defenses.noise import Noise
from gauntlet.blackbox.defenses.rounding import Rounding
from gauntlet.blackbox.oracle import BudgetExhausted, Oracle
from gauntlet.core.errors import GauntletError

SHAPE = (1, 3, 3)
WEIGHT = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))


def target(images):
    return images.flatten(1) @ WEIGHT


def images(n=10, seed=1):
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


def oracle(answers=target, access="label", **settings):
    return Oracle(answers, access=access, classes=4, shape=SHAPE, **settings)


def test_answers_hold_what_the_access_allows_and_no_more():
    x, logits = images(), target(images())
    labels = oracle()(x)
    assert torch.equal(labels, logits.argmax(1))
    assert labels.dtype == torch.int64
    torch.testing.assert_close(oracle(access="probabilities")(x), logits.softmax(1))
    # Logits up to a constant per image: all that probabilities give away.
    torch.testing.assert_close(oracle(access="logits")(x), logits - logits.mean(1, keepdim=True))


@pytest.mark.parametrize("access", ["label", "probabilities", "logits"])
def test_no_gradient_passes_and_no_attribute_holds_the_target(access):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 4))
    found = oracle(net, access)
    x = images().requires_grad_()
    with torch.enable_grad():
        assert not found(x).requires_grad
    held = [value for name in vars(found) for value in [getattr(found, name)]]
    assert not any(isinstance(value, torch.nn.Module) for value in held)


@given(st.lists(st.integers(1, 7), max_size=12), st.integers(0, 40))
def test_every_answered_image_is_counted_and_the_budget_is_never_passed(sizes, budget):
    asked = oracle(budget=budget)
    answered = []
    for size in sizes:
        if size <= asked.left:
            answered.append(asked(images(size)))
        else:
            with pytest.raises(BudgetExhausted):
                asked(images(size))
    assert asked.queries == sum(map(len, answered)) <= budget
    assert asked.left == budget - asked.queries
    labels = torch.cat([*answered, torch.zeros(0, dtype=torch.int64)])
    assert asked.histogram.tolist() == np.bincount(labels.numpy(), minlength=4).tolist()


def test_the_counter_cannot_be_set_back():
    asked = oracle(budget=10)
    asked(images())
    with pytest.raises(AttributeError):
        asked.queries = 0
    asked.histogram.zero_()
    assert asked.histogram.sum() == 10
    with pytest.raises(BudgetExhausted, match="1 queries, and 0 of 10 left"):
        asked(images(1))


def test_a_large_batch_gets_the_answers_of_its_parts():
    x = images(1203)
    whole = oracle(access="probabilities")(x)
    parts = torch.cat([oracle(access="probabilities")(part) for part in x.split(100)])
    torch.testing.assert_close(whole, parts)


def test_queries_may_be_cut_to_images():
    x = images() * 4 - 1
    found = oracle(access="probabilities", clip=True)(x)
    torch.testing.assert_close(found, target(x.clamp(0, 1)).softmax(1))


def test_a_target_may_answer_with_labels():
    assert oracle(lambda x: target(x).argmax(1))(images()).tolist() == target(images()).argmax(1).tolist()


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (lambda x: target(x) * float("nan"), "NaN or infinity"),
        (lambda x: target(x)[:, :3], r"\(10, 3\), not \(10, 4\)"),
        (lambda x: torch.full((len(x),), 4), r"labels outside 0\.\.3"),
        (lambda x: torch.full((len(x),), -1), r"labels outside 0\.\.3"),
        (lambda x: torch.full((len(x),), 1.5), "labels outside"),
    ],
)
def test_an_answer_that_is_none_is_refused_and_not_charged(answers, problem):
    asked = oracle(answers)
    with pytest.raises(GauntletError, match=problem):
        asked(images())
    assert asked.queries == 0


def test_queries_that_are_no_images_of_the_target_are_refused():
    asked = oracle()
    with pytest.raises(GauntletError, match=r"takes images of \(1, 3, 3\), not \(1, 4, 4\)"):
        asked(torch.rand(2, 1, 4, 4))
    with pytest.raises(GauntletError, match="the generator diverged"):
        asked(images() * float("inf"))
    assert asked.queries == 0


def test_defenses_change_the_answers_in_order_and_travel_with_the_state():
    def make():
        return oracle(access="probabilities", defenses=[Noise(0.2, seed=3), Rounding(1)])

    whole, first = make(), make()
    expected = [whole(images(5, seed)) for seed in range(4)]
    found = [first(images(5, seed)) for seed in range(2)]
    assert torch.equal(found[0], found[0].round(decimals=1))
    second = make()
    second.restore(first.state())
    found += [second(images(5, seed)) for seed in range(2, 4)]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert second.queries == 20
    assert torch.equal(second.histogram, whole.histogram)
