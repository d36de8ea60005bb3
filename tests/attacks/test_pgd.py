"""The PGD kernel against a loop written by hand, and the laws it must keep."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.attacks.pgd import pgd
from gauntlet.core.errors import GauntletError


def net(width=12, out=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(out, width, generator=generator)
    return lambda x: torch.tanh(x.flatten(1) @ weight.T)


def images(n=5, seed=1):
    return torch.rand(n, 1, 3, 4, generator=torch.Generator().manual_seed(seed))


def rng(seed=7):
    return torch.Generator().manual_seed(seed)


def by_hand(objective, x, eps, step, steps, generator):
    """Algorithm of Madry et al., one image and one pixel bound at a time."""
    noise = torch.rand(x.shape, generator=generator) * 2 * eps - eps
    current = [(image + delta).clamp(0, 1) for image, delta in zip(x, noise, strict=True)]
    for _ in range(steps):
        for i in range(len(x)):
            image = current[i].detach().clone().requires_grad_(True)
            objective(image[None]).sum().backward()
            moved = image.detach() + step * torch.sign(image.grad)
            delta = torch.clamp(moved - x[i], -eps, eps)
            current[i] = torch.clamp(x[i] + delta, 0, 1)
    return torch.stack(current)


@pytest.mark.parametrize("eps", [0.05, 0.3])
def test_equals_a_loop_written_by_hand(eps):
    embed, x = net(), images()

    def objective(adversarial):
        return embed(adversarial).square().sum(1)

    ours = pgd(objective, x, eps=eps, step=eps / 4, steps=9, generator=rng())
    theirs = by_hand(objective, x, eps, eps / 4, 9, rng())
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    start = by_hand(objective, x, eps, eps / 4, 0, rng())
    assert (objective(ours) > objective(start)).all()


@settings(max_examples=40, deadline=None)
@given(
    eps=st.floats(1e-3, 3.0),
    step=st.floats(1e-3, 2.0),
    steps=st.integers(0, 4),
    restarts=st.integers(1, 3),
    start=st.one_of(st.none(), st.floats(0, 4.0)),
    scalar=st.booleans(),
)
def test_stays_in_the_ball_and_in_the_pixel_range(eps, step, steps, restarts, start, scalar):
    embed, x = net(), images()

    def objective(adversarial):
        scores = embed(adversarial).sum(1)
        return scores.mean() if scalar else scores

    before = x.clone()
    found = pgd(
        objective, x, eps=eps, step=step, steps=steps, generator=rng(), restarts=restarts, start_eps=start
    )
    assert found.shape == x.shape
    assert not found.requires_grad
    assert (found - x).abs().max() <= eps + 1e-6
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(x, before)


def test_an_unbounded_budget_reaches_the_corner_of_the_box():
    x = images()
    signs = torch.sign(torch.randn(x.shape[1:], generator=rng(3)))
    found = pgd(lambda a: (a * signs).flatten(1).sum(1), x, eps=1.0, step=0.25, steps=8, generator=rng())
    torch.testing.assert_close(found, (signs > 0).float().expand_as(x))


def test_restarts_are_never_worse_and_choose_per_image():
    embed, x = net(seed=5), images(40)

    def objective(adversarial):
        return torch.sin(9 * embed(adversarial)).sum(1)  # many local maxima

    ends = [
        objective(pgd(objective, x, eps=0.3, step=0.1, steps=3, generator=rng(), restarts=k))
        for k in (1, 2, 5)
    ]
    assert (ends[1] >= ends[0]).all()
    assert (ends[2] >= ends[1]).all()
    assert (ends[2] > ends[0]).any()
    assert (ends[2] == ends[0]).any()  # some images keep their first start: chosen per image


def test_restarts_of_a_scalar_objective_choose_one_whole_run():
    embed, x = net(seed=5), images(6)

    def objective(adversarial):
        return torch.sin(9 * embed(adversarial)).sum()

    generator = rng()
    runs = [pgd(objective, x, eps=0.3, step=0.1, steps=3, generator=generator) for _ in range(4)]
    best = max(runs, key=lambda run: float(objective(run)))
    chosen = pgd(objective, x, eps=0.3, step=0.1, steps=3, generator=rng(), restarts=4)
    assert torch.equal(chosen, best)
    assert not torch.equal(best, runs[0])


def test_the_same_generator_gives_the_same_images():
    embed, x = net(), images()
    runs = [
        pgd(lambda a: embed(a).sum(1), x, eps=0.1, step=0.03, steps=3, generator=rng(s)) for s in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_a_nonfinite_objective_is_refused():
    with pytest.raises(GauntletError, match="not finite"):
        pgd(lambda a: a.flatten(1).sum(1) / 0.0, images(), eps=0.1, step=0.1, steps=2, generator=rng())


def test_a_nan_gradient_under_a_finite_objective_is_refused():
    """The sign of NaN is 0: unnoticed, the attack would stand still and the model look robust."""

    def objective(adversarial):
        zero = (adversarial - adversarial.detach()).flatten(1).sum(1)
        return 1 + zero * torch.sqrt(zero)

    assert torch.isfinite(objective(images())).all()
    with pytest.raises(GauntletError, match="not finite"):
        pgd(objective, images(), eps=0.1, step=0.1, steps=2, generator=rng())


def test_no_gradient_is_left_on_the_weights():
    layer = torch.nn.Linear(12, 2)
    pgd(lambda a: layer(a.flatten(1)).sum(1), images(), eps=0.1, step=0.1, steps=2, generator=rng())
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_works_under_no_grad():
    with torch.no_grad():
        found = pgd(lambda a: a.flatten(1).sum(1), images(), eps=0.1, step=0.1, steps=3, generator=rng())
    torch.testing.assert_close(found, (images() + 0.1).clamp(max=1))
