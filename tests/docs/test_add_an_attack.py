"""docs/add-an-attack.md, followed word by word in a copy of the package."""

import re

import pages
import pytest

PAGE = "docs/add-an-attack.md"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    root = pages.copy(tmp_path_factory.mktemp("copy"))
    return root, pages.follow(PAGE, root)


def test_the_page_adds_one_file_to_the_package():
    assert [path for path, _ in pages.blocks(PAGE)] == ["src/gauntlet/attacks/scatter.py", "try_scatter.py"]


def test_the_new_attack_is_listed_and_works(outcome):
    root, outputs = outcome
    before, after = map(float, re.findall(r"\d\.\d\d", outputs[0]))
    assert before > 0.1
    assert after < 0.5 * before
    listed = pages.run("python -c \"from gauntlet.core.registry import names; print(names('attack'))\"", root)
    assert "scatter" in listed


def test_its_objective_is_the_formula_on_the_page(outcome):
    root, _ = outcome
    code = """
import torch
from gauntlet.attacks.clean import Clean
from gauntlet.core.registry import resolve
torch.manual_seed(0)
clean, moved, labels = torch.randn(9, 3), torch.randn(4, 3), torch.tensor([0, 0, 1, 1, 1, 4, 4, 4, 4])
rows = torch.tensor([8, 0, 3, 5])
points = clean.clone()
points[rows] = moved
total = sum(float((p - points.mean(0)).square().sum()) for p in points)
groups = [points[labels == k] for k in (0, 1, 4)]
between = sum(len(g) * float((g.mean(0) - points.mean(0)).square().sum()) for g in groups)
scatter = resolve("attack", "scatter")(Clean(clean, labels))
print(abs(float(scatter.objective(moved, rows)) + between / total) < 1e-6)
"""
    (root / "check.py").write_text(code)
    assert pages.run("python check.py", root).strip() == "True"
