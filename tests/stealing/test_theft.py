"""Thefts: what they learn, what they ask, and what becomes of a budget that ends or a run that is killed."""

import base64
import copy
import io

import numpy as np
import pandas as pd
import pytest
import torch
import toy_stealing
from PIL import Image
from toy_stealing import SMALL, identity

import moments
from gauntlet import data
from gauntlet.blackbox.oracle import Oracle
from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import read_sidecar
from gauntlet.core.registry import names
from gauntlet.data.subset import first, on_device
from gauntlet.families.classifier.network import load, logits
from gauntlet.families.stealing import evaluate, train


@pytest.fixture(autouse=True)
def prepared_digits(monkeypatch, folder):
    """Knockoff's natural images are read by their name: here the digits' training images."""
    load_set = data.load
    monkeypatch.setattr(data, "load", lambda name, path=None: load_set(name, path or folder))


PAYLOADS = ("model.safetensors", "progress.parquet", "answers.parquet")


def steal(out, folder, target, *arguments, seeds=(0,), state=None, **changes):
    train.run(identity(*arguments, **changes), list(seeds), out, state, "cpu", folder, target=target)
    return {name: (out / name).read_bytes() for name in PAYLOADS}


def test_every_method_is_tested():
    assert set(SMALL) == set(names("stealing"))


@pytest.mark.parametrize("method", SMALL)
def test_every_query_is_counted_and_the_budget_is_kept(tmp_path, folder, target, method, capsys):
    steal(tmp_path, folder, target, method)
    progress, answers = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("progress", "answers"))
    asked = progress["queries"].iloc[-1]
    assert (1400 if method == "knockoff" else 2800) < asked <= 3000
    assert answers["count"].sum() == asked
    assert answers.groupby("queries")["count"].sum().cumsum().tolist() == progress["queries"].tolist()
    assert progress["queries"].is_monotonic_increasing
    assert ("finished" if method == "knockoff" else "budget used up") in capsys.readouterr().err
    assert read_sidecar(tmp_path / "progress.parquet")["cost"]["per_seed"]["queries"] == {"0": asked}


