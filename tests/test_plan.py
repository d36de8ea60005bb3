"""The plan: which cells a configuration needs, and what their names depend on."""

import copy
import subprocess
import sys
from types import ModuleType

import pytest
import yaml
from pydantic import ConfigDict

from gauntlet.cell import family_settings
from gauntlet.core.config import Strict
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import PACKAGE
from gauntlet.plan import load_plan, make_plan

ROOT = PACKAGE.parents[1]
SMOKE = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
SMOKE["studies"] = {"eat": SMOKE["studies"]["eat"]}


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
        elif part in grid or part in ("methods", "options", "gpus"):
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
        blocks = {}
        for method, setting, cell in part.cells:
            seeds = blocks.setdefault((cell.dataset, setting, cell.architecture), {})
            seeds.setdefault(method, set()).update(cell.seeds)
        for seeds in blocks.values():
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


def test_gpus_name_no_other_model_and_are_for_families_that_share():
    shared = plan_of(gpus=4)
    assert names(shared) == names(plan_of())
    assert {cell.gpus for cell in shared.trained().values()} == {4}
    content = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    content["studies"]["fedemd"]["grids"][0]["gpus"] = 2
    with pytest.raises(GauntletError, match=r"fedemd\.grids\.0\.gpus.*federated"):
        make_plan(content, file="x.yaml")


def test_a_training_is_shared_among_the_gpus_that_there_are(monkeypatch):
    import torch

    from gauntlet.core.devices import sharing

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert [sharing(gpu, None, planned) for planned in (1, 2, 4)] == [1, 2, 2]
    assert (sharing(cpu, None, 4), sharing(cpu, 3, 1), sharing(gpu, 4, 1)) == (1, 3, 4)


def test_blocks_are_seeds():
    cells = list(plan_of(seeds=["0-2", "7"]).cells())
    assert {tuple(cell.seeds) for cell in cells} == {(0, 1, 2), (7,)}


def test_a_study_without_seeds_is_refused():
    with pytest.raises(GauntletError, match=r"x\.yaml: seeds: List should have at least 1 item"):
        plan_of(seeds=[])
    content = copy.deepcopy(SMOKE)
    content["studies"]["eat"]["grids"][0]["seeds"] = []
    with pytest.raises(GauntletError, match=r"x\.yaml: studies\.eat\.grids\.0\.seeds: List should have"):
        make_plan(content, file="x.yaml")


def test_the_methods_of_a_scale_are_those_that_the_study_gives_it():
    assert "eat_n5" not in {entry.method for entry in load_plan("config/mini.yaml").studies["eat"].cells}
    assert "eat_n5" in {entry.method for entry in load_plan("config/desk.yaml").studies["eat"].cells}


