"""The engine: packing changes nothing, known images come back, bad observations are refused."""

import dataclasses

import pytest
import torch
from torch import nn
from toy_inversion import CLASSES, SHAPE, generators, images, labels, network, observe, psnr

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names, options
from gauntlet.inversion import engine
from gauntlet.inversion.base import make
from gauntlet.inversion.engine import invert
from gauntlet.inversion.observation import Observation

METHODS = ["agic", "dlfa", "dlg", "idlg", "ig", "ig_simulation", "sme"]


def targets(count, n=2, rounds=1, **training):
    """(observations, true images): every target has images and weights of its own."""
    found = [
        [observe(network(10 * t + e), images(n, t), labels(n, t), **training) for e in range(rounds)]
        for t in range(count)
    ]
    return found, torch.stack([images(n, t) for t in range(count)])


def run(method, observations, iterations=5, restarts=1, net=None, **changes):
    method = make(method) if isinstance(method, str) else method
    settings = {"generators": generators(len(observations), restarts), **changes}
    return invert(net or network(), observations, SHAPE, method, iterations=iterations, **settings)


def test_every_method_is_tested_and_its_options_are_annotated():
    assert names("inversion") == METHODS
    for name in METHODS:
        assert all(annotation for annotation, _ in options("inversion", name).values())


@pytest.mark.parametrize("name", METHODS)
def test_packed_is_one_by_one(name):
    """Two rounds, two local epochs, two restarts: nine ways to mix copies up."""
    n = 1 if name == "idlg" else 2
    seen, _ = targets(3, n, rounds=2, batch=1, epochs=2)
    together = run(name, seen, restarts=2, report=2)
    for copies in (1, 4):
        apart = run(name, seen, restarts=2, report=2, copies=copies)
        torch.testing.assert_close(apart.cost, together.cost)
        torch.testing.assert_close(apart.images, together.images)
        torch.testing.assert_close(apart.history, together.history)
        assert torch.equal(apart.labels, together.labels)
        assert torch.equal(apart.restart, together.restart)
        for key, value in together.learned.items():
            torch.testing.assert_close(apart.learned[key], value)
    alone = run(name, seen[1:2], restarts=2, generators=generators(3, 2)[1:2])
    torch.testing.assert_close(alone.images[0], together.images[1])


def test_a_program_holds_so_many_pixels_and_no_more(monkeypatch, capsys):
    seen, _ = targets(3, 2)
    together = run("ig", seen, 2, report=1)
    assert "copies 1 to 3 of 3" in capsys.readouterr().err
    monkeypatch.setattr(engine, "PIXELS", 4 * SHAPE[1] * SHAPE[2])
    apart = run("ig", seen, 2, report=1)
    said = capsys.readouterr().err
    assert "copies 1 to 2 of 3" in said
    assert "copies 3 to 3 of 3" in said
    torch.testing.assert_close(apart.images, together.images)


def test_agic_with_equal_weights_and_one_round_is_inverting_gradients():
    seen, _ = targets(3, n=3, batch=1)
    agic, ig = run(make("agic", {"weighting": "equal"}), seen, 20), run("ig", seen, 20)
    assert torch.equal(agic.images, ig.images)
    assert torch.equal(agic.cost, ig.cost)


def test_sme_with_alpha_fixed_at_0_has_frozen_weights():
    seen, _ = targets(2, n=3, rounds=2, batch=1)
    fixed = make("sme", {"alpha": 0.0, "alpha_rate": 0.0})
    frozen = make("sme")
    frozen.matching = make("ig").matching
    found, plain = run(fixed, seen, 20), run(frozen, seen, 20)
    assert torch.equal(found.images, plain.images)
    assert torch.equal(found.learned["alpha"], torch.zeros(2, 2).double())
    assert not torch.equal(run("sme", seen, 20).images, found.images)


def test_the_cost_of_rounds_is_their_sum():
    seen, _ = targets(1, n=2, rounds=3)
    priorless = make("agic", {"tv": 0.0})
    parts = [run(priorless, [[one]], 0).cost for one in seen[0]]
    torch.testing.assert_close(run(priorless, seen, 0).cost, sum(parts))


def test_the_true_images_cost_nothing_and_random_ones_do():
    seen, _ = targets(2, n=3)
    method = make("ig", {"tv": 0.0})
    method.start = lambda shape, generator: images(3, 0).expand(shape)
    cost = run(method, seen, 0).cost
    assert cost[0] < 1e-12
    assert cost[1] > 1e-5


