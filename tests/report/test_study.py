"""The declaration: what is accepted, and errors that name the file and the key."""

import copy
import subprocess
import sys

import pytest
import yaml
from synthetic import EAT

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import resolve
from gauntlet.report.figures import check_options
from gauntlet.report.study import load

CONTENT = yaml.safe_load(EAT.read_text(encoding="utf-8"))


def edited(tmp_path, *path_and_value):
    """The EAT study with one value changed, written to a file."""
    *path, value = path_and_value
    content = copy.deepcopy(CONTENT)
    node = content
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    file = tmp_path / "eat.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def test_eat_declares_the_cards_claims_figures_and_methods():
    study = load(EAT)
    assert list(study.claims) == [f"EAT-{i}" for i in range(1, 9)]
    assert {entry.figure for entry in study.figures.values()} == {
        "projection",
        "comparison",
        "budget",
        "transfer",
        "fraction",
        "hyperparameter",
    }
    assert "eat_n5" not in study.methods_at("mini")
    assert "eat_n5" in study.methods_at("desk")
    for kind, entries in (("figure", study.figures), ("table", study.tables)):
        for name, entry in entries.items():
            check_options(resolve(kind, getattr(entry, kind)), entry.options, file=EAT, key=name)


def test_reading_a_study_imports_nothing_heavy():
    heavy = "('numpy', 'pandas', 'scipy', 'torch', 'matplotlib', 'mlflow')"
    load_it = f"import sys; from gauntlet.report.study import load; load({str(EAT)!r})"
    code = f"{load_it}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


FIRST = ("claims", "EAT-1", "checks", 0)


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        ((*FIRST, "value", "method", "nune"), "claims.EAT-1.checks.0.value.method", "did you mean 'none'"),
        ((*FIRST, "metric", "recal@1"), "claims.EAT-1.checks.0.metric", "did you mean 'recall@1'"),
        ((*FIRST, "value", "attack", "shfit"), "claims.EAT-1.checks.0.value.attack", "did you mean 'shift'"),
        ((*FIRST, "value", "atack", "shift"), "claims.EAT-1.checks.0.value.atack", "did you mean 'attack'"),
        ((*FIRST, "is", {"above": 0, "below": 1}), "claims.EAT-1.checks.0.is", "exactly one"),
        ((*FIRST, "is", {"within": -0.1}), "claims.EAT-1.checks.0.is", "greater than 0"),
        ((*FIRST, "is", {"above": "zero"}), "claims.EAT-1.checks.0.is.above", "number"),
        (
            ("claims", "EAT-2", "checks", 0, "minus", {"method": {"present": ["apl"]}}),
            "claims.EAT-2.checks.0.minus.method.present",
            "did you mean 'alp'",
        ),
        (("claims", "EAT-4", "checks", 0, "gate", False), "claims.EAT-4", "at least one check"),
        (("figures", "budget", "figure", "buget"), "figures.budget.figure", "did you mean 'budget'"),
        (("tables", "main", "table", "mian"), "tables.main.table", "did you mean 'main'"),
        (("tables", "ablation", "options", {"methods": ["eat_"]}), "tables.ablation.options", "did you mean"),
        (
            ("figures", "members", "options", {"panels": {"N": {"eat_n6": 6}}}),
            "figures.members.options",
            "did you mean 'eat_n",
        ),
        (("figures", "members", "options", {"panels": ["eat"]}), "figures.members.options", "by panel"),
        (("methods", "at", "from", "huge"), "methods.at.from", "smoke"),
        (("study", "other"), "study", "eat"),
        (("sumary", "x"), "sumary", "did you mean 'summary'"),
    ],
)
def test_faults_name_file_key_and_remedy(tmp_path, change, key, says):
    file = edited(tmp_path, *change)
    with pytest.raises(GauntletError) as caught:
        load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: {key}")
    assert says in message
    assert "remedy:" in message
