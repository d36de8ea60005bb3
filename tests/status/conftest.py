"""A made-up results tree: what jobs of the smoke configuration would have left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from gauntlet.core.files import write_json
from gauntlet.core.provenance import sidecar_path
from gauntlet.core.registry import PACKAGE
from gauntlet.plan import make_plan
from gauntlet.status.state import Look
from gauntlet.status.steps import of_plan

ROOT = PACKAGE.parents[1]


class Tree:
    """Files in the working directory, each as old as is said (seconds before ``now``)."""

    now = 2_000_000_000.0

    def __init__(self, plan):
        self.plan = plan
        self.steps = of_plan(plan)

    def at(self, words: str):
        """The step whose title begins so."""
        (found,) = (step for step in self.steps.values() if step.title.startswith(words))
        return found

    def write(self, path: Path, text: str = "", age: float = 0.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (self.now - age, self.now - age))

    def finish(self, step, age: float, seconds: float = 10.0, code: str | None = None) -> None:
        """What the step's job would leave."""
        for path in step.outputs:
            self.write(path, age=age)
        if step.cell:
            code = code or step.cell.code(step.stage)
            told = {"code": code, "seconds": seconds, "device": "Test CPU"}
            write_json(sidecar_path(step.outputs[-1]), told)

    def begin(self, step, age: float, log: str = "", host: str = "elsewhere") -> None:
        """What its job leaves while it works: a pulse that began 30 s before it was last heard of."""
        who = {"pid": 1, "host": host, "started": self.now - age - 30}
        self.write(step.pulse, f'{json.dumps(who)}\n{{"seconds": 30, "memory": 512.0}}\n', age)
        self.write(step.log, log, age)

    def states(self, **options) -> dict[str, str]:
        return {name: found.state for name, found in Look(self.steps)(self.now, **options).items()}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """`eat` at smoke, two methods."""
    content = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    content["study"] = "eat"
    content["studies"]["eat"]["grids"][0]["methods"] = ["none", "at"]
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    return make_plan(content, file="config/smoke.yaml")


@pytest.fixture
def tree(plan):
    return Tree(plan)
