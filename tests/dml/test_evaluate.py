"""An evaluation job from end to end, on a toy set and networks that were hardly trained."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy import dataset, identity

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_parquet, sha256_file
from gauntlet.core.provenance import read_sidecar
from gauntlet.core.registry import resolve
from gauntlet.core.seeds import torch_generator
from gauntlet.core.tables.attacks import COLUMNS
from gauntlet.families.dml import checkpoints, evaluate, sweeps, train
from gauntlet.families.dml.settings import Data, Evaluate
from gauntlet.families.dml.split import class_split
from gauntlet.families.dml.target import Target
from gauntlet.families.dml.trial import Trial
from gauntlet.metrics import clustering, retrieval

SEEDS = [0, 3]
EVALUATE = {
    "attacks": ["shift", "joint_pair", "centre"],
    "eps": 0.1,
    "step": 0.05,
    "steps": 3,
    "sweep_attack": "joint_pair",
    "eps_sweep": [0.05, 0.1],
    "steps_sweep": [1, 3],
    "fractions": [0.25, 1.0],
    "sanity_images": 20,
    "sanity_steps": 6,
    "projection_seeds": [3],
}
SETTINGS = Evaluate(**EVALUATE)
METRICS = [
    "recall@1",
    "recall@2",
    "recall@4",
    "recall@8",
    "r-precision",
    "map@r",
    "nmi",
    "ami",
    "f1",
    "class_distance",
]


@pytest.fixture(scope="module", autouse=True)
def toy_data():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda name, folder=None: dataset())
        yield


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Weights of a single network and of an ensemble of two, by the training step."""
    root = tmp_path_factory.mktemp("models")
    for members in (1, 2):
        train.run(identity(members=members, epochs=2), SEEDS, root / str(members), None, "cpu")
    return root


def run(models, members, out, **changes):
    what = identity(members=members, epochs=2)
    arguments = {"seeds": SEEDS, "model": models / str(members) / "model.safetensors", "out": out, **changes}
    evaluate.run(what, arguments.pop("evaluate", EVALUATE), device="cpu", **arguments)
    return {name: read_parquet(out / f"{name}.parquet") for name in evaluate.TABLES["attack"]}


@pytest.fixture(scope="module", params=[1, 2])
def outcome(request, models, tmp_path_factory):
    out = tmp_path_factory.mktemp("attack") / "attack-0"
    return request.param, out, run(models, request.param, out)


@pytest.fixture(scope="module")
def ensemble(models):
    """The ensemble of the first seed and its test images, as the job sees them."""
    split = class_split(dataset(), Data(**identity()["data"]), 0)
    net = checkpoints.load(models / "2" / "model.safetensors", 0, "conv", 1, 8)
    return Target(net, split.test, torch.from_numpy(split.test_labels), SETTINGS, 0), split


def values(scores, **where):
    for column, value in where.items():
        scores = scores[scores[column] == value]
    return scores.set_index("metric")["value"]


def test_tables_have_their_columns_and_types(outcome):
    _, _, tables = outcome
    for name in evaluate.TABLES["attack"]:
        columns = COLUMNS[name]
        assert list(tables[name].columns) == list(columns)
        for column, kind in columns.items():
            found = tables[name][column]
            assert found.map(type).eq(str).all() if kind == "str" else found.dtype == kind, (name, column)
    assert np.isfinite(tables["scores"]["value"]).all()