def test_queries_of_the_pool_are_draws_and_what_fills_it_then_all_of_it_in_every_round(
    digits, target, monkeypatch
):
    """The card's init + n * R: draws of 1000, what they lack, nothing for the warm-up, n per round."""
    answer, asked = Oracle.__call__, []

    def listening(oracle, images):
        asked.append(answer(oracle, images))
        return asked[-1]

    monkeypatch.setattr(Oracle, "__call__", listening)
    found = theft(digits, target, "mega", "label")
    method = found.method
    method.step()
    drawn = torch.cat(asked[:2])
    kept = int(drawn.bincount(minlength=10).clamp(max=100 // 10).sum())
    assert 0 < kept < 100
    assert [len(labels) for labels in asked] == [1000, 1000, 100 - kept]
    assert torch.equal(answer(found.oracle, method.images), method.labels)
    for _ in range(2):  # the warm-up
        method.step()
    assert len(asked) == 3
    for _ in range(2 * (3 + 1)):
        method.step()
    assert [len(labels) for labels in asked[3:]] == [100, 100]
    assert method.formula() == sum(map(len, asked))


def test_a_small_budget_is_not_spent_on_the_pool_alone(tmp_path, folder, target):
    steal(tmp_path, folder, target, "mega", options={"draws": 20, "pool": 300}, budget=2500)
    progress = pd.read_parquet(tmp_path / "progress.parquet")
    assert 2000 <= progress["queries"].iloc[0] <= 2300
    assert progress["substitute_loss"].notna().all()


def test_some_of_the_last_queries_are_kept_as_images(digits, target):
    for method in SMALL:
        found = theft(digits, target, method, None)
        for _ in range(2):
            found.method.step()
        found.keep_samples()
        samples = pd.DataFrame(found.rows["samples"])
        assert samples["index"].tolist() == list(range(20))
        assert samples["label"].between(0, 9).all()
        image = Image.open(io.BytesIO(base64.b64decode(samples["png"].iloc[0])))
        assert image.size == (8, 8)


def test_the_last_progress_is_the_substitutes_score(tmp_path, folder, digits, target):
    steal(tmp_path, folder, target, "mega", seeds=(0, 1))
    progress = pd.read_parquet(tmp_path / "progress.parquet")
    for seed in (0, 1):
        last = progress[progress.seed == seed].iloc[-1]
        rows = first(digits.test, 20, seed, "test")
        images = on_device(digits.test, rows, digits.peak, "cpu")
        net, _ = load(tmp_path / "model.safetensors", seed, "net3conv", 1, 8, 10)
        victim, _ = load(target, seed, "cnn2_bn", 1, 8, 10)
        found, theirs = (logits(one, images.pixels).argmax(1) for one in (net, victim))
        assert last["accuracy"] == pytest.approx((found == images.labels).double().mean().item())
        assert last["agreement"] == pytest.approx((found == theirs).double().mean().item())


def test_noise_teaches_a_substitute_of_small_images(tmp_path, folder, target):
    """8x8 digits are so small that uniform noise is a strong query set: the harness can steal."""
    steal(tmp_path, folder, target, "noise", options={"epochs": 10, "pool": 1500}, budget=9000)
    assert pd.read_parquet(tmp_path / "progress.parquet")["accuracy"].iloc[-1] > 0.3


def test_the_same_inputs_give_the_same_bytes_and_another_seed_does_not(tmp_path, folder, target):
    one = steal(tmp_path / "a", folder, target, "mega")
    assert steal(tmp_path / "b", folder, target, "mega") == one
    assert (
        steal(tmp_path / "c", folder, target, "mega", seeds=(1,))["model.safetensors"]
        != one["model.safetensors"]
    )


def test_a_killed_theft_goes_on_to_the_same_bytes(tmp_path, folder, target):
    whole = steal(tmp_path / "whole", folder, target, "mega", seeds=(0, 1))
    killed, state = tmp_path / "killed", tmp_path / "state"
    command = moments.python(toy_stealing.__file__, folder, target, killed, state, "mega", 0, 1)
    for seed in (0, 1):
        moments.kill_at(rf"measured {seed} 25\d\d", command)  # 2500 and what filled the pool
        assert not (killed / "model.safetensors").exists()
    out, err = moments.finish(command)
    assert err.count("resuming from") == 2
    assert "imported torch._dynamo" not in out
    for name in PAYLOADS:
        assert (killed / name).read_bytes() == whole[name], name


def test_protections_reach_the_answers(tmp_path, folder, target):
    plain = steal(tmp_path / "a", folder, target, "noise", access="probabilities")
    prada = [{"oracle_defense": "prada", "options": {"delta": 0.9}}]
    assert steal(tmp_path / "b", folder, target, "noise", access="probabilities", protections=prada) == plain


def test_mode_collapse_is_reported(tmp_path, folder, target, capsys):
    """A generator that makes one black image gets one answer."""
    steal(
        tmp_path, folder, target, "static_generator", options={"balanced": False}, activation="relu", latent=1
    )
    err = capsys.readouterr().err
    answers = pd.read_parquet(tmp_path / "answers.parquet")
    shares = answers.groupby("queries")["count"].agg(lambda counts: counts.max() / counts.sum())
    collapsed = int((shares >= 0.9).sum())
    assert err.count("MODE COLLAPSE") == collapsed
    assert read_sidecar(tmp_path / "answers.parquet")["cost"]["per_seed"]["collapsed"] == {"0": collapsed}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"budget": 50}, "budget of 50 queries is not enough for the first step of 'mega'"),
        ({"generator": "deconv"}, "images of 28 pixels; the target takes 8"),
        ({"generator": "deconf"}, "did you mean 'deconv'"),
        ({"options": {"poool": 3}}, "unexpected keyword"),
        ({"options": {"lr_g": 1e30}}, "the generator diverged|substitute diverged"),
        ({"protections": [{"oracle_defense": "top_k", "options": {"kk": 1}}]}, "'top_k'.*unexpected keyword"),
    ],
)
def test_faults_are_named(tmp_path, folder, target, changes, problem):
    with pytest.raises(GauntletError, match=problem):
        steal(tmp_path, folder, target, "mega", **changes)
    assert not (tmp_path / "model.safetensors").exists()