def test_one_study_only():
    with pytest.raises(GauntletError, match="unknown study 'tae'"):
        plan_of(study="tae")


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Changes the study for what is planned next: ``study(old, new)``."""

    def change(old: str, new: str):
        text = (ROOT / "config/studies/eat.yaml").read_text()
        assert old in text
        (tmp_path / "config/studies").mkdir(parents=True, exist_ok=True)
        (tmp_path / "config/studies/eat.yaml").write_text(text.replace(old, new, 1))
        monkeypatch.chdir(tmp_path)

    return change


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("members: 3}", "members: 0}", "methods.eat.members", "greater than 0"),
        ("members: 3}", "membres: 3}", "methods.eat.membres", "did you mean 'members'"),
        ("label: AT, defense: at", "label: AT", "methods.at.defense", "Field required"),
        ("defense: trades", "defense: tradez", "methods.trades.defense", "did you mean 'trades'"),
        (
            "self_transfer: own",
            "self_tranfer: own",
            "methods.eat_own.options.self_tranfer",
            "'self_transfer'",
        ),
        (
            "parts_per_member: 3",
            "parts_per_member: x",
            "methods.eat_no_split.options.parts_per_member",
            "'x'",
        ),
    ],
)
def test_a_methods_own_keys_are_checked_by_its_family_at_every_scale(study, old, new, key, says):
    study(old, new)
    with pytest.raises(GauntletError) as caught:
        plan_of()
    assert str(caught.value).startswith(f"config/studies/eat.yaml: {key}")
    assert says in str(caught.value)


def test_the_images_that_a_thief_has_are_a_known_dataset(tmp_path, monkeypatch):
    text = (ROOT / "config/studies/mega.yaml").read_text()
    (tmp_path / "config/studies").mkdir(parents=True)
    (tmp_path / "config/studies/mega.yaml").write_text(text.replace("natural: mnist-5k", "natural: mnist-5j"))
    scale = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GauntletError, match=r"methods\.knockoff\.natural: unknown dataset 'mnist-5j'"):
        make_plan({**scale, "study": "mega"}, file="x.yaml")


@pytest.mark.parametrize("name", ["iris", "crowd-web", "groove"])
def test_a_dataset_without_images_is_for_families_that_say_so(name, monkeypatch):
    says = rf"grids\.0\.dataset: family dml takes datasets of the form arrays or photos, and '{name}' is"
    with pytest.raises(GauntletError, match=says):
        plan_of(dataset=name)
    monkeypatch.setattr(family_settings("dml"), "FORMS", ("table", "labels", "files"), raising=False)
    with pytest.raises(GauntletError, match=r"form table or labels or files, and 'digits' is arrays"):
        plan_of()


def test_a_setting_names_a_grid_and_must_be_the_studys(study):
    grid = SMOKE["studies"]["eat"]["grids"][0]
    two = [{**grid, "setting": "short"}, {**grid, "setting": "long", "train": {**grid["train"], "epochs": 3}}]
    study("figures:", "settings: {short: two epochs, long: three epochs}\n\nfigures:")
    part = plan_of(studies={"eat": {"grids": two}}).part("eat")
    assert {entry.setting for entry in part.cells} == {"short", "long"}
    assert {row["setting"] for row in part.present()[1]} == {"short", "long"}
    two[1]["setting"] = "lang"
    with pytest.raises(GauntletError) as caught:
        plan_of(studies={"eat": {"grids": two}})
    assert str(caught.value).startswith("x.yaml: studies.eat.grids.1.setting")
    assert "did you mean 'long'" in str(caught.value)


def test_a_grid_may_change_the_options_of_a_method():
    def options(**changes):
        cells = plan_of(methods=["eat", "eat_own"], **changes).part("eat").cells
        return {method: cell.identity["method"]["options"] for method, _, cell in cells}

    before = options()
    after = options(options={"eat_own": {"parts_per_member": 2}})
    assert after["eat"] == before["eat"]
    assert after["eat_own"] == {**before["eat_own"], "parts_per_member": 2}


@pytest.mark.parametrize(
    ("options", "key", "says"),
    [
        ({"eat_own": {"parts_per_membre": 2}}, "options.eat_own.parts_per_membre", "'parts_per_member'"),
        ({"eat_own": {"parts_per_member": "x"}}, "options.eat_own.parts_per_member", "'x'"),
        ({"eat_onw": {}}, "options", "did you mean 'eat_own'"),
        ({"at": {}}, "options", "unknown method of this grid 'at'"),
    ],
)
def test_a_grids_options_are_checked(options, key, says):
    with pytest.raises(GauntletError) as caught:
        plan_of(methods=["eat", "eat_own"], options=options)
    assert str(caught.value).startswith(f"x.yaml: studies.eat.grids.0.{key}")
    assert says in str(caught.value)


def test_a_trial_cannot_be_in_two_grids(study):
    grid = SMOKE["studies"]["eat"]["grids"][0]
    with pytest.raises(GauntletError, match=r"studies\.eat\.grids: seed 1 of 'none'.*\n.*different settings"):
        plan_of(studies={"eat": {"grids": [grid, {**grid, "seeds": ["1-2"]}]}})
    with pytest.raises(GauntletError, match="seed 1"):
        plan_of(seeds=["0-1", "1"])


class Loose(Strict):
    model_config = ConfigDict(extra="allow")


class ToyMethod(Loose):
    options: dict = {}


@pytest.fixture
def toy(study, monkeypatch):
    """The plan of a study whose family only trains, and whose data name a registered method with options."""
    module = ModuleType("gauntlet.families.toy.settings")
    module.TABLES = {"train": ("training", "rounds")}
    module.NETWORK = "model"
    module.Data, module.Method, module.Train = Loose, ToyMethod, Loose
    module.Evaluate = Strict
    module.method_kind = lambda method: ("defense", method["defense"])
    module.train_methods = lambda identity: (("defense", identity["data"]["defense"]),)
    module.evaluate_methods = lambda identity, evaluate: ()
    module.needs = lambda identity: {}
    module.model_label = lambda method: method["defense"]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    study("family: dml", "family: toy")

    def plan(data: dict):
        grid = {"dataset": "digits", "architectures": ["conv"], "methods": ["none", "at"], "data": data}
        content = {"scale": "smoke", "seeds": ["0-1", "2"], "studies": {"eat": {"grids": [grid]}}}
        return make_plan(content, file="x.yaml")

    return plan


def test_a_family_without_attacks_has_one_job_per_cell(toy):
    plan = toy({"defense": "eat", "options": {"parts_per_member": 3}})
    part = plan.part("eat")
    cells = list(plan.cells())
    assert len(cells) == len(part.cells) == len(plan.trained()) == 4
    folder = cells[0].train_folder
    assert cells[0].steps == {"train": folder}
    assert cells[0].measured() == {name: folder / f"{name}.parquet" for name in ("training", "rounds")}
    assert part.tables == ["scores", "training", "rounds"]

    cells[0].train_folder.mkdir(parents=True)
    for path in cells[0].measured().values():
        (rows, missing) = part.present()
        assert (len(rows), len(missing)) == (0, 4)
        path.touch()
    (row,), missing = part.present()
    assert row["steps"] == {"train": str(folder)}
    assert row["tables"]["rounds"] == f"{folder}/rounds.parquet"
    assert row["log"] == f"logs/{cells[0].name}/train.log"


@pytest.mark.parametrize(
    ("data", "key", "says"),
    [
        ({"defense": "eeat"}, "defense", "did you mean 'eat'"),
        (
            {"defense": "eat", "options": {"part_per_member": 3}},
            "options.part_per_member",
            "parts_per_member",
        ),
    ],
)
def test_the_names_that_a_training_uses_are_checked_where_they_are_given(toy, data, key, says):
    with pytest.raises(GauntletError) as caught:
        toy(data)
    message = str(caught.value)
    assert message.startswith(f"x.yaml: studies.eat.grids.0.data.{key}")
    assert says in message


def test_an_unknown_cell_names_the_closest():
    plan = plan_of()
    known = next(iter(names(plan)))
    with pytest.raises(GauntletError, match="did you mean"):
        plan.cell(known.replace("conv", "cnv"))


def test_planning_imports_nothing_heavy():
    code = (
        "import sys; from gauntlet.plan import load_plan; load_plan('config/desk.yaml');"
        "heavy = {'torch', 'pandas', 'matplotlib', 'mlflow', 'faiss', 'scipy', 'sklearn'};"
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


def test_what_cells_need_of_others_is_told_and_what_the_study_has_itself_is_not():
    plan = load_plan("config/mini.yaml")
    present, missing = plan.part("flip").present()
    assert all(set(row["needed"]) == {"target", "shadows"} for row in present + missing)
    present, missing = plan.part("rdml").present()
    assert not any(row["needed"] for row in present + missing)  # the undefended network is a cell of its own
