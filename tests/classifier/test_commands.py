"""The family as a study uses it: planned, trained and attacked by the commands that rules call."""

import copy

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from gauntlet.cli import app
from gauntlet.core.errors import GauntletError
from gauntlet.plan import load_plan, make_plan

STUDY = {
    "study": "robust",
    "family": "classifier",
    "title": "Robust digits",
    "paper": {"authors": "A", "venue": "V", "year": 2020, "url": "https://example.org", "bibtex": "@misc{a}"},
    "summary": "A study of this test.",
    "threat_model": ["White box."],
    "methods": {
        "plain": {"label": "none"},
        "at": {
            "label": "AT",
            "classifier_defense": "pgd_at",
            "options": {"eps": 0.2, "step": 0.1, "steps": 2},
        },
    },
    "figures": {},
    "tables": {},
    "claims": {},
}
PGD = {"classifier_attack": "pgd", "options": {"eps": 0.2, "step": 0.05, "steps": 5}}
SCALE = {
    "scale": "smoke",
    "seeds": ["0-1"],
    "studies": {
        "robust": {
            "grids": [
                {
                    "dataset": "digits",
                    "architectures": ["cnn2_bn"],
                    "data": {"per_class": 20, "held_out": 5},
                    "train": {"epochs": 1, "batch": 32, "lr": 0.02},
                    "evaluate": {"test_per_class": 5, "attacks": {"pgd": PGD}, "sanity_steps": 10},
                }
            ]
        }
    },
}


@pytest.fixture
def here(tmp_path, monkeypatch, folder):
    (tmp_path / "config/studies").mkdir(parents=True)
    (tmp_path / "config/studies/robust.yaml").write_text(yaml.safe_dump(STUDY))
    (tmp_path / "config/smoke.yaml").write_text(yaml.safe_dump(SCALE))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/digits").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments):
    result = CliRunner().invoke(app, [*arguments, "--config", "config/smoke.yaml"], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_cells_are_trained_attacked_and_gathered(here):
    cells = {entry.method: entry.cell for entry in load_plan("config/smoke.yaml").part("robust").cells}
    assert set(cells) == {"plain", "at"}
    for cell in cells.values():
        command("classifier", "train", "--cell", cell.name, "--device", "cpu")
        command("classifier", "attack", "--cell", cell.name, "--device", "cpu")
    command("study", "gather", "robust")
    scores = pd.read_parquet(here / "results/studies/robust/smoke/scores.parquet")
    worst = scores.query("attack == 'worst'")
    assert len(worst) == 4
    assert set(worst.method) == {"plain", "at"}


@pytest.mark.parametrize(
    ("path", "value", "key", "says"),
    [
        (
            ["evaluate", "attacks", "pgd", "classifier_attack"],
            "pgdd",
            "evaluate.attacks.pgd.classifier_attack",
            "pgd",
        ),
        (
            ["evaluate", "attacks", "pgd", "options", "stepz"],
            1,
            "evaluate.attacks.pgd.options.stepz",
            "'step'",
        ),
        (
            ["evaluate", "attacks", "pgd", "options", "steps"],
            "x",
            "evaluate.attacks.pgd.options.steps",
            "give int",
        ),
        (["architectures"], ["cnn2_bm"], "architectures.0", "'cnn2_bn'"),
        (["train", "lr"], -1, "train.lr", "greater than 0"),
    ],
)
def test_a_typo_names_its_key(here, path, value, key, says):
    content = copy.deepcopy(SCALE)
    place = content["studies"]["robust"]["grids"][0]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(GauntletError) as caught:
        make_plan(content, file="x.yaml")
    assert str(caught.value).startswith(f"x.yaml: studies.robust.grids.0.{key}")
    assert says in str(caught.value)
