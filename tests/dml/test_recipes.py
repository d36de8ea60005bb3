"""The named recipes: valid, and with the numbers of their papers."""

from pathlib import Path

import pytest
import yaml

from gauntlet.core.config import load_yaml
from gauntlet.core.errors import GauntletError
from gauntlet.families.dml.settings import Train
from gauntlet.options import check_options
from gauntlet.plan import RECIPES, make_plan

ROOT = Path(__file__).parents[2]
FILE = ROOT / RECIPES / "dml.yaml"
RECIPE = load_yaml(FILE)


@pytest.mark.parametrize("name", RECIPE)
def test_every_recipe_is_complete(name):
    train = Train.model_validate(RECIPE[name])
    check_options("loss", train.loss, train.loss_options, file=FILE, key=name)
    assert train.step * train.steps >= train.eps


def test_recipes_hold_what_their_papers_say():
    anchor = Train(**RECIPE["proxy-anchor-resnet50"])
    assert (anchor.lr, anchor.proxy_lr, anchor.weight_decay, anchor.clip) == (1e-4, 1e-2, 1e-4, 10)
    assert (anchor.epochs, anchor.batch, anchor.embedding, anchor.warmup) == (60, 120, 512, 5)
    large = Train(**RECIPE["proxy-anchor-large-bn-inception"])
    assert (large.lr, large.decay, large.batch, large.warmup, large.freeze_batchnorm) == (
        6e-4, 0.25, 180, 1, False,
    )  # fmt: skip
    roth = Train(**RECIPE["rdml"])
    assert (roth.optimizer, roth.lr, roth.weight_decay, roth.batch, roth.per_class) == (
        "adam", 1e-5, 4e-4, 112, 2,
    )  # fmt: skip
    assert (roth.epochs, roth.embedding, roth.crop, roth.normalise) == (150, 128, (0.6, 1.0), False)


def scale(**grid):
    text = (ROOT / "config/mini.yaml").read_text()
    config = yaml.safe_load(text)
    first = config["studies"]["rdml"]["grids"][0]
    first.update(grid)
    config["studies"] = {"rdml": {"grids": [first]}}
    return config


def test_a_grid_takes_a_recipe_and_replaces_single_keys(monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = make_plan(scale(recipe="roth", train={"epochs": 3, "pretrained": False}), file="test.yaml")
    identity = next(iter(plan.cells())).identity["train"]
    assert identity["epochs"] == 3
    assert (identity["lr"], identity["per_class"]) == (1e-5, 2)


def test_an_unknown_recipe_names_the_closest(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(GauntletError, match="did you mean 'roth'") as caught:
        make_plan(scale(recipe="rot"), file="test.yaml")
    assert caught.value.key.endswith("recipe")