def test_every_measurement_is_there_once(outcome):
    members, _, tables = outcome
    scores = tables["scores"]
    key = ["seed", "suite", "attack", "eps", "steps", "fraction", "view", "detail", "metric"]
    assert not scores.duplicated(key).any()
    views = ["ensemble"] if members == 1 else ["ensemble", "member"]
    for seed in SEEDS:
        for attack in ["clean", "worst", *EVALUATE["attacks"]]:
            for view in views:
                found = values(scores, seed=seed, suite="main", attack=attack, view=view)
                assert list(found.index) == METRICS
        mine = scores[scores["seed"] == seed]
        assert set(mine.loc[mine["suite"] == "eps", "eps"]) == {0.05, 0.1}
        assert set(mine.loc[mine["suite"] == "steps", "steps"]) == {1, 3}
        assert set(mine.loc[mine["suite"] == "fraction", "fraction"]) == {0.25, 1.0}
        assert set(mine.loc[mine["suite"] == "fraction", "metric"]) == {"nmi", "ami", "f1"}
        transfers = mine[mine["suite"] == "transfer"]
        expected = {"0->0", "0->1", "1->0", "1->1", ""} if members == 2 else set()
        assert set(transfers["detail"]) == expected
    assert set(scores["view"]) == set(views)
    clean = scores[scores["attack"] == "clean"]
    assert (clean[["eps", "steps", "fraction"]] == 0).all().all()


def test_worst_is_chosen_per_query_for_retrieval_and_per_metric_for_clustering(outcome):
    _, _, tables = outcome
    main = tables["scores"].query("suite == 'main' and attack != 'clean'")
    wide = main.pivot_table(index=["view", "metric", "seed"], columns="attack", values="value")
    lowest = wide[EVALUATE["attacks"]].min(axis=1)
    assert (wide["worst"] <= lowest + 1e-12).all()
    for metric in ("nmi", "ami", "f1"):
        found, least = (table.loc["ensemble", metric] for table in (wide["worst"], lowest))
        pd.testing.assert_series_equal(found, least, check_names=False)
    hits = tables["examples"].query("attack != 'clean'").groupby(["seed", "index"])["hit"].all()
    found = wide.loc["ensemble", "recall@1"]["worst"]
    pd.testing.assert_series_equal(found, hits.groupby("seed").mean(), check_names=False)


def test_sweeps_meet_the_headline(outcome):
    """The points at the headline's setting are its numbers, and need no second attack."""
    _, _, tables = outcome
    scores = tables["scores"]
    headline = values(scores, seed=0, suite="main", attack="joint_pair", view="ensemble")
    for suite, point in (("eps", {"eps": 0.1}), ("steps", {"steps": 3}), ("fraction", {"fraction": 1.0})):
        found = values(scores, seed=0, suite=suite, **point)
        assert (found == headline[found.index]).all(), suite


def test_scores_follow_from_the_examples(outcome):
    """Recall@1 and the clustering scores, recomputed from the outcome of every image."""
    _, _, tables = outcome
    for (seed, attack), rows in tables["examples"].groupby(["seed", "attack"]):
        found = values(tables["scores"], seed=seed, suite="main", attack=attack, view="ensemble")
        assert found["recall@1"] == pytest.approx(rows["hit"].mean())
        assert found["f1"] == pytest.approx(
            clustering.pairwise_f1(rows["label"].array, rows["cluster"].array)
        )
        split = class_split(dataset(), Data(**identity()["data"]), seed)
        assert rows["index"].tolist() == split.test_index.tolist()
        assert (dataset().test.labels[rows["index"]] == rows["label"]).all()


def test_clean_scores_and_the_shift_attack_from_scratch(ensemble, models, tmp_path):
    """Without Target and Trial: embed, attack, search."""
    target, split = ensemble
    tables = run(models, 2, tmp_path / "attack", seeds=[0])
    net, x, labels = target.net, target.images.view(), split.test_labels
    clean = net(x)
    generator = torch_generator(0, "attack", "shift")
    noise = torch.rand(x.shape, generator=generator) * 0.2 - 0.1
    moved = (x + noise).clamp(0, 1)
    for _ in range(3):
        moved = moved.detach().requires_grad_(True)
        (net(moved) - clean).square().sum().backward()
        moved = (x + (moved + 0.05 * moved.grad.sign() - x).clamp(-0.1, 0.1)).clamp(0, 1)
    everyone = np.arange(len(labels))
    for attack, queries in (("clean", clean), ("shift", net(moved.detach()))):
        expected = retrieval.evaluate(queries, clean, labels, labels, exclude=everyone)
        found = values(tables["scores"], suite="main", attack=attack, view="ensemble")
        assert found["recall@1"] == pytest.approx(expected.recall[1])
        assert found["map@r"] == pytest.approx(expected.map_at_r, abs=1e-4)
    alone = [retrieval.evaluate(m(x), m(x), labels, labels, exclude=everyone).recall[1] for m in net.members]
    assert values(tables["scores"], suite="main", attack="clean", view="member")["recall@1"] == pytest.approx(
        np.mean(alone)
    )


