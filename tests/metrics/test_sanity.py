"""The sanity suite as a kernel, on made-up curves of the score against budget and steps."""

import math

import pytest

from gauntlet.metrics import sanity

EPS, STEPS, MORE = 0.1, 20, 60


def run(score, images=100, clean=0.9, floor=0.2, left=0.0):
    checks = sanity.suite(
        lambda eps, steps, kind: {"recall@1": score(eps, steps, kind)},
        eps=EPS,
        steps=STEPS,
        more_steps=MORE,
        clean={"recall@1": clean},
        floor={"recall@1": floor},
        images=images,
        left=left,
    )
    assert [check.check for check in checks] == [
        "more_steps",
        "bigger_eps",
        "unbounded",
        "transfer",
        "random_noise",
    ]
    assert all(check.passed == (check.value <= check.bound) for check in checks)
    return {check.check for check in checks if not check.passed}


def honest(eps, steps, kind):
    """Falls with the budget; noise and transfer are weaker."""
    strength = {"white_box": 1.0, "transfer": 0.4, "random_noise": 0.1}[kind]
    return 0.9 * math.exp(-8 * strength * eps)


def test_an_honest_curve_passes():
    assert run(honest) == set()


def broken(kind_of, value):
    def score(eps, steps, kind):
        return value if kind_of(eps, steps, kind) else honest(eps, steps, kind)

    return score


@pytest.mark.parametrize(
    ("fault", "value", "expected"),
    [
        (lambda eps, steps, kind: eps == EPS and steps == MORE, 0.8, "more_steps"),
        (lambda eps, steps, kind: eps == 2 * EPS, 0.8, "bigger_eps"),
        (lambda eps, steps, kind: eps == 1.0, 0.6, "unbounded"),
        (lambda eps, steps, kind: kind == "transfer", 0.1, "transfer"),
        (lambda eps, steps, kind: kind == "random_noise", 0.1, "random_noise"),
    ],
)
def test_each_fault_fails_its_own_check_alone(fault, value, expected):
    assert run(broken(fault, value)) == {expected}


def test_an_unbounded_attack_must_reach_the_floor_unless_told_that_it_cannot():
    def masked_in_part(remains):
        return lambda eps, steps, kind: max(honest(eps, steps, kind), remains)

    assert run(masked_in_part(0.4)) == {"unbounded"}
    assert run(masked_in_part(0.4), left=sanity.LEFT) == set()  # up to 0.2 + 0.7 / 4 + 0.098
    assert run(masked_in_part(0.48), left=sanity.LEFT) == {"unbounded"}


def test_an_attack_that_never_moves_is_caught():
    assert "unbounded" in run(lambda eps, steps, kind: 0.9)


def test_small_differences_are_noise_and_more_images_leave_less_of_it():
    def score(eps, steps, kind):
        return honest(eps, steps, kind) + 0.05 * (steps == MORE and eps == EPS)

    assert run(score, images=100) == set()
    assert run(score, images=10_000) == {"more_steps"}
    assert sanity.noise(400) == pytest.approx(0.049)


def test_a_large_budget_is_capped_at_the_whole_box():
    asked = []
    sanity.suite(
        lambda eps, steps, kind: asked.append(eps) or {"f1": 0.0},
        eps=0.7,
        steps=2,
        more_steps=4,
        clean={"f1": 1.0},
        floor={"f1": 0.0},
        images=50,
    )
    assert max(asked) == 1.0


def test_every_metric_is_checked():
    checks = sanity.suite(
        lambda eps, steps, kind: {"nmi": 0.9, "f1": 0.1},
        eps=0.1,
        steps=2,
        more_steps=4,
        clean={"nmi": 0.9, "f1": 0.9},
        floor={"nmi": 0.0, "f1": 0.2},
        images=100,
    )
    assert {(c.check, c.metric) for c in checks if not c.passed} == {("unbounded", "nmi")}
    assert len(checks) == 10
