"""The site file, and the profile that is made from it."""

import re

import pytest
import yaml
import yte

from gauntlet.cluster.site import Ask, load_site
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import PACKAGE

ROOT = PACKAGE.parents[1]
RULE = re.compile(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


@pytest.fixture
def site(tmp_path):
    """Writes a site file with these keys beside a complete ``default``, and loads it."""

    def write(rules=None, **keys):
        default = {"partition": "gpu", "runtime": 60, "mem_mb": 1000}
        path = tmp_path / "site.yaml"
        path.write_text(yaml.safe_dump({"resources": {"default": default, **(rules or {})}, **keys}))
        return load_site(path)

    return write


def rules():
    """Every rule of the workflow that has a name of its own -> its text."""
    return {
        name: text
        for path in sorted((ROOT / "workflow/rules").glob("*.smk"))
        for name, text in RULE.findall(path.read_text())
    }


def profile(monkeypatch, path=None):
    monkeypatch.chdir(ROOT)
    if path:
        monkeypatch.setenv("GAUNTLET_SITE", str(path))
    with open("profiles/slurm/config.yaml") as file:
        return yte.process_yaml(file, require_use_yte=True)


def test_every_rule_that_trains_or_attacks_is_given_resources_and_no_other_is_submitted(monkeypatch):
    found = rules()
    cells = {name for name, text in found.items() if re.search(r'"gauntlet \w+ (train|attack)\b', text)}
    assert len(cells) >= 12
    asked = profile(monkeypatch)["set-resources"]
    assert set(asked) == cells
    for name in cells:
        assert {"slurm_partition", "runtime", "mem_mb"} <= set(asked[name]), name
    for name in set(found) - cells:
        assert "localrule: True" in found[name], f"{name} would be a Slurm job of seconds"


def test_every_rule_is_one_command_that_can_take_the_place_of_its_shell():
    texts = [path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")]
    commands = [match for text in texts for match in re.findall(r"shell:\n((?: +\".*\"\n)+)", text)]
    assert len(commands) == sum(text.count("shell:") for text in texts) > 15
    for command in commands:
        joined = "".join(re.findall(r'"(.*)"', command))
        assert joined.startswith("gauntlet "), joined
        assert not re.search(r"[;|`$]|&(?!1)", joined), joined


def test_rules_of_a_loop_are_local():
    text = (ROOT / "workflow/rules/studies.smk").read_text()
    assert text.count("rule:\n") == text.count("localrule: True")


def test_a_rules_own_entry_wins_over_its_step_and_that_over_the_default(site):
    found = site(
        {
            "train": {"runtime": 120, "cpus": 2},
            "dml_train": {"mem_mb": 9000, "partition": "big"},
            "privacy_attack": {"gpu": 0},
        }
    )
    assert found.ask("dml_train") == Ask(partition="big", runtime=120, mem_mb=9000, cpus=2)
    assert found.ask("shadows_train") == Ask(partition="gpu", runtime=120, mem_mb=1000, cpus=2)
    assert found.ask("dml_attack") == Ask(partition="gpu", runtime=60, mem_mb=1000)
    assert found.profile()["set-threads"] == {
        rule: 2 if rule.endswith("_train") else 1 for rule in found.profile()["set-resources"]
    }


def test_every_attempt_asks_for_more_up_to_the_most(site):
    asked = site({"dml_train": {"max_runtime": 150}}, retries=2).profile()["set-resources"]["dml_train"]
    attempts = [[eval(asked[name], {"attempt": n}) for n in (1, 2, 3)] for name in ("runtime", "mem_mb")]
    assert attempts == [[60, 120, 150], [1000, 2000, 3000]]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"gpu": 1}, {"gpu": 1}),
        ({"gpu": 2, "gpu_model": "a100"}, {"gpu": 2, "gpu_model": "'a100'"}),
        ({"gres": "gpu:a100:1"}, {"gres": "'gpu:a100:1'"}),
        ({"gpu": 0, "gpu_model": "a100"}, {}),
        ({"constraint": "a100|h100", "qos": "low"}, {"constraint": "'a100|h100'", "qos": "'low'"}),
        ({"extra": "--exclusive"}, {"slurm_extra": "'--exclusive'"}),
    ],
)
def test_what_is_asked_for_reaches_the_plugin_under_its_own_names(site, entry, expected):
    common = {"slurm_partition", "runtime", "mem_mb"}
    asked = site({"dml_attack": entry}).profile()["set-resources"]["dml_attack"]
    assert {name: value for name, value in asked.items() if name not in common} == expected


@pytest.mark.parametrize(("entry", "gpu"), [({"gpu": 1}, None), ({"gpu": 0}, 0), ({"gpu": 2}, 2), ({}, 0)])
def test_the_plan_says_how_many_gpus_share_a_training_unless_the_site_has_other_than_one(site, entry, gpu):
    assert site({"dml_train": entry}).profile()["set-resources"]["dml_train"].get("gpu") == gpu


def test_cells_share_jobs_only_when_they_are_packed(site):
    assert not {"groups", "group-components"} & set(site().profile())
    packed = site({"privacy_attack": {"partition": "cpu"}}, pack=8).profile()
    assert packed["groups"]["privacy_attack"] == "cells_cpu"
    assert packed["groups"]["dml_train"] == packed["groups"]["dml_attack"] == "cells_gpu"
    assert all(
        asked["turn"] == packed["resources"]["turn"] == 1 for asked in packed["set-resources"].values()
    )
    assert packed["group-components"] == {"cells_cpu": 8, "cells_gpu": 8}


def test_another_site_file_may_be_named(monkeypatch, tmp_path):
    text = (ROOT / "profiles/slurm/site.yaml").read_text()
    other = tmp_path / "mine.yaml"
    other.write_text(
        text.replace("account: null", "account: lab7").replace("partition: gpu", "partition: a100")
    )
    asked = profile(monkeypatch, other)["set-resources"]["stealing_train"]
    assert (asked["slurm_account"], asked["slurm_partition"]) == ("'lab7'", "'a100'")


def test_accounting_chooses_the_command_that_is_asked_for_states(monkeypatch, tmp_path):
    assert profile(monkeypatch)["slurm-status-command"] == "squeue"
    other = tmp_path / "mine.yaml"
    text = (ROOT / "profiles/slurm/site.yaml").read_text()
    other.write_text(text.replace("accounting: false", "accounting: true"))
    assert profile(monkeypatch, other)["slurm-status-command"] == "sacct"


@pytest.mark.parametrize(
    ("rules", "keys", "words"),
    [
        ({}, {"acount": "x"}, ["site.yaml: acount: unknown key", "'account'"]),
        ({"dml_trian": {}}, {}, ["resources.dml_trian: no such rule", "'dml_train'"]),
        ({"train": {"partitoin": "x"}}, {}, ["resources.train.partitoin: unknown key", "'partition'"]),
        ({"default": {"runtime": 1, "mem_mb": 1}}, {}, ["have no partition", "resources.default.partition"]),
        ({"default": {"partition": "x", "runtime": 1}}, {}, ["have no mem_mb"]),
        ({"train": {"runtime": 0}}, {}, ["resources.train.runtime", "greater than 0"]),
        ({"train": {"gpu": 1, "gres": "gpu:1"}}, {}, ["ask for a GPU twice", "gpu: 0"]),
        ({"attack": {"cpus": 32}}, {"cores": 16}, ["ask for 32 CPUs", "set cores to 32"]),
    ],
)
def test_a_wrong_site_file_is_one_message(site, rules, keys, words):
    with pytest.raises(GauntletError) as error:
        site(rules, **keys)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "remedy: " in str(error.value)
