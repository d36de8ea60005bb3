"""The searches on objectives whose maxima are known, and the laws of their budgets."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from gauntlet.attacks.base import Attack
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.embedding import perturb
from gauntlet.attacks.norms import NORMS, ball
from gauntlet.attacks.pgd import pgd
from gauntlet.attacks.random_search import square_side
from gauntlet.attacks.searches.base import Budget, make
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names

SEARCHES = {
    "pgd": {"step": 0.02, "steps": 12},
    "adam": {"step": 0.02, "steps": 20},
    "cw": {"step": 0.02, "steps": 10},
    "square": {"step": 0.02, "steps": 2500},
}
PAIRS = [(name, norm) for name in SEARCHES for norm in make(name).norms]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, seed=1):
    """Far enough from black and white that no budget here reaches them."""
    return 0.3 + 0.4 * torch.rand(n, 1, 4, 4, generator=rng(seed))


def run(name, objective, x, eps, norm="linf", restarts=1, seed=0, **changes):
    search = make(name, norm)
    spent = {**SEARCHES[name], **changes}
    budget = Budget(eps=eps, norm=norm, start_eps=eps, **spent)
    generator = rng(seed)
    starts = [search.start(x, budget, generator) for _ in range(restarts)]
    return search(objective, x, starts, budget, generator)


def size(change, norm):
    flat = change.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def net(x):
    """Many local maxima."""
    weight = torch.randn(x[0].numel(), 5, generator=rng(4))
    return torch.sin(4 * x.flatten(1) @ weight).sum(1)


def test_every_search_is_tested():
    assert set(SEARCHES) == set(names("search"))


@pytest.mark.parametrize(("name", "norm"), PAIRS)
def test_a_linear_objective_is_climbed_to_the_edge_of_its_ball(name, norm):
    """Along the sign of its slope in L-inf, along the slope itself in L2."""
    x, slope = images(), torch.randn(1, 1, 4, 4, generator=rng(2))
    eps, steps = (0.1, SEARCHES[name]["steps"]) if norm == "linf" else (0.25, 400)
    found = run(name, lambda a: (a * slope).flatten(1).sum(1), x, eps, norm, steps=steps)
    best = slope.sign() if norm == "linf" else slope / slope.norm()
    if name == "square":  # a random search comes near
        gain = ((found - x) * slope).flatten(1).sum(1)
        assert (gain > 0.9 * eps * slope.abs().sum()).all()
    else:
        torch.testing.assert_close(found, x + eps * best, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["pgd", "adam", "cw"])
def test_pixels_at_the_end_of_the_range_are_not_stuck(name):
    """Half of all random starts would move a black pixel below black, where a cut has no gradient."""
    x, bright = torch.zeros(6, 1, 4, 4), torch.ones(1, 1, 4, 4)
    found = run(name, lambda a: (a * bright).flatten(1).sum(1), x, 0.1)
    torch.testing.assert_close(found, torch.full_like(x, 0.1))


@pytest.mark.parametrize(("name", "norm"), PAIRS)
@pytest.mark.parametrize("eps", [0.02, 0.3, 3.0])
def test_searches_keep_to_their_budget_and_change_nothing_else(name, norm, eps):
    x = torch.rand(5, 1, 4, 4, generator=rng(6))
    before = x.clone()
    found = run(name, net, x, eps, norm, steps=10)
    assert torch.equal(x, before)
    assert found.shape == x.shape
    assert not found.requires_grad
    assert torch.equal(found, found.clamp(0, 1))
    assert (size(found - x, norm) <= eps + 1e-5).all()
    assert net(found).mean() > net(x).mean()


@pytest.mark.parametrize(("name", "norm"), PAIRS)
def test_restarts_are_never_worse_and_choose_per_image(name, norm):
    """Square draws on after its starts, so that only its first start is that of one restart."""
    x = images(40)
    ends = [net(run(name, net, x, 0.2, norm, restarts=k, steps=4)) for k in (1, 5)]
    if name != "square":
        assert (ends[1] >= ends[0] - 1e-6).all()
    assert (ends[1] > ends[0] + 1e-6).any()
    assert ends[1].mean() > ends[0].mean()


@pytest.mark.parametrize("name", ["adam", "cw", "square"])
def test_the_best_that_was_seen_is_returned(name):
    """Longer searches of the same draws are never worse."""
    x = images(20)
    starts = {"adam": (3, 9), "cw": (0, 6), "square": (1, 40)}
    short, long = (net(run(name, net, x, 0.2, steps=steps)) for steps in starts[name])
    if name != "square":  # the squares' sizes depend on the number of queries
        assert (long >= short - 1e-6).all()
    assert long.mean() > short.mean()


@pytest.mark.parametrize("name", ["pgd", "adam", "cw"])
def test_a_scalar_objective_is_climbed_as_a_whole(name):
    x = images()
    found = run(name, lambda a: net(a).mean(), x, 0.2, restarts=3)
    assert net(found).mean() > net(x).mean()


@pytest.mark.parametrize("name", SEARCHES)
def test_not_a_number_is_no_robustness(name):
    with pytest.raises(GauntletError, match="not finite"):
        run(name, lambda a: net(a) * float("nan"), images(), 0.1, steps=2)


def test_a_nan_gradient_under_a_finite_objective_is_refused():
    def objective(adversarial):
        zero = (adversarial - adversarial.detach()).flatten(1).sum(1)
        return 1 + zero * torch.sqrt(zero)

    for name in ("pgd", "adam", "cw"):
        with pytest.raises(GauntletError, match="not finite"):
            run(name, objective, images(), 0.1, steps=2)


def test_square_asks_for_no_gradient():
    steps = []

    def objective(adversarial):
        assert not torch.is_grad_enabled()
        steps.append(len(adversarial))
        return net(adversarial).round()  # no gradient anywhere

    x = images()
    found = run("square", objective, x, 0.2, steps=60)
    assert steps == [len(x)] * 60
    assert (net(found).round() > net(x).round()).any()


def test_squares_shrink_as_published():
    """p is 0.8, halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000 of 10,000 queries."""
    sides = [square_side(query / 10_000, 0.8, 32, 32) for query in (5, 30, 100, 400, 9000)]
    expected = [round((0.8 / 2**k * 1024) ** 0.5) for k in (0, 1, 2, 3, 9)]
    assert sides == expected


def test_adam_steps_are_adams(monkeypatch):
    """Against the update by hand: with bias corrections, projected after every step, best iterate."""
    x, target = images(2), torch.rand(2, 1, 4, 4, generator=rng(8))

    def objective(a):
        return -(a - target).square().flatten(1).sum(1)

    start = x.clone()
    mean, square, current = torch.zeros_like(x), torch.zeros_like(x), start
    seen = [current]
    for t in range(1, 6):
        gradient = -2 * (current - target)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        step = (mean / (1 - 0.9**t)) / ((square / (1 - 0.999**t)).sqrt() + 1e-8)
        current = (current + 0.03 * step).clamp(x - 0.1, x + 0.1).clamp(0, 1)
        seen.append(current)
    scores = torch.stack([objective(each) for each in seen])
    expected = torch.stack(seen)[scores.argmax(0), torch.arange(2)]
    budget = Budget(eps=0.1, step=0.03, steps=5, norm="linf", start_eps=0.0)
    found = make("adam")(objective, x, [start], budget, rng())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_cw_doubles_its_weight_from_a_tenth_to_below_twenty():
    assert make("cw").weights == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8])
    assert make("cw", options={"initial": 1.0, "highest": 3.0}).weights == [1.0, 2.0]


@pytest.mark.parametrize(
    ("name", "restarts", "expected"), [("pgd", 1, 7), ("pgd", 3, 22.5), ("adam", 2, 15), ("square", 2, 7)]
)
def test_passes_are_what_is_spent(name, restarts, expected):
    """Counted in a run: a forward pass is half a pass, a backward pass the other half."""
    spent = []

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            spent.append(0.5)
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            spent.append(0.5)
            return gradient

    run(name, lambda a: net(Counted.apply(a)), images(), 0.1, restarts=restarts, steps=7)
    assert make(name).passes(7, restarts) == expected == sum(spent)
    spent.clear()
    run("cw", lambda a: net(Counted.apply(a)), images(), 0.1, steps=3)
    assert make("cw").passes(3, 1) == sum(spent)


def test_unknown_names_and_options_are_named():
    with pytest.raises(GauntletError, match="did you mean 'square'"):
        make("squares")
    with pytest.raises(GauntletError, match="does not keep to the norm 'l2'"):
        make("square", "l2")
    with pytest.raises(GauntletError, match="hue"):
        make("square", options={"hue": 1})
    with pytest.raises(GauntletError, match="unknown norm 'l1'"):
        pgd(net, images(), eps=1, step=1, steps=1, generator=rng(), norm="l1")


# The balls.


@settings(max_examples=60, deadline=None)
@given(
    norm=st.sampled_from(sorted(NORMS)),
    eps=st.floats(1e-3, 5.0),
    step=st.floats(1e-3, 3.0),
    seed=st.integers(0, 99),
)
def test_every_step_stays_inside(norm, eps, step, seed):
    x = torch.rand(4, 2, 3, 3, generator=rng(seed))
    inside = ball(norm)(x, eps)
    wild = 6 * torch.rand(x.shape, generator=rng(seed + 1)) - 3
    moved = inside.rise_(ball(norm).start(x, eps, rng(seed)), wild, step)
    for images_ in (ball(norm).start(x, eps, rng(seed)), inside.project(wild), moved):
        assert torch.equal(images_, images_.clamp(0, 1))
        assert (size(images_ - x, norm) <= eps * (1 + 1e-5) + 1e-6).all()
    again = inside.project(moved)
    torch.testing.assert_close(again, moved)


def test_an_l2_step_has_its_length_per_image():
    x, gradient = images(), torch.randn(6, 1, 4, 4, generator=rng(3))
    moved = ball("l2")(x, 1.0).rise_(x.clone(), gradient, 0.05)
    torch.testing.assert_close(size(moved - x, "l2"), torch.full((6,), 0.05))
    cosine = F.cosine_similarity((moved - x).flatten(1), gradient.flatten(1))
    torch.testing.assert_close(cosine, torch.ones(6))
    still = ball("l2")(x, 1.0).rise_(x.clone(), torch.zeros_like(x), 0.05)
    assert torch.equal(still, x)


def test_l2_starts_are_uniform_in_the_ball():
    """The share within radius r is r^D, and directions have no preference."""
    x = torch.full((20_000, 1, 1, 3), 0.5)
    change = (ball("l2").start(x, 0.4, rng()) - x).flatten(1) / 0.4
    for radius in (0.5, 0.8, 0.95):
        assert float((change.norm(dim=1) <= radius).double().mean()) == pytest.approx(radius**3, abs=0.01)
    assert change.mean(0).abs().max() < 0.02
    spread = (change.T @ change) / len(change)
    torch.testing.assert_close(spread, torch.eye(3) / 5, atol=0.01, rtol=0)  # r^2/(D+2)


@pytest.mark.parametrize("norm", sorted(NORMS))
def test_the_whole_box_is_in_the_whole_ball(norm):
    x = (torch.rand(3, 2, 4, 4, generator=rng()) > 0.5).float()
    whole = ball(norm).whole(x)
    torch.testing.assert_close(size((1 - x) - x, norm), torch.full((3,), whole))
    assert whole == pytest.approx(1.0 if norm == "linf" else math.sqrt(32))


def test_l2_pgd_equals_a_loop_written_by_hand():
    x = images()
    start = ball("l2").start(x, 0.2, rng(7))
    expected = []
    for image, current in zip(x, start, strict=True):
        for _ in range(6):
            point = current[None].clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(net(point).sum(), point)
            moved = current + 0.05 * gradient[0] / gradient.square().sum().sqrt()
            delta = moved - image
            if (far := float(delta.square().sum().sqrt())) > 0.2:
                delta = delta * 0.2 / far
            current = (image + delta).clamp(0, 1)
        expected.append(current)
    found = pgd(net, x, eps=0.2, step=0.05, steps=6, generator=rng(7), norm="l2")
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=0)


# Through `perturb`.


@pytest.fixture(scope="module")
def scene():
    torch.manual_seed(0)
    layer = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(16, 24), torch.nn.ReLU(), torch.nn.Linear(24, 6)
    )
    layer.requires_grad_(False)
    labels = torch.arange(23) % 4
    prototypes = torch.rand(4, 1, 4, 4)
    x = (0.6 * prototypes[labels] + 0.4 * torch.rand(23, 1, 4, 4)).clamp(0, 1)

    def embed(images):
        return F.normalize(layer(images))

    return embed, x, embed(x), labels


def adversarial(scene, attack, name, norm="linf", **changes):
    embed, x, clean, labels = scene
    budget = {"eps": 0.2, "step": 0.03, "steps": 12, "generator": rng(3), **changes}
    return perturb(attack, embed, x, Clean(clean, labels), search=name, norm=norm, **budget)


@pytest.mark.parametrize(("name", "norm"), PAIRS)
@pytest.mark.parametrize("attack", ["margin", "nearest_positive", "joint_pair"])
def test_every_attack_and_search_go_together(scene, attack, name, norm):
    """Except that a query-only search cannot climb a score of all images together."""
    embed, x, clean, labels = scene
    if (attack, name) == ("joint_pair", "square"):
        with pytest.raises(GauntletError, match="one score per image"):
            adversarial(scene, attack, name)
        return
    steps = 200 if name == "square" else 12
    found = adversarial(scene, attack, name, norm, steps=steps)
    assert (size(found - x, norm) <= 0.2 + 1e-5).all()
    right, before = (
        int((labels[(embed(a) @ clean.T).fill_diagonal_(-2).argmax(1)] == labels).sum()) for a in (found, x)
    )
    assert right <= before
    torch.testing.assert_close(
        adversarial(scene, attack, name, norm, steps=steps, batch=5), found, atol=1e-4, rtol=0
    )
    assert torch.equal(adversarial(scene, attack, name, norm, steps=steps), found)


def test_pgd_is_the_default(scene):
    embed, x, clean, labels = scene
    budget = {"eps": 0.2, "step": 0.03, "steps": 5}
    plain = perturb("centre", embed, x, Clean(clean, labels), generator=rng(3), **budget)
    assert torch.equal(plain, adversarial(scene, "centre", "pgd", steps=5))


def test_a_query_search_embeds_in_batches(scene):
    embed, x, clean, labels = scene
    sizes = []

    def counted(images):
        sizes.append(len(images))
        return embed(images)

    perturb(
        "centre",
        counted,
        x,
        Clean(clean, labels),
        eps=0.1,
        step=0.1,
        steps=3,
        generator=rng(),
        search="square",
        batch=10,
    )
    assert sizes == [10, 10, 3] * 3


def test_spared_images_stay_clean_under_every_search(scene):
    _, x, clean, _ = scene

    class Few(Attack):
        def __init__(self):
            self.spared = torch.arange(len(x)) % 3 > 0

        def objective(self, embeddings, rows):
            return -(embeddings * clean[rows]).sum(1)

    for name, norm in PAIRS:
        found = adversarial(scene, Few(), name, norm, steps=20, batch=4)
        changed = (found != x).flatten(1).any(1)
        assert changed.nonzero()[:, 0].tolist() == list(range(0, len(x), 3))
    joint = Few()
    joint.joint = True
    joint.objective = lambda embeddings, rows: -(embeddings * clean[rows]).sum()
    assert torch.equal((adversarial(scene, joint, "pgd") != x).flatten(1).any(1), ~joint.spared)
