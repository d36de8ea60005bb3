"""The plan: which cells a configuration needs, and what their names depend on."""

import copy
import subprocess
import sys

import pytest
import yaml

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import PACKAGE
from gauntlet.plan import load_plan, make_plan

ROOT = PACKAGE.parents[1]
SMOKE = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def plan_of(**changes):
    content = copy.deepcopy(SMOKE)
    grid = content["studies"]["eat"]["grids"][0]
    for key, value in changes.items():
        part, _, name = key.partition("__")
        if name:
            grid[part][name] = value
        elif part in grid:
            grid[part] = value
        else:
            content[part] = value
    return make_plan(content, file="x.yaml")


@pytest.mark.parametrize("scale", ["smoke", "mini", "desk", "paper"])
def test_every_scale_of_the_repository_is_valid(scale):
    plan = load_plan(f"config/{scale}.yaml")
    assert plan.scale.scale == scale
    assert list(plan.cells())


def test_mini_keeps_five_paired_seeds():
    for part in load_plan("config/mini.yaml").studies.values():
        seeds = {}
        for method, cell in part.cells:
            seeds.setdefault((cell.dataset, cell.architecture, method), set()).update(cell.seeds)
        assert all(len(found) >= 5 for found in seeds.values())
        assert len({frozenset(found) for found in seeds.values()}) == 1


def names(plan):
    return {cell.name for cell in plan.cells()}


def test_a_training_setting_names_other_models_and_an_attack_setting_does_not():
    assert names(plan_of()).isdisjoint(names(plan_of(train__epochs=9)))
    assert names(plan_of()) == names(plan_of(evaluate__steps=9))
    assert {c.attack for c in plan_of().cells()}.isdisjoint(
        {c.attack for c in plan_of(evaluate__steps=9).cells()}
    )


def test_blocks_are_seeds():
    cells = list(plan_of(seeds=["0-2", "7"]).cells())
    assert {tuple(cell.seeds) for cell in cells} == {(0, 1, 2), (7,)}


def test_the_methods_of_a_scale_are_those_that_the_study_gives_it():
    assert "eat_n5" not in {method for method, _ in load_plan("config/mini.yaml").studies["eat"].cells}
    assert "eat_n5" in {method for method, _ in load_plan("config/desk.yaml").studies["eat"].cells}


def test_one_study_only():
    with pytest.raises(GauntletError, match="unknown study 'tae'"):
        plan_of(study="tae")


def test_an_unknown_cell_names_the_closest():
    plan = plan_of()
    known = next(iter(names(plan)))
    with pytest.raises(GauntletError, match="did you mean"):
        plan.cell(known.replace("conv", "cnv"))


def test_planning_imports_nothing_heavy():
    code = (
        "import sys; from gauntlet.plan import load_plan; load_plan('config/desk.yaml');"
        "heavy = {'torch', 'pandas', 'matplotlib', 'mlflow', 'faiss', 'sklearn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_the_committed_schemas_are_those_of_the_models(tmp_path):
    from gauntlet import schemas

    for path in schemas.write(tmp_path):
        committed = ROOT / "workflow/schemas" / path.name
        assert path.read_text() == committed.read_text(), (
            f"run `gauntlet schema`: {committed.name} is out of date"
        )
