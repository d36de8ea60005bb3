"""What attacks were allowed: read from the measurements, never mixed between norms."""

import matplotlib
import pytest
from synthetic import EAT, EVALUATE, QUERIES, build

from gauntlet.core.files import read_sealed, write_sealed
from gauntlet.report import figures, style, tables
from gauntlet.report.budgets import Budget, budgets, norm, note
from gauntlet.report.measurements import read
from gauntlet.report.study import load
from gauntlet.report.tables import render

STUDY = load(EAT)
BLOCK = ("digits", "", "conv")


@pytest.fixture(scope="module")
def queries(tmp_path_factory):
    """Attacks by label: three L-inf ones, two of them with the same budget, and one in L2."""
    folder = tmp_path_factory.mktemp("queries")
    return build(folder, methods=("none", "eat"), datasets=("digits",), seeds=2, evaluate=QUERIES)


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (Budget("linf", 0.1, 20, 3), "L∞ ε 0.1, 20 steps, 3 restarts"),
        (Budget("linf", 0.1, 1, 1), "L∞ ε 0.1, 1 step"),
        (Budget("l2", 1.5, 20, 1), "L2 ε 1.5, 20 steps"),
        (Budget("", 8 / 255, 0, 0), "ε 8/255"),
        (Budget("", 0.0, 5, 0), "5 steps"),
    ],
)
def test_in_words(budget, text):
    assert budget.text() == text


def test_attacks_with_one_budget_stand_together_and_norms_apart(queries):
    attacks = ["clean", *QUERIES["attacks"], "worst"]
    assert note(read(queries), BLOCK, attacks) == (
        "L∞ ε 0.1, 20 steps: nearest positive; nearest positive, C&W. "
        "L∞ ε 0.1, 50 steps, 3 restarts: nearest positive, 50 steps. "
        "L2 ε 1.5, 20 steps: nearest positive, L2. "
        "Worst attack: of those with L∞ ε 0.1."
    )
    assert note(read(queries), BLOCK, ["clean"]) == ""


def test_attacks_that_are_named_alone_have_the_headlines_budget(gathered):
    found = budgets(read(gathered), BLOCK)
    assert set(found) == {*EVALUATE["attacks"], "worst"}
    assert found["shift"] == [Budget("linf", 0.1, 20, 3)]


def test_every_block_of_the_main_table_has_its_budgets(queries, gathered):
    table = tables.make(STUDY, "main", read(queries))
    assert "L2 ε 1.5, 20 steps: nearest positive, L2." in render.markdown(table)
    tex = render.latex(table)
    assert "L$_\\infty$ $\\varepsilon$ 0.1, 50 steps" in tex
    assert tex.count("{") == tex.count("}")
    many = tables.make(STUDY, "main", read(gathered))
    assert set(many.notes) == set(many.blocks)


def test_the_axis_of_a_sweep_names_its_norm(tmp_path, queries):
    def labels(folder):
        with style.context():
            figure, _ = figures.make(STUDY, "budget", read(folder))
            matplotlib.pyplot.close(figure)
        return {axis.get_xlabel() for axis in figure.axes} - {"", "PGD steps"}

    assert labels(queries) == {"budget ε (L∞, pixel range 1)"}
    l2 = build(
        tmp_path, methods=("none", "eat"), datasets=("digits",), seeds=2,
        evaluate={**QUERIES, "sweep_attack": "nearest_positive_l2"},
    )  # fmt: skip
    assert norm(read(l2), BLOCK, "eps") == "l2"
    assert labels(l2) == {"budget ε (L2, pixel range 1)"}


def test_measurements_that_do_not_say_the_norm_are_shown_without(queries, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    for path in queries.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    manifest = read_sealed(folder / "manifest.json")
    for cell in manifest["cells"]:
        del cell["attack"]["attacks"]
    write_sealed(folder / "manifest.json", manifest)
    old = read(folder)
    assert norm(old, BLOCK, "eps") == ""
    assert note(old, BLOCK, ["nearest_positive", "worst"]) == (
        "ε 0.1, 20 steps: nearest positive. Worst attack: of those with ε 0.1."
    )