def test_an_absent_target_is_named(tmp_path, folder):
    with pytest.raises(GauntletError, match="train the target first"):
        steal(tmp_path, folder, tmp_path / "nothing", "mega")


FGSM = {"classifier_attack": "fgsm", "options": {"eps": 0.3}}
ATTACKS = {"fgsm": FGSM, "fgsm_targeted": {**FGSM, "targeted": True}}


def test_transfer_counts_what_the_target_gets_right(tmp_path, folder, digits, target):
    what = identity("noise", options={"epochs": 10}, budget=4000)
    train.run(what, [0], tmp_path, None, "cpu", folder, target=target)
    settings = {"attacks": ATTACKS, "goal": 3}
    model, out = tmp_path / "model.safetensors", tmp_path / "attack"
    evaluate.run(what, settings, [0], model, out, "cpu", folder, target=target)
    predictions = pd.read_parquet(out / "predictions.parquet").set_index(["attack", "index"])
    scores = pd.read_parquet(out / "scores.parquet").set_index(["attack", "metric"])["value"]
    clean, theirs = predictions.loc["clean"], predictions.loc["target"]
    assert scores["clean", "accuracy"] == pytest.approx((clean.predicted == clean.label).mean())
    assert scores["clean", "target_accuracy"] == pytest.approx((theirs.predicted == theirs.label).mean())
    assert scores["clean", "agreement"] == pytest.approx((clean.predicted == theirs.predicted).mean())
    free = predictions.loc["fgsm"]
    assert sorted(free.index) == sorted(theirs.index[theirs.predicted == theirs.label])
    assert scores["fgsm", "success"] == pytest.approx((free.predicted != free.label).mean())
    aimed = predictions.loc["fgsm_targeted"]
    assert sorted(aimed.index) == sorted(theirs.index[theirs.predicted != 3])
    assert scores["fgsm_targeted", "success"] == pytest.approx((aimed.predicted == 3).mean())
    assert free["distance"].max() <= 0.3 * 8 + 1e-5
    assert np.isfinite(predictions["confidence"]).all()


def test_attacks_on_the_target_itself_are_the_upper_bound(tmp_path, folder, digits, target):
    """A perfect substitute, the target itself: transfer is white-box."""
    what = identity("mega")
    perfect = {**what, "architecture": "cnn2_bn"}
    settings = {
        "attacks": {"pgd": {"classifier_attack": "pgd", "options": {"eps": 0.3, "step": 0.1, "steps": 8}}}
    }
    evaluate.run(perfect, settings, [0], target, tmp_path, "cpu", folder, target=target)
    scores = pd.read_parquet(tmp_path / "scores.parquet").set_index(["attack", "metric"])["value"]
    assert scores["clean", "agreement"] == 1
    assert scores["clean", "relative_accuracy"] == 1
    assert scores["pgd", "success"] > 0.8


def test_no_gradient_reaches_the_target(tmp_path, folder, digits, target):
    what = parse(train.Identity, identity("mega"), file="x")
    theft = train.Theft(what, 0, digits, target, torch.device("cpu"))
    images = torch.rand(3, 1, 8, 8, requires_grad=True)
    assert not theft.oracle(images).requires_grad
    held = [value for value in vars(theft.method).values() if isinstance(value, torch.nn.Module)]
    shapes = {tuple(p.shape) for p in load(target, 0, "cnn2_bn", 1, 8, 10)[0].parameters()}
    mine = {tuple(p.shape) for net in held for p in net.parameters()}
    assert not any(len(shape) == 4 for shape in shapes & mine)


#: Queries of one step.
STEPS = {
    ("dast", "label"): 50,
    ("dfme", "logits"): 20 * (1 * 2 + 5),
    ("maze", "probabilities"): 10 * (1 * 4 + 4),
    ("tandem_gan", "label"): 20 * (1 + 5),
    ("tandem_gan", "logits"): 20 * (2 + 2 + 5),
    ("noise", "label"): 200,
    ("knockoff", "probabilities"): 200,
}