def test_an_attack_of_any_budget_and_length_covers_the_same_multiple_of_its_budget():
    attack = SETTINGS.attack("shift")
    assert attack.step == 0.05  # the headline's own
    assert attack.step_at(0.1, 3) == pytest.approx(0.05)
    assert attack.step_at(0.2, 3) == pytest.approx(0.1)
    assert attack.step_at(0.1, 6) == pytest.approx(0.025)
    assert attack.step_at(0.1, 1) == pytest.approx(0.1)  # one step reaches the edge of the ball
    own = Evaluate(**{**EVALUATE, "attacks": {"joint_pair": {"eps": 0.2, "steps": 6}}}).attack("joint_pair")
    assert own.step == pytest.approx(0.05)
    assert own.step_at(0.2, 6) == own.step


def test_only_the_chosen_fraction_is_perturbed(ensemble, monkeypatch):
    target, _ = ensemble
    seen = []
    monkeypatch.setattr(target, "cluster", lambda e: seen.append(e) or np.zeros(len(e), int))
    points = list(sweeps.fractions(target, target.clean))
    assert [point["fraction"] for point in points] == [0.25, 1.0]
    moved = (seen[0] != target.clean).any(1)
    assert int(moved.sum()) == round(0.25 * len(target.clean))


def test_transfer_examples_of_a_member_are_its_own(ensemble):
    target, _ = ensemble
    members = [Target(net, target.images, target.labels, SETTINGS, 0) for net in target.net.members]
    points = {p["detail"]: p["scores"] for p in sweeps.transfer(target, members) if p.get("detail")}
    images = torch.cat([*members[0].attack("shift")])
    for j, victim in enumerate(members):
        hits = retrieval.evaluate(
            victim.net(images), victim.clean, target.classes, target.classes, exclude=np.arange(len(images))
        )
        assert points[f"0->{j}"]["recall@1"] == hits.recall[1]


def test_gradient_cosine_of_equal_and_of_different_members(ensemble):
    target, _ = ensemble
    first, second = (Target(net, target.images, target.labels, SETTINGS, 0) for net in target.net.members)
    assert sweeps.gradient_cosine("centre", [first, first]) == pytest.approx(1, abs=1e-5)
    assert -0.9 < sweeps.gradient_cosine("centre", [first, second]) < 0.9
    assert resolve("attack", "centre").joint is False


def test_gradient_cosine_embeds_in_batches(ensemble, monkeypatch):
    """All images of a large set at once would not fit a device."""
    target, _ = ensemble
    sizes = []

    def counted(net):
        return lambda images: sizes.append(len(images)) or net(images)

    members = [Target(net, target.images, target.labels, SETTINGS, 0) for net in target.net.members]
    whole = sweeps.gradient_cosine("shift", members)
    for member in members:
        member.net = counted(member.net)
    members[0].batch = 7
    assert sweeps.gradient_cosine("shift", members) == pytest.approx(whole, abs=1e-5)
    assert max(sizes) == 7
    assert sum(sizes) == 2 * len(target.images)


def test_projections_only_for_the_seeds_asked_for(outcome):
    _, _, tables = outcome
    found = tables["projections"]
    assert set(found["seed"]) == {3}
    examples = tables["examples"].query("seed == 3")
    assert found.groupby("attack").size().to_dict() == {
        attack: (examples["attack"] == attack).sum() for attack in ("clean", "joint_pair")
    }
    assert np.isfinite(found[["x", "y"]]).all().all()


