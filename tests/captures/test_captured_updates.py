"""The family ``inversion``: the updates that are attacked are those that the clients really sent."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_parquet
from gauntlet.core.provenance import read_sidecar
from gauntlet.families import weights
from gauntlet.families.federated import world
from gauntlet.families.inversion import evaluate, train
from gauntlet.families.inversion.captured import Captured
from gauntlet.families.inversion.settings import Data, Evaluate, Method, Train
from gauntlet.metrics import lpips
from gauntlet.models.classifiers import build

GRADIENT = {"rounds": 1, "selected": 4, "batch": 5, "lr": 0.01}


def identity(defenses=(), data=None, **recipe):
    parts = {
        "data": (Data, {"clients": 4, "per_class": 2, "test_per_class": 10, **(data or {})}),
        "method": (Method, {"selection": "random", "defenses": list(defenses)}),
        "train": (Train, {**GRADIENT, **recipe}),
    }
    found = {"family": "inversion", "dataset": "digits", "architecture": "convnet2"}
    return found | {
        part: parse(shape, given, file="x").model_dump(mode="json") for part, (shape, given) in parts.items()
    }


def attacks(**labelled):
    return parse(Evaluate, {"iterations": 30, "targets": 2, "attacks": labelled}, file="x").model_dump(
        mode="json"
    )


@pytest.fixture
def capture(folder, tmp_path):
    def captured(seed=0, **changes):
        what = identity(**changes)
        train.run(what, [seed], tmp_path / "out", None, "cpu", folder)
        return what, tmp_path / "out" / "model.safetensors"

    return captured


def federation(what, digits, model):
    settings = Data(**what["data"]), torch.device("cpu")
    return world.build(digits, settings[0], 0, settings[1]), Captured(
        weights.read(model, 0), what["train"]["observe"]
    )


def network(what, here):
    _, channels, size, _ = here.train.pixels.shape
    return build(what["architecture"], channels, size, 10).eval()


def gradient(net, state, pixels, labels):
    tensors = {name: value.clone().requires_grad_(True) for name, value in state.items()}
    loss = F.cross_entropy(functional_call(net, tensors, (pixels,)), labels)
    return dict(zip(tensors, torch.autograd.grad(loss, list(tensors.values())), strict=True))


def test_one_local_step_is_the_gradient_of_the_client_s_images(capture, digits):
    what, model = capture()
    here, captured = federation(what, digits, model)
    assert captured.targets == [0, 1, 2, 3]
    names = [name for name, _ in network(what, here).named_parameters()]
    for target in captured.targets:
        rows = captured.rows(target)
        assert sorted(rows.tolist()) == sorted(here.rows[target].tolist())
        seen = captured.observation(target, 1, names, images=5, batch=5, epochs=1, lr=0.01, labels=None)
        found = gradient(network(what, here), seen.weights, here.train.pixels[rows], here.train.labels[rows])
        for name in names:
            torch.testing.assert_close(seen.update[name], 0.01 * found[name], atol=5e-7, rtol=1e-4)


def test_several_steps_are_sgd_from_the_model_of_that_round(capture, digits):
    what, model = capture(rounds=3, observe=[1, 3], batch=2, epochs=1)
    here, captured = federation(what, digits, model)
    net = network(what, here)
    names = [name for name, _ in net.named_parameters()]
    first = captured.observation(0, 1, names, images=5, batch=2, epochs=1, lr=0.01, labels=None)
    assert first.steps == 3
    state, rows = first.weights, captured.rows(0)
    for part in rows.split(2):
        step = gradient(net, state, here.train.pixels[part], here.train.labels[part])
        state = {name: state[name] - 0.01 * step[name] for name in state}
    for name in names:
        torch.testing.assert_close(
            first.weights[name] - state[name], first.update[name], atol=5e-7, rtol=1e-4
        )
    later = captured.observation(0, 3, names, images=5, batch=2, epochs=1, lr=0.01, labels=None)
    assert any(not torch.equal(first.weights[name], later.weights[name]) for name in names)


def test_the_server_of_a_secure_sum_sees_one_target_with_all_images(capture, digits):
    what, model = capture(defenses=[{"update_defense": "secure_aggregation"}])
    here, captured = federation(what, digits, model)
    assert captured.targets == [0]
    assert sorted(captured.rows(0).tolist()) == list(range(len(here.train)))


def test_attacks_find_more_than_noise_and_are_compared_in_the_best_order(capture, folder, tmp_path):
    what, model = capture(data={"clients": 20}, selected=20, batch=1)
    settings = attacks(
        ig={"inversion": "ig", "iterations": 150},
        idle={"inversion": "ig", "iterations": 1},
        oracle={"inversion": "ig_simulation", "order": "own"},
        later={"inversion": "agic", "options": {"weighting": "equal"}, "iterations": 150},
    )
    out = tmp_path / "attacked"
    evaluate.run(what, settings, [0], model, out, "cpu", folder)
    scores = read_parquet(out / "scores.parquet").set_index(["attack", "metric"])["value"]
    assert scores["ig", "psnr"] > scores["idle", "psnr"] + 3
    assert scores["ig", "psnr"] == scores["later", "psnr"]  # one round, equal weights: the same attack
    assert scores["ig", "label_accuracy"] == 1
    assert 0 <= scores["clean", "accuracy"] <= 1
    images = read_parquet(out / "reconstructions.parquet")
    assert len(images) == 4 * 2  # attacks x targets, of one image each
    assert (images["label"] == images["found"]).all()
    pictures = read_parquet(out / "pictures.parquet")
    assert set(pictures["attack"]) == {"original", "ig", "idle", "oracle", "later"}
    costs = read_sidecar(out / "scores.parquet")["cost"]["per_seed"]
    assert costs["iteration_seconds@ig"]["0"] > 0


def test_lpips_is_asked_for_and_its_absence_is_noticed_before_any_attack(
    capture, folder, tmp_path, monkeypatch
):
    what, model = capture()
    asked = {**attacks(ig={"inversion": "ig", "iterations": 2}), "lpips": True}
    with pytest.raises(GauntletError, match="at least 31 pixels, not 8"):
        evaluate.run(what, asked, [0], model, tmp_path / "small", "cpu", folder)
    monkeypatch.setattr(lpips, "require", lambda side: None)
    monkeypatch.setattr(lpips, "lpips", lambda one, other: (one - other).abs().flatten(1).amax(1))
    evaluate.run(what, asked, [0], model, tmp_path / "out", "cpu", folder)
    scores = read_parquet(tmp_path / "out" / "scores.parquet").set_index(["attack", "metric"])["value"]
    assert 0 < scores["ig", "lpips"] <= 1


def test_the_same_seed_gives_the_same_bytes(capture, folder, tmp_path):
    what, model = capture()
    once = model.read_bytes()
    settings = attacks(agic={"inversion": "agic", "iterations": 5})
    for name in ("one", "other"):
        evaluate.run(what, settings, [0], model, tmp_path / name, "cpu", folder)
    assert capture()[1].read_bytes() == once
    for table in ("scores", "reconstructions", "pictures"):
        one, other = (tmp_path / name / f"{table}.parquet" for name in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"momentum": 0.9}, "plain SGD"),
        ({"observe": [2]}, "1 to 1"),
        ({"observe": [1, 1], "rounds": 2}, "ascending"),
        ({"learn": False}, "learn"),
    ],
)
def test_a_recipe_that_cannot_be_attacked_is_refused(recipe, words):
    with pytest.raises(GauntletError, match=words):
        identity(**recipe)


def test_clients_may_sit_out_where_one_round_is_observed(capture, digits, folder, tmp_path):
    what, model = capture(selected=3)
    here, captured = federation(what, digits, model)
    assert len(captured.targets) == 3
    for target in captured.targets:
        assert sorted(captured.rows(target).tolist()) == sorted(here.rows[target].tolist())
    with pytest.raises(GauntletError, match=r"train\.selected"):
        train.run(identity(selected=3, rounds=2, observe=[1, 2]), [0], tmp_path / "x", None, "cpu", folder)


def test_an_update_of_another_network_is_refused(capture, folder, tmp_path):
    what, model = capture()
    with pytest.raises(GauntletError, match=r"unlike the network|has shape"):
        evaluate.run(
            {**what, "architecture": "cnn2_bn"},
            attacks(ig={"inversion": "ig"}),
            [0],
            model,
            tmp_path / "x",
            "cpu",
            folder,
        )
