"""Small federations of digits and who attacks them; also a script that attacks one, to be killed.

python toy_privacy.py DATA ROOT OUT STATE [SEED ...]
"""

import sys
from importlib import import_module
from pathlib import Path

import pandas as pd

from gauntlet.cell import Cell
from gauntlet.core.config import parse
from gauntlet.families.privacy import evaluate, settings

DATA = {"clients": 3, "per_class": 12, "test_per_class": 20, "held_out": 8}
FEDERATED = {"rounds": 2, "selected": 3, "epochs": 2, "batch": 8, "lr": 0.1}
DISTILLED = {"rounds": 2, "steps": 10, "lr": 0.2}
SHADOWS = {"models": 4, "epochs": 3, "batch": 8, "lr": 0.1}

UPDATES = {"selection": "random"}
SAMPLES = {"distillation": "random_real", "options": {"per_class": 2}}
ALONE = {"distillation": "local", "options": {"batch": 8, "lr": 0.1}}


def identity(method=UPDATES, data=None, federated=None, shadows=SHADOWS, architecture="convnet2"):
    """As the plan makes it of a grid."""
    parts = {
        "data": parse(settings.Data, {**DATA, **(data or {})}, file="data"),
        "method": parse(settings.Method, method, file="method"),
        "train": parse(
            settings.Train,
            {"federated": {**FEDERATED, **(federated or {})}, "distilled": DISTILLED, "shadows": shadows},
            file="train",
        ),
    }
    parts = {name: part.model_dump(mode="json") for name, part in parts.items()}
    return {"family": "privacy", "dataset": "digits", "architecture": architecture, **parts}


def cell(what, block="0"):
    return Cell("privacy", what["dataset"], what["architecture"], block, what, {})


def train(what, root, folder, seeds=(0,)):
    """Train what the cell needs, each once; returns name -> its weights."""
    found = {}
    for name, needed in cell(what).needs("attack").items():
        out = Path(root) / needed.family / needed.model
        found[name] = out / "model.safetensors"
        if not found[name].exists():
            job = import_module(f"gauntlet.families.{needed.family}.train")
            job.run(needed.identity, list(seeds), out, None, "cpu", folder)
    return found


def attacks(membership=("loss",), attributes=(), **limits):
    """Settings of an evaluation; an attack with options is a pair."""

    def listed(names, kind):
        pairs = [(name, {}) if isinstance(name, str) else name for name in names]
        return {name: {kind: name, "options": options} for name, options in pairs}

    return {
        "membership": listed(membership, "membership"),
        "attributes": listed(attributes, "attribute_inference"),
        **limits,
    }


def measured(what, how, root, folder, out, seeds=(0,)):
    """The tables of a cell whose needed cells are trained below ``root``."""
    evaluate.run(what, how, list(seeds), out, "cpu", folder, **train(what, root, folder, seeds))
    return {name: pd.read_parquet(out / f"{name}.parquet") for name in settings.TABLES["attack"]}


def values(scores, attack, **where):
    """Metric -> value of one attack."""
    for column, value in {"attack": attack, **where}.items():
        scores = scores[scores[column] == value]
    assert not scores["metric"].duplicated().any()
    return dict(zip(scores["metric"], scores["value"], strict=True))


#: What the script attacks, and how.
WHAT, HOW = identity(), attacks(["loss", "rmia"])

if __name__ == "__main__":
    from moments import say

    data_folder, root, out, state, *seeds = sys.argv[1:]
    seeds = [int(seed) for seed in seeds]
    measure = evaluate.Trial.measure

    def announcing(self, exchanged):
        say(f"begins {self.seed}")
        rows = measure(self, exchanged)
        say(f"ends {self.seed}")
        return rows

    evaluate.Trial.measure = announcing
    weights = train(WHAT, root, data_folder, seeds)
    evaluate.run(WHAT, HOW, seeds, Path(out), "cpu", Path(data_folder), Path(state), **weights)