def test_every_headline_attack_has_its_sanity_suite(outcome):
    _, _, tables = outcome
    sanity = tables["sanity"]
    for seed in SEEDS:
        for attack in EVALUATE["attacks"]:
            rows = sanity[(sanity["seed"] == seed) & (sanity["attack"] == attack)]
            expected = {"gradient", "more_steps", "bigger_eps", "unbounded", "transfer", "random_noise"}
            assert set(rows["check"]) == expected
    assert (sanity["passed"] == (sanity["value"] <= sanity["bound"])).all()


def test_transfer_examples_come_from_the_surrogate(models, tmp_path):
    """The undefended network of the same seed; the rest of the suite does not depend on it."""
    undefended = models / "1" / "model.safetensors"
    pixels = run(models, 2, tmp_path / "pixels")["sanity"]
    network = run(models, 2, tmp_path / "network", surrogate=undefended)["sanity"]
    other = pixels["check"] != "transfer"
    pd.testing.assert_frame_equal(pixels[other], network[other])
    assert not pixels[~other].equals(network[~other])
    with pytest.raises(GauntletError, match="no such file"):
        run(models, 2, tmp_path / "none", surrogate=tmp_path / "absent.safetensors")


def test_sidecars_say_what_was_spent(outcome):
    members, out, _ = outcome
    for name in evaluate.TABLES["attack"]:
        sidecar = read_sidecar(out / f"{name}.parquet")
        assert sidecar["cost"]["passes_per_image"] == dict.fromkeys(EVALUATE["attacks"], 3 * members)
        assert sidecar["config"]["evaluate"] == EVALUATE
        assert sidecar["sha256"] == sha256_file(out / f"{name}.parquet")


