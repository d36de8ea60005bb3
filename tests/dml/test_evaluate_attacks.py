"""Attacks by label: each with its objective, search, norm and budget, through an evaluation job."""

import numpy as np
import pytest
import torch
from toy import dataset, identity

from gauntlet import data
from gauntlet.attacks.norms import ball
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_parquet, sha256_file
from gauntlet.core.provenance import read_sidecar
from gauntlet.core.registry import module_path
from gauntlet.families.dml import checkpoints, checks, evaluate, robrank, sweeps, train
from gauntlet.families.dml.settings import Data, Evaluate, evaluate_methods
from gauntlet.families.dml.split import class_split
from gauntlet.families.dml.target import Target
from gauntlet.metrics.robustness import robustness_score

COMMON = {
    "eps": 0.1,
    "step": 0.05,
    "steps": 3,
    "sweep_attack": "shift",
    "sanity_images": 20,
    "sanity_steps": 6,
}
#: Everything that an attack may have of its own.
MIXED = {
    "shift": {},
    "joint_pair": {},
    "queries": {"objective": "margin", "search": "square", "steps": 40, "options": {"area": 0.3}},
    "l2": {"objective": "nearest_positive", "norm": "l2", "eps": 0.8, "steps": 5},
    "small": {"objective": "margin", "eps": 0.02, "restarts": 2},
    "ascent": {"objective": "margin", "search": "adam", "step": 0.02},
    "top": {"objective": "qa_plus"},
    "first": {"objective": "gtt"},
}
ROBRANK = ["ca_plus", "ca_minus", "qa_plus", "qa_minus", "tma", "shift", "triplet", "gtm", "gtt"]


@pytest.fixture(scope="module", autouse=True)
def toy_data():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda name, folder=None: dataset())
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    root = tmp_path_factory.mktemp("model")
    train.run(identity(members=2, epochs=2), [0], root, None, "cpu")
    return root / "model.safetensors"


def run(model, out, attacks, **changes):
    settings = {**COMMON, "attacks": attacks, **changes}
    evaluate.run(identity(members=2, epochs=2), settings, [0], model, out, device="cpu")
    return {name: read_parquet(out / f"{name}.parquet") for name in evaluate.TABLES["attack"]}


