"""docs/add-a-defense.md, followed word by word in a copy of the package: the toy defense trains."""

import re

import pages
import pytest
import yaml

from gauntlet.data import fetch

PAGE = "docs/add-a-defense.md"
STUDY = "config/studies/eat.yaml"

TRAIN = """
import sys
from pathlib import Path
import gauntlet
from gauntlet.core.config import load_yaml
from gauntlet.core.devices import setup
from gauntlet.core.registry import options
from gauntlet.families.dml import train

method = load_yaml("config/studies/eat.yaml")["methods"]["noise"]
identity = {
    "family": "dml", "dataset": "digits", "architecture": "conv",
    "data": {"train_classes": 5, "train_per_class": 20},
    "method": {"defense": method["defense"], "members": 1, "options": method["options"]},
    "train": {"epochs": 1, "batch": 50, "lr": 1e-3, "proxy_lr": 1e-2, "embedding": 16,
              "loss_options": {"alpha": 16.0}, "eps": 0.1, "step": 0.05, "steps": 1},
}
print(gauntlet.__file__)
print(options("defense", "noise"))
train.run(identity, [0], Path("out"), None, setup("cpu"), Path(sys.argv[1]))
"""


def insert(text, section, lines):
    """``lines`` put right below the top-level key ``section:`` of a YAML text."""
    before, key, after = re.split(rf"^({section}:\n)", text, maxsplit=1, flags=re.MULTILINE)
    return before + key + lines + after


@pytest.fixture
def root(tmp_path):
    root = pages.copy(tmp_path, STUDY)
    (path, code), (study, line) = pages.blocks(PAGE)
    assert (path, study) == ("src/gauntlet/defenses/embeddings/noise.py", STUDY)
    assert f"yaml file={STUDY} insert=methods" in (pages.ROOT / PAGE).read_text()
    assert not (root / path).exists()
    (root / path).write_text(code)
    target = root / study
    target.write_text(insert(target.read_text(), "methods", line))
    return root


def test_the_toy_defense_of_the_page_trains(root):
    methods = yaml.safe_load((root / STUDY).read_text())["methods"]
    assert methods["noise"]["defense"] == "noise"
    assert len(methods) > 5

    digits = fetch.prepare("digits", root / "data" / "digits")
    (root / "train_noise.py").write_text(TRAIN)
    shown = pages.run(f'python train_noise.py "{digits}"', root)
    assert str(root / "src") in shown
    assert "'scale': ('float', False)" in shown
    assert "epoch 1/1 loss" in shown
    assert (root / "out" / "model.safetensors").is_file()