def test_the_same_bytes_again_also_when_killed_in_between(models, outcome, tmp_path, monkeypatch):
    members, out, _ = outcome
    measured = []

    def measure(trial, really=Trial.measure):
        if trial.seed == 3 and not measured.count("killed"):
            measured.append("killed")
            raise KeyboardInterrupt
        measured.append(trial.seed)
        return really(trial)

    monkeypatch.setattr(Trial, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        run(models, members, tmp_path / "attack-0", state=tmp_path / "state")
    assert not (tmp_path / "attack-0").exists()
    run(models, members, tmp_path / "attack-0", state=tmp_path / "state")
    assert measured == [0, "killed", 3]
    for name in evaluate.TABLES["attack"]:
        assert sha256_file(tmp_path / "attack-0" / f"{name}.parquet") == sha256_file(out / f"{name}.parquet")
    assert list((tmp_path / "state").iterdir()) == []


def test_a_lone_seed_has_a_transfer_check_too(models, tmp_path):
    tables = run(models, 1, tmp_path / "attack", seeds=[3])
    assert "transfer" in set(tables["sanity"]["check"])


def test_bad_input_is_named(models, tmp_path):
    with pytest.raises(GauntletError, match="joint_pair"):
        run(
            models,
            1,
            tmp_path,
            evaluate={**EVALUATE, "attacks": ["joint_pairs"], "sweep_attack": "joint_pairs"},
        )
    with pytest.raises(GauntletError, match="seed 8"):
        run(models, 1, tmp_path, seeds=[8])
    with pytest.raises(GauntletError, match="sweep_attack"):
        run(models, 1, tmp_path, evaluate={**EVALUATE, "sweep_attack": "other"})
    with pytest.raises(GauntletError, match="train the model first"):
        run(models, 1, tmp_path, model=tmp_path / "absent.safetensors")
    damaged = tmp_path / "model.safetensors"
    shutil.copy(models / "1" / "model.safetensors", damaged)
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(GauntletError, match="damaged"):
        run(models, 1, tmp_path, model=damaged)
    assert not (tmp_path / "scores.parquet").exists()


def test_recall_among_fewer_images_than_k_is_refused(models, tmp_path):
    """The toy's three test classes have 72 images: each is searched among 71."""
    for k, refused in ((70, False), (71, True), (500, True)):
        target_settings = {**EVALUATE, "recall": [1, k]}
        if not refused:
            run(models, 1, tmp_path / str(k), seeds=[0], evaluate=target_settings)
            continue
        with pytest.raises(GauntletError, match=rf"evaluate\.recall: recall@{k} among 71 images"):
            run(models, 1, tmp_path / str(k), seeds=[0], evaluate=target_settings)


def test_one_test_image_of_a_class_is_refused(models, tmp_path):
    with pytest.raises(GauntletError, match=r"evaluate\.test_per_class: .* has one test image only"):
        run(models, 1, tmp_path, evaluate={**EVALUATE, "test_per_class": 1})


def test_an_ensemble_that_lost_a_member_is_not_evaluated_as_a_smaller_one(models, tmp_path):
    found = load_file(models / "2" / "model.safetensors")
    damaged = tmp_path / "model.safetensors"
    save_file({name: value for name, value in found.items() if ".member1." not in name}, damaged)
    with pytest.raises(GauntletError, match="no weights of member 1 of seed 0"):
        run(models, 2, tmp_path, model=damaged)
    found["seed3.member1.head.linear.weight"][0, 0] = float("nan")
    save_file(found, damaged)
    with pytest.raises(GauntletError, match="member 1 of seed 3 holds NaN"):
        run(models, 2, tmp_path, model=damaged, seeds=[3])
    assert not (tmp_path / "scores.parquet").exists()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"eps": 1.5}, "eps"),
        ({"eps": 0.0}, "eps"),
        ({"eps": -0.1}, "eps"),
        ({"step": 0.0}, "step"),
        ({"step": -0.1}, "step"),
        ({"step": 1.5}, "step"),
        ({"steps": 0}, "steps"),
        ({"eps_sweep": [0.1, 0.0]}, "eps_sweep.1"),
        ({"eps_sweep": [0.1, -0.2]}, "eps_sweep.1"),
        ({"eps_sweep": [0.1, 1.2]}, "evaluate: eps_sweep"),
        ({"fractions": [0.0]}, "fractions.0"),
        ({"fractions": [1.1]}, "fractions.0"),
        ({"attacks": {"joint_pair": {"eps": 1.5}}}, "attacks.joint_pair"),
        ({"attacks": {"joint_pair": {"step": 1.5}}}, "attacks.joint_pair"),
        ({"attacks": {"joint_pair": {"step": -0.1}}}, "attacks.joint_pair.step"),
        ({"attacks": {"joint_pair": {"norm": "l2", "eps": -2.0}}}, "attacks.joint_pair.eps"),
        ({"attacks": {"joint_pair": {"norm": "l2", "eps": float("inf")}}}, "attacks.joint_pair.eps"),
        ({"attacks": {"joint_pair": {"norm": "l2", "eps": 8.1}}}, "evaluate.attacks.joint_pair.eps"),
        (
            {"attacks": {"joint_pair": {"norm": "l2", "eps": 2.0}}, "eps_sweep": [1.0, 8.1]},
            r"evaluate.eps_sweep",
        ),
    ],
)
def test_budgets_outside_the_pixel_range_name_the_key(models, tmp_path, monkeypatch, changes, key):
    """8 x 8 pixels: all images are within 8 of each other in L2."""
    monkeypatch.setattr(Trial, "measure", lambda self: pytest.fail("measured"))
    with pytest.raises(GauntletError, match=f"{key}[: ]"):
        run(models, 1, tmp_path, evaluate={**EVALUATE, **changes})


def test_a_sweep_in_l2_may_go_beyond_one(models, tmp_path):
    attacks = {"joint_pair": {"norm": "l2", "eps": 0.8}}
    tables = run(
        models, 1, tmp_path, seeds=[0], evaluate={**EVALUATE, "attacks": attacks, "eps_sweep": [0.4, 2.0]}
    )
    assert set(tables["scores"].query("suite == 'eps'")["eps"]) == {0.4, 2.0}