def test_deep_leakage_reconstructs_a_tiny_network_and_its_label():
    seen, true = targets(3, n=1, lr=1.0)
    hidden = [[dataclasses.replace(one, labels=None) for one in rounds] for rounds in seen]
    found = run("dlg", hidden, 150, restarts=3)
    assert (psnr(found.images, true) > 40).all()
    assert found.labels.flatten().tolist() == [int(rounds[0].labels) for rounds in seen]


def test_inverting_gradients_comes_nearer_than_its_start_did():
    seen, true = targets(4, n=1)
    method = make("ig", {"tv": 0.0, "start": "grey"})
    assert (psnr(run(method, seen, 200).images, true) > psnr(run(method, seen, 0).images, true) + 10).all()


def test_the_input_of_a_linear_layer_is_a_quotient_of_its_gradients():
    """``dW_i / db_i`` is the image, exactly (Geiping et al. 2020, proposition 3.1); the attack finds it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES)).double().eval()
    x, y = images(1, 3), torch.tensor([2])
    seen = observe(net, x, y, lr=1.0)
    exact = (seen.update["1.weight"][2] / seen.update["1.bias"][2]).view(1, 1, *SHAPE)
    torch.testing.assert_close(exact[0], x)
    for name, settings, iterations in (("idlg", {}, 60), ("ig", {"tv": 0.0}, 400)):
        found = run(make(name, settings), [[seen]], iterations, net=net)
        assert psnr(found.images, exact) > 40, name


def test_the_kept_restart_has_the_least_cost_and_images_are_in_the_box():
    seen, _ = targets(3, n=2)
    found = run("dlg", seen, 10, restarts=3)
    assert torch.equal(found.restart, found.cost.argmin(1))
    kept = found.cost.min(1).values
    for target in range(3):
        which = int(found.restart[target])
        again = run("dlg", seen[target : target + 1], 10, generators=[[generators(3, 3)[target][which]]])
        torch.testing.assert_close(again.images[0], found.images[target])
        torch.testing.assert_close(again.cost[0, 0], kept[target])
    assert found.images.min() >= 0
    assert found.images.max() <= 1


def test_reports_are_sparse_and_kept(capsys):
    seen, _ = targets(2)
    found = run("ig", seen, 7, restarts=2, report=3)
    lines = capsys.readouterr().err.splitlines()
    assert found.reported == [0, 3, 6, 7]
    assert [line.split("iteration ")[1].split(",")[0] for line in lines] == [
        f"{i} of 7" for i in (0, 3, 6, 7)
    ]
    assert found.history.shape == (4, 2, 2)
    assert (found.cost <= found.history.min(0).values).all()
    assert found.seconds > 0
    assert run("ig", seen, 2).history.shape == (0, 2, 1)
    assert capsys.readouterr().err == ""


def test_the_best_images_on_the_way_are_kept():
    """With steps far too long, costs go up and down."""
    seen, _ = targets(3)
    wild = make("ig", {"rate": 0.9})
    wild.search.decay = False
    found = run(wild, seen, 12, report=1)
    least, at = found.history.min(0)
    assert (at < 12).all()
    torch.testing.assert_close(found.cost, least)
    wild.start = lambda shape, generator: found.images[1][None].expand(shape)
    torch.testing.assert_close(run(wild, seen[1:2], 0).cost, least[1:2])


def test_running_statistics_come_from_the_server():
    net = network(norm=True)
    seen = observe(net, images(2), labels(2))
    other = {k: v + 0.5 if "running" in k else v for k, v in seen.weights.items()}
    costs = [
        run("ig", [[dataclasses.replace(seen, weights=weights)]], 0, net=network(5, norm=True)).cost
        for weights in (seen.weights, other)
    ]
    assert not torch.allclose(*costs)


@pytest.fixture(scope="module")
def seen():
    return observe(network(), images(2), labels(2))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"images": 0}, "images 0"),
        ({"batch": -1}, "batch -1"),
        ({"epochs": 0}, "epochs 0"),
        ({"lr": 0.0}, "learning rate 0.0"),
        ({"lr": float("nan")}, "learning rate nan"),
        ({"labels": torch.tensor([1])}, "labels of shape"),
        ({"update": {"0.weight": torch.zeros(3, 1, 3, 3)}}, "zero throughout"),
        ({"update": {"0.weight": torch.full((3, 1, 3, 3), torch.nan)}}, "not finite"),
        ({"update": {"0.weight": torch.ones(3, 1, 2, 2)}}, "shape"),
        ({"update": {"9.weight": torch.ones(3)}}, "9.weight"),
        ({"weights": {"0.bias": torch.tensor([torch.inf])}, "update": {}}, "weights '0.bias' are not finite"),
    ],
)
def test_an_observation_that_cannot_be_is_refused(seen, changes, text):
    with pytest.raises(GauntletError, match=text):
        dataclasses.replace(seen, **changes)


def test_an_observation_of_another_network_is_refused(seen):
    with pytest.raises(GauntletError, match=r"lacks '1\.bias'"):
        run("ig", [[seen]], net=network(norm=True))
    wide = nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), *network()[1:]).double().eval()
    wide[2] = nn.Conv2d(5, 4, 3, stride=2, padding=1).double()
    with pytest.raises(
        GauntletError, match=r"weights '0.weight' has shape \(3, 1, 3, 3\); .* \(5, 1, 3, 3\)"
    ):
        run("ig", [[seen]], net=wide)
    with pytest.raises(GauntletError, match=r"not in 0..3: \[1, 4\]"):
        run("ig", [[dataclasses.replace(seen, labels=torch.tensor([1, 4]))]])
    partial = {name: value for name, value in seen.update.items() if name != "0.bias"}
    with pytest.raises(GauntletError, match=r"update of an observation lacks '0\.bias'"):
        run("ig", [[dataclasses.replace(seen, update=partial)]])


def test_observations_that_do_not_fit_together_are_refused(seen):
    for changes in ({"batch": 1}, {"epochs": 2}):
        with pytest.raises(GauntletError, match=f"differ in {next(iter(changes))}"):
            run("ig", [[seen], [dataclasses.replace(seen, **changes)]])
    with pytest.raises(GauntletError, match="different numbers of rounds"):
        run("ig", [[seen], [seen, seen]])
    with pytest.raises(GauntletError, match="no observation"):
        run("ig", [])


@pytest.mark.parametrize("name", ["dlg", "idlg", "ig_simulation", "dlfa"])
def test_what_needs_a_learning_rate_says_so(name):
    one = observe(network(), images(1), labels(1))
    method = make(name, {"labels": "given"} if name == "dlfa" else {})
    with pytest.raises(GauntletError, match="no learning rate"):
        run(method, [[dataclasses.replace(one, lr=None)]])


@pytest.mark.parametrize("name", ["ig", "agic", "sme"])
def test_what_needs_no_learning_rate_finds_the_same_without(name):
    one = observe(network(), images(2), labels(2), lr=0.5)
    with_rate, without = (run(name, [[dataclasses.replace(one, lr=lr)]], 10) for lr in (0.5, None))
    torch.testing.assert_close(with_rate.images, without.images)


def test_calls_that_make_no_sense_are_refused(seen):
    with pytest.raises(GauntletError, match="eval mode"):
        run("ig", [[seen]], net=network().train())
    with pytest.raises(GauntletError, match="takes no images"):
        invert(network(), [[seen]], (1, 7, 9), make("ig"), iterations=1, generators=generators(1))
    for wrong in ([], generators(2), [[]]):
        with pytest.raises(GauntletError, match="generators"):
            run("ig", [[seen]], generators=wrong)
    for wrong in ({"iterations": -1}, {"copies": 0}, {"report": -1}):
        with pytest.raises(GauntletError, match="bad counts"):
            run("ig", [[seen]], **wrong)
    for options_ in ({"rates": 1.0}, {"rate": "fast"}):
        with pytest.raises(GauntletError, match="ig"):
            make("ig", options_)
    with pytest.raises(GauntletError, match="did you mean 'agic'"):
        make("agick")


def test_a_cost_that_is_never_a_number_is_an_error(seen):
    huge = {name: value * 1e200 for name, value in seen.weights.items()}
    with pytest.raises(GauntletError, match="target 1 was never finite"):
        run("ig", [[seen], [dataclasses.replace(seen, weights=huge)]], net=network(activation=nn.ReLU))


def test_a_gradient_is_an_update_of_one_step():
    net, x, y = network(), images(2), labels(2)
    slopes = torch.autograd.grad(nn.functional.cross_entropy(net(x), y), list(net.parameters()))
    gradient = dict(zip(dict(net.named_parameters()), slopes, strict=True))
    step = observe(net, x, y, lr=0.5)
    direct = Observation(step.weights, gradient, 2, 2, 1, 1.0, y)
    torch.testing.assert_close(run("dlg", [[direct]], 8).images, run("dlg", [[step]], 8).images)
