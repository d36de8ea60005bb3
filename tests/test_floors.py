"""Imports point downward only: a module imports from its own floor or below."""

import ast

import pytest

from gauntlet.core.registry import PACKAGE

FLOORS = {
    "core": 1,
    "data": 2,
    "losses": 2,
    "models": 2,
    "metrics": 2,
    "aggregation": 3,
    "attacks": 3,
    "attributes": 3,
    "blackbox": 3,
    "defenses": 3,
    "distillation": 3,
    "inversion": 3,
    "membership": 3,
    "selection": 3,
    "stealing": 3,
    "families": 4,
    "report": 5,
    "cell": 6,
    "costs": 6,
    "cluster": 6,
    "options": 6,
    "plan": 6,
    "registered": 6,
    "reproduce": 6,
    "runs": 6,
    "schemas": 6,
    "status": 6,
    "cli": 7,
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import (the code digest follows absolute ones)"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path):
    rooms = path.relative_to(PACKAGE).with_suffix("").parts
    if rooms == ("__init__",):
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "gauntlet" and len(parts) > 1 and parts[1] in FLOORS:
            assert FLOORS[parts[1]] <= FLOORS[rooms[0]], f"{path.name} imports {name} from above"
            if rooms[0] == "report" and parts[1] == "families":
                pytest.fail("report knows measurement files, never families")


def test_nothing_imports_the_workflow_engine():
    for path in FILES:
        assert not any(name.split(".")[0] == "snakemake" for name in imported(path)), path