def theft(digits, target, method, access, **changes):
    what = parse(train.Identity, identity(method, access, **changes), file="x")
    return train.Theft(what, 0, digits, target, torch.device("cpu"))


@pytest.mark.parametrize(("method", "access"), STEPS)
def test_a_step_asks_what_its_paper_counts(digits, target, method, access):
    found = theft(digits, target, method, access)
    for number in (1, 2):
        found.method.step()
        assert found.oracle.queries == number * STEPS[method, access]


@pytest.mark.parametrize(
    ("method", "access"), [("dfme", "label"), ("maze", "logits"), ("tandem_gan", "probabilities")]
)
def test_answers_that_do_not_hold_what_a_method_needs_are_named(digits, target, method, access):
    with pytest.raises(GauntletError, match=rf"the method needs answers with .*, not {access}"):
        theft(digits, target, method, access)
    with pytest.raises(GauntletError, match="needs answers with probabilities, not label"):
        theft(digits, target, "dast", "label", options={"beta": 0.1})


@pytest.mark.parametrize(
    ("method", "access", "options"),
    [
        ("mega", "label", {}),
        ("competing_generator", "label", {}),
        ("dast", "probabilities", {"beta": 0.1}),
        ("dfme", "logits", {"lr_s": 0.01}),
        ("maze", "probabilities", {"lr_s": 0.01}),
        ("tandem_gan", "label", {"lr_inner": 1e-3, "lr_outer": 1e-3}),
        ("tandem_gan", "logits", {"lr_inner": 1e-3, "lr_outer": 1e-3}),
        ("knockoff", "label", {}),
    ],
)
def test_a_resumed_method_takes_the_same_steps(digits, target, method, access, options):
    """Three steps, its state, two steps: as five at once, for networks and queries alike."""
    whole, first_half, second_half = (
        theft(digits, target, method, access, options=options) for _ in range(3)
    )
    for _ in range(5):
        whole.method.step()
    for _ in range(3):
        first_half.method.step()
    second_half.restore(copy.deepcopy(first_half.state()))
    for _ in range(2):
        second_half.method.step()
    assert second_half.oracle.state()["queries"] == whole.oracle.queries
    nets = [("substitute", whole.substitute, second_half.substitute)]
    if hasattr(whole.method, "g"):
        nets.append(("generator", whole.method.g, second_half.method.g))
    for name, a, b in nets:
        for key, value in a.state_dict().items():
            assert torch.equal(value, b.state_dict()[key]), (name, key)


@pytest.mark.parametrize("access", ["label", "logits"])
def test_tandem_gan_explores_with_the_inner_and_exploits_with_the_outer_part(digits, target, access):
    found = theft(digits, target, "tandem_gan", access).method
    before = copy.deepcopy(found.g.state_dict())

    def moved():
        parameters = dict(found.g.named_parameters())
        return {
            name.split(".")[0] for name, value in parameters.items() if not torch.equal(value, before[name])
        }

    found._explore(1.0)
    assert moved() == {"inner"}
    before = copy.deepcopy(found.g.state_dict())
    found._exploit(1.0)
    assert moved() == {"outer"}


@pytest.mark.parametrize("method", ["mega", "competing_generator", "static_generator"])
def test_generators_move_as_their_method_says(digits, target, method):
    """On fixed labels MEGA's makes the substitute surer, the competing one's wronger, and a static one
    stays."""
    found = theft(
        digits, target, method, "label", options={"lr_g": 3e-3, "warm_epochs": 20, "lr_warm": 3e-3}
    ).method
    for _ in range(24):  # the pool, the warm-up, the substitute's epochs of the first round
        found.step()
    found._label()
    before = copy.deepcopy(found.g.state_dict())

    def measured():
        with torch.no_grad():
            log_p = found.s(found.g(found.z)).log_softmax(1)
        wrong = torch.nn.functional.nll_loss(log_p, found.labels)
        return float(log_p.amax(1).mean()), float(wrong)

    confidence, error = measured()
    if method == "static_generator":
        found.step()
        assert all(torch.equal(value, before[key]) for key, value in found.g.named_parameters())
        return
    for _ in range(5):
        found._follow()
    after = measured()
    assert after[0] > confidence if method == "mega" else after[1] > error
