"""What determines a privacy cell, which cells it needs, and what is refused."""

import subprocess
import sys

import pytest
import yaml
from toy_privacy import ALONE, DATA, DISTILLED, FEDERATED, SAMPLES, SHADOWS, UPDATES, attacks, cell, identity

from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import PACKAGE
from gauntlet.families.privacy import settings
from gauntlet.plan import load_plan

ROOT = PACKAGE.parents[1]
DEFENDED = {
    "selection": "random",
    "aggregation": "uniform",
    "defenses": [{"update_defense": "clip", "options": {"norm": 1.0}}],
}
METHODS = {"updates": UPDATES, "defended": DEFENDED, "samples": SAMPLES, "alone": ALONE}
GRID = {"dataset": "digits", "architectures": ["convnet2"], "data": {**DATA, "plant": ["bright_patch"]}}
#: Study -> its family, its methods and the rest of its grid.
STUDIES = {
    "leaks": (
        "privacy",
        list(METHODS),
        {
            "train": {"federated": FEDERATED, "distilled": DISTILLED, "shadows": SHADOWS},
            "evaluate": attacks(["loss", "rmia"], ["representation"]),
        },
    ),
    "updates": ("federated", ["updates", "defended"], {"train": FEDERATED}),
    "samples": ("distilled", ["samples", "alone"], {"train": DISTILLED}),
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a study of each family, and this checkout's rules."""
    (tmp_path / "config/studies").mkdir(parents=True)
    for name, (family, methods, _) in STUDIES.items():
        study = {
            "study": name,
            "family": family,
            "title": "A study",
            "paper": {"authors": "A. Nobody", "year": 2024},
            "summary": "One.",
            "threat_model": ["One."],
            "methods": {key: {"label": key, **METHODS[key]} for key in methods},
        }
        (tmp_path / f"config/studies/{name}.yaml").write_text(yaml.safe_dump(study))
    scale = {
        "scale": "smoke",
        "seeds": ["0-1"],
        "studies": {name: {"grids": [{**GRID, **rest}]} for name, (*_, rest) in STUDIES.items()},
    }
    (tmp_path / "config/tiny.yaml").write_text(yaml.safe_dump(scale))
    for name in ("Snakefile", "workflow", "envs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_cell_needs_is_the_cell_of_the_familys_own_study(project):
    plan = load_plan("config/tiny.yaml")
    own = {entry.method: entry.cell for name in ("updates", "samples") for entry in plan.studies[name].cells}
    shadows = set()
    for method, _, attacked in plan.studies["leaks"].cells:
        needed = attacked.needs("attack")
        assert needed["target"].name == own[method].name
        assert needed["target"].weights == own[method].weights
        shadows.add(needed["shadows"].name)
    assert len(shadows) == 1  # all federations of a world share them
    families = sorted(trained.family for trained in plan.trained().values())
    assert families == ["distilled", "distilled", "federated", "federated", "shadows"]


def test_nothing_is_asked_of_a_training_that_there_is_not(project):
    plan = load_plan("config/tiny.yaml")
    for _, _, attacked in plan.studies["leaks"].cells:
        assert list(attacked.steps) == ["attack"]
        assert plan.cell(attacked.name) is attacked
        assert not attacked.needs("train")
    present, missing = plan.studies["leaks"].present()
    assert not present
    assert {row["log"].rsplit("/", 1)[1] for row in missing} == {f"{attacked.attack}.log"}
    with pytest.raises(GauntletError, match="did you mean 'privacy/"):
        plan.cell(attacked.name.replace("convnet2", "convnet3"))


def test_the_workflow_trains_what_is_needed_once_and_attacks_it(project):
    command = [sys.executable, "-m", "snakemake", "-n", "measurements", "--configfile", "config/tiny.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout.rsplit("Job stats:", 1)[1].splitlines()[3:]
    jobs = dict(line.split() for line in table[: next(i for i, line in enumerate(table) if not line.strip())])
    wanted = {"privacy_attack": "4", "shadows_train": "1", "federated_train": "2", "distilled_train": "2"}
    assert wanted.items() <= jobs.items()


def test_an_identity_is_read_as_it_was_written():
    """A cell's identity has every default in it, which is not to have been given."""
    for method in METHODS.values():
        what = identity(method)
        assert parse(settings.Method, what["method"], file="x").model_dump(mode="json") == what["method"]


def test_without_a_recipe_there_are_no_shadow_models():
    assert list(cell(identity(shadows=None)).needs("attack")) == ["target"]


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ({}, "exactly one of selection and distillation"),
        ({**UPDATES, **SAMPLES}, "exactly one of selection and distillation"),
        ({**SAMPLES, "aggregation": "uniform", "proximal": 0.1}, "leave out aggregation, proximal"),
        ({**SAMPLES, "defenses": DEFENDED["defenses"]}, "leave out defenses"),
    ],
)
def test_a_method_is_a_federation_of_one_kind(method, says):
    with pytest.raises(GauntletError, match=says):
        parse(settings.Method, method, file="x.yaml")


@pytest.mark.parametrize(
    ("evaluate", "says"),
    [
        ({"membership": {"clean": {"membership": "loss"}}}, "cannot be called 'clean'"),
        (
            {
                "membership": {"one": {"membership": "loss"}},
                "attributes": {"one": {"attribute_inference": "representation"}},
            },
            "both kinds are called",
        ),
        ({"candidates_per_class": 0}, "greater than 0"),
    ],
)
def test_bad_evaluations_are_refused(evaluate, says):
    with pytest.raises(GauntletError, match=says):
        parse(settings.Evaluate, evaluate, file="x.yaml")


@pytest.mark.parametrize(
    ("kind", "attack", "says"),
    [
        ("membership", {"membership": "lire_online"}, "did you mean 'lira_online'"),
        ("membership", {"membership": "rmia", "options": {"gama": 2.0}}, "did you mean 'gamma'"),
        ("attributes", {"attribute_inference": "represent"}, "did you mean 'representation'"),
    ],
)
def test_a_misspelt_attack_is_named(project, kind, attack, says):
    scale = yaml.safe_load((project / "config/tiny.yaml").read_text())
    scale["studies"]["leaks"]["grids"][0]["evaluate"][kind] = {"one": attack}
    (project / "config/tiny.yaml").write_text(yaml.safe_dump(scale))
    with pytest.raises(GauntletError, match=says) as caught:
        load_plan("config/tiny.yaml")
    assert f"studies.leaks.grids.0.evaluate.{kind}.one" in str(caught.value)