@pytest.fixture(scope="module")
def mixed(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("mixed") / "attack"
    sweeps = {"sweep_attack": "l2", "eps_sweep": [0.4, 0.8], "steps_sweep": [1, 5], "fractions": [0.5, 1.0]}
    return out, run(model, out, MIXED, **sweeps)


def target(model, attacks, **changes):
    split = class_split(dataset(), Data(**identity()["data"]), 0)
    net = checkpoints.load(model, 0, "conv", 1, 8)
    settings = Evaluate(**{**COMMON, "attacks": attacks, **changes})
    return Target(net, split.test, torch.from_numpy(split.test_labels), settings, 0)


def main(tables, attack, view="ensemble"):
    scores = tables["scores"]
    rows = scores[(scores["suite"] == "main") & (scores["attack"] == attack) & (scores["view"] == view)]
    return rows.set_index("metric")


def test_a_list_and_the_equal_mapping_give_the_same_bytes(model, tmp_path):
    names = ["shift", "joint_pair", "margin"]
    forms = {"list": names, "mapping": {name: {} for name in names}}
    for form, attacks in forms.items():
        run(model, tmp_path / form, attacks, restarts=2, eps_sweep=[0.05])
    for table in evaluate.TABLES["attack"]:
        files = [tmp_path / form / f"{table}.parquet" for form in forms]
        assert len({sha256_file(file) for file in files}) == 1
    written = [Evaluate(**COMMON, attacks=attacks).model_dump(mode="json") for attacks in forms.values()]
    explicit = Evaluate(**COMMON, attacks={name: {"objective": name} for name in names})
    assert written[0] == written[1] == explicit.model_dump(mode="json")
    assert written[0]["attacks"] == names


def test_a_mapping_is_written_as_it_was_meant():
    once = Evaluate(**COMMON, attacks=MIXED).model_dump(mode="json")
    assert list(once["attacks"]) == list(MIXED)
    assert Evaluate(**once).model_dump(mode="json") == once


def test_every_attack_is_measured_at_its_own_budget(mixed):
    _, tables = mixed
    expected = {
        "shift": (0.1, 3),
        "queries": (0.1, 40),
        "l2": (0.8, 5),
        "small": (0.02, 3),
        "ascent": (0.1, 3),
        "worst": (0.1, 3),
    }
    for attack, (eps, steps) in expected.items():
        rows = main(tables, attack)
        assert {"recall@1", "nmi"} <= set(rows.index)
        assert set(zip(rows["eps"], rows["steps"], strict=True)) == {(eps, steps)}
    assert set(tables["examples"]["attack"]) == {"clean", *MIXED}


def test_worst_is_over_the_attacks_of_the_headlines_budget(mixed):
    _, tables = mixed
    found = tables["examples"].pivot_table(index="index", columns="attack", values="hit", aggfunc="first")
    compared = ["shift", "joint_pair", "queries", "ascent", "top", "first"]
    assert Evaluate(**COMMON, attacks=MIXED).headline() == compared
    assert main(tables, "worst").loc["recall@1", "value"] == pytest.approx(found[compared].all(axis=1).mean())


def test_a_trial_without_the_headlines_budget_has_no_worst(model, tmp_path):
    attacks = {"l2": {"objective": "shift", "norm": "l2", "eps": 0.5}}
    tables = run(model, tmp_path, attacks, sweep_attack="l2")
    assert len(main(tables, "worst")) == 0
    assert len(main(tables, "l2")) > 0


def test_attacks_with_a_goal_have_their_measure_before_and_after(mixed, model):
    _, tables = mixed
    scores = tables["scores"]
    before = scores[scores["suite"] == "before"].set_index(["attack", "metric"])["value"]
    assert set(before.index) == {("top", "rank"), ("first", "retained@1"), ("first", "retained@4")}
    assert before["first", "retained@1"] == 1
    after = main(tables, "top").loc["rank", "value"]
    assert after < before["top", "rank"]
    it = target(model, MIXED)
    method, rows = it.method("top"), torch.arange(len(it.clean))
    moved = it.embed(it.attack("top"))
    assert after == pytest.approx(float(method.measures(moved, rows)["rank"].mean()))


def test_the_targets_of_an_attack_are_the_same_at_every_budget(model):
    one, two = target(model, MIXED), target(model, MIXED, eps=0.2)
    assert torch.equal(one.method("top").others, two.method("top").others)
    assert one.method("top") is one.method("top")


def test_measures_go_in_batches(model, monkeypatch):
    it = target(model, MIXED)
    moved = it.embed(it.attack("top"))
    whole = it.measures("top", moved)
    monkeypatch.setattr("gauntlet.families.dml.target.BATCH", 7)
    assert it.measures("top", moved) == pytest.approx(whole)


def test_the_sanity_suite_knows_what_each_attack_is_for(mixed):
    _, tables = mixed
    sanity = tables["sanity"]
    metrics = sanity[sanity["check"] != "gradient"].groupby("attack")["metric"].agg(set).to_dict()
    assert metrics == {
        **{label: {"recall@1"} for label in ["shift", "queries", "l2", "small", "ascent"]},
        "joint_pair": {"nmi", "f1"},
        "top": {"rank"},
        "first": {"retained@4"},
    }
    gradients = set(sanity.loc[sanity["check"] == "gradient", "attack"])
    assert gradients == set(MIXED) - {"queries"}
    assert sanity.loc[sanity["check"] == "gradient", "passed"].all()
    top = sanity[(sanity["attack"] == "top") & (sanity["check"] != "gradient")]
    assert top["value"].between(0, 1).all()


def test_the_suite_counts_budgets_in_the_attacks_own_norm(model, monkeypatch):
    """Twice the budget, the whole pixel range, and as many more steps in relation."""
    it = target(model, MIXED)
    seen = []

    def attack(self, label, *, eps=None, steps=None, rows=None, really=Target.attack):
        seen.append((round(eps, 6), steps))
        return really(self, label, eps=eps, steps=1, rows=rows)

    noise = []
    l2 = ball("l2")
    monkeypatch.setattr(Target, "attack", attack)
    really = l2.start
    monkeypatch.setattr(l2, "start", lambda x, radius, g: noise.append(radius) or really(x, radius, g))
    headline = it.clean
    checks.run(it, "l2", headline, None)
    whole = 8.0  # 8x8 pixels, one channel
    assert seen == [(0.8, 10), (1.6, 5), (whole, 10), (0.8, 5)]  # the headline's own is not attacked again
    assert noise == pytest.approx([0.8, 0.8])  # random noise, and where the gradient is checked
    seen.clear()
    checks.run(it, "small", headline, None)
    assert seen == [(0.02, 6), (0.04, 3), (1.0, 6), (0.02, 3)]


def test_sweeps_have_the_sweep_attacks_own_budget(mixed):
    _, tables = mixed
    scores = tables["scores"]
    headline = main(tables, "l2")["value"]
    for suite, column, points in (("eps", "eps", {0.4, 0.8}), ("steps", "steps", {1, 5})):
        rows = scores[scores["suite"] == suite]
        assert set(rows["attack"]) == {"l2"}
        assert set(rows[column]) == points
        at = rows[rows[column] == max(points)].set_index("metric")["value"]
        assert (at == headline[at.index]).all()
    assert set(scores.loc[scores["suite"] == "fraction", "eps"]) == {0.8}
    assert set(scores.loc[scores["suite"] == "transfer", "attack"]) == {"shift"}


def test_gradients_of_members_start_in_the_attacks_own_ball(model):
    it = target(model, {"l2": MIXED["l2"]}, sweep_attack="l2")
    members = [Target(net, it.images, it.labels, it.settings, 0) for net in it.net.members]
    assert sweeps.transfer_attack(it) == "l2"
    assert sweeps.gradient_cosine("l2", [members[0], members[0]]) == pytest.approx(1, abs=1e-4)


def test_the_robrank_score_comes_from_its_ten_measures(model, tmp_path):
    tables = run(model, tmp_path / "all", {**{name: {} for name in ROBRANK}, "again": {"objective": "tma"}})
    score = tables["scores"][tables["scores"]["suite"] == "robrank"].set_index("metric")["value"]
    assert set(score.index) == {"ers", "shift"}
    rows = tables["scores"].query("suite == 'main' and view == 'ensemble'")
    value = rows.set_index(["attack", "metric"])["value"]
    components = {
        "ca_plus": 100 * value["ca_plus", "rank"],
        "ca_minus": 100 * value["ca_minus", "rank"],
        "qa_plus": 100 * value["qa_plus", "rank"],
        "qa_minus": 100 * value["qa_minus", "rank"],
        "tma": value["tma", "cosine"],
        "es_d": score["shift"],
        "es_r": 100 * value["shift", "recall@1"],
        "ltm": 100 * value["triplet", "recall@1"],
        "gtm": 100 * value["gtm", "recall@1"],
        "gtt": 100 * value["gtt", "retained@4"],
    }
    assert score["ers"] == pytest.approx(robustness_score(components) / 100)
    it = target(model, ROBRANK)
    moved = it.embed(it.attack("shift"))
    apart = [float(torch.dist(a, b)) for a, b in zip(moved, it.clean, strict=True)]
    assert score["shift"] == pytest.approx(np.mean(apart), abs=1e-5)
    few = Evaluate(**COMMON, attacks=ROBRANK[1:])
    assert robrank.score(few, {name: {} for name in ROBRANK[1:]}) == {}


def test_sidecars_say_what_each_attack_spent(mixed):
    out, _ = mixed
    passes = read_sidecar(out / "scores.parquet")["cost"]["passes_per_image"]
    assert passes == {
        "shift": 6,
        "joint_pair": 6,
        "queries": 40,
        "l2": 10,
        "small": 14,
        "ascent": 7,
        "top": 6,
        "first": 6,
    }


def test_the_digest_covers_objectives_and_searches(tmp_path):
    cell = {"architecture": "conv", "dataset": "digits"}
    methods = evaluate_methods(cell, Evaluate(**COMMON, attacks=MIXED).model_dump(mode="json"))
    objectives = {"shift", "joint_pair", "margin", "nearest_positive", "qa_plus", "gtt"}
    assert set(methods) == {
        ("form", "arrays"),
        ("model", "conv"),
        *(("attack", name) for name in objectives),
        *(("search", name) for name in ("pgd", "square", "adam")),
    }
    assert methods == evaluate_methods(cell, {**COMMON, "attacks": MIXED})
    plain = evaluate_methods(cell, {**COMMON, "attacks": ["shift"]})
    assert set(plain) == {("form", "arrays"), ("model", "conv"), ("attack", "shift"), ("search", "pgd")}
    assert len(code_digest(evaluate.__name__, methods=methods)) == 16
    assert module_path("search", "pgd").is_file()


@pytest.mark.parametrize(
    ("attacks", "message"),
    [
        ({"shift": {"norm": "l2"}}, "attacks.shift.*needs its own eps"),
        ({"shift": {"eps": 1.5}}, "attacks.shift.*whole pixel range"),
        ({"shift": {"serach": "pgd"}}, "did you mean 'search'"),
        ({"shift": {"norm": "l1"}}, "attacks.shift.norm"),
        ({"worst": {}, "shift": {}}, "cannot be called"),
        (["shift", "shift"], "twice"),
        ({"margin": {}}, "sweep_attack 'shift' is not among attacks"),
        (["shift", 3], "names of attacks"),
    ],
)
def test_bad_attacks_are_named(attacks, message):
    with pytest.raises(GauntletError, match=message):
        parse(Evaluate, {**COMMON, "attacks": attacks}, file="mini.yaml", key="evaluate")


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ({"objective": "shfit"}, "unknown attack 'shfit'"),
        ({"search": "pdg"}, "unknown search 'pdg'"),
        ({"search": "square", "norm": "l2", "eps": 1.0}, "does not keep to the norm"),
        ({"search": "square", "options": {"hue": 1}}, "hue"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(
    model, tmp_path, monkeypatch, attack, message
):
    monkeypatch.setattr(evaluate, "attack_block", lambda *a, **k: pytest.fail("measured"))
    with pytest.raises(GauntletError, match=message):
        run(model, tmp_path, {"shift": attack})
