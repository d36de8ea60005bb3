"""What the pages say is what the measurements and the registry say."""

import textwrap
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pandas as pd
import pytest
from synthetic import EAT

from gauntlet.core.errors import GauntletError
from gauntlet.data import registry
from gauntlet.report.diagram import boxes
from gauntlet.report.measurements import read
from gauntlet.report.pages.captions import caption
from gauntlet.report.pages.costs import cost
from gauntlet.report.pages.datasets import datasets
from gauntlet.report.study import Step, load

STUDY = load(EAT)
STUDIES = sorted(EAT.parent.glob("*.yaml"))


def test_a_caption_says_methods_images_strength_and_seeds(gathered):
    rows = [("digits", "", "conv", method, "worst", 0.1, 0.01, 5) for method in ("none", "eat")]
    columns = ["dataset", "setting", "architecture", "method", "attack", "mean", "half_width", "seeds"]
    frame = pd.DataFrame(rows, columns=columns)
    text = caption(STUDY, STUDY.figures["comparison"], read(gathered), frame)
    assert text.startswith(
        "Mean and 95% t interval over 5 seeds. Methods: No defense, EAT. 60 test images per seed."
    )
    assert "Worst attack: of those with L∞ ε 0.1." in text
    assert "Not shown, for want of measurements: AT, " in text
    assert text.endswith("Mini scale: not the paper's numbers.")


def test_one_seed_is_said_to_have_no_interval(gathered):
    frame = pd.DataFrame({"seed": [3, 3], "value": [0.1, 0.2]})
    text = caption(STUDY, STUDY.figures["projection"], read(gathered), frame)
    assert text.startswith("Seed 3 alone: no interval.")
    assert "Not shown" not in text  # it does not go by methods


def test_states_of_datasets(tmp_path, monkeypatch):
    """Nothing is here, then a set whole, then one file of it gone."""
    monkeypatch.chdir(tmp_path)
    rows = {row["name"]: row for row in datasets("sheets", {"digits": ["eat"]})}
    assert set(rows) == set(registry.names())
    for name, row in rows.items():
        entry = registry.entry(name)
        assert row["state"].startswith("needs")
        assert (row["state"] == "needs an account") == (entry.terms == "account")
        assert all(count == entry.examples(split) for split, count in row["split"] if split != "items")
        assert row["split"]
    assert rows["digits"]["used"] == ["eat"]
    entry = registry.entry("digits")
    Path(entry.folder).mkdir(parents=True)
    for file in entry.prepared:
        Path(entry.folder, file).write_bytes(b"12345")
    Path("sheets").mkdir()
    Path("sheets/digits.webp").write_bytes(b"RIFF")
    first = datasets("sheets", {})[0]
    assert (first["name"], first["state"], first["bytes"]) == ("digits", "ready", 5 * len(entry.prepared))
    assert first["sheet"] == "data:image/webp;base64,UklGRg=="
    Path(entry.folder, next(iter(entry.prepared))).unlink()
    (broken,) = (row for row in datasets("sheets", {}) if row["name"] == "digits")
    assert (broken["state"], broken["sheet"]) == ("incomplete", "")


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_drawing_of_the_method_holds_its_words_inside_its_boxes(path, across):
    steps = load(path).steps
    assert len(steps) == 3
    root = ElementTree.fromstring(boxes(steps, across=across))
    rects = [
        {key: float(rect.get(key)) for key in ("x", "y", "width", "height")} for rect in root.iter("rect")
    ]
    assert len(rects) == 3
    _, _, width, height = map(float, root.get("viewBox").split())
    said = [text.text for text in root.iter("text")]
    assert " ".join(said) == " ".join(f"{n}. {step.name} {step.does}" for n, step in enumerate(steps, 1))
    for text in root.iter("text"):
        x, y = float(text.get("x")), float(text.get("y"))
        (box,) = (r for r in rects if r["x"] < x < r["x"] + r["width"] and r["y"] < y < r["y"] + r["height"])
        # No letter of a text in common fonts is wider on average than 0.6 of its size (13).
        assert x + 0.6 * 13 * len(text.text) < box["x"] + box["width"] + 13
    assert max(r["x"] + r["width"] for r in rects) < width
    assert max(r["y"] + r["height"] for r in rects) < height


def test_markup_in_a_step_is_escaped():
    root = ElementTree.fromstring(boxes([Step(name="a < b", does='x & "y"')], across=True))
    assert [text.text for text in root.iter("text")] == ["1. a < b", 'x & "y"']


def test_a_run_that_has_not_finished_says_so_and_what_to_do(tmp_path):
    with pytest.raises(GauntletError, match="has not finished") as refused:
        read(tmp_path)
    assert "source=published" in textwrap.dedent(str(refused.value))


def test_models_that_jobs_needed_are_counted_once():
    """Two methods attacked: each has a federation of its own, and both read the same shadow models."""
    shadows = {"folder": "results/shadows/a", "seconds": 40.0, "device": "cpu"}
    cells = [
        {
            "method": method,
            "attack": {"seconds": 3.0, "device": "cpu"},
            "needed": {
                "target": {"folder": f"results/federated/{method}", "seconds": seconds},
                "shadows": shadows,
            },
        }
        for method, seconds in (("fedavg", 10.0), ("flip", 20.0))
    ]
    study = SimpleNamespace(methods=["fedavg", "flip"], label=str.upper)
    found = cost(study, SimpleNamespace(manifest={"cells": cells}))
    assert found["heads"] == ["attacks", "models needed"]
    rows = {label: list(row.values()) for label, row in found["rows"]}
    assert rows == {"FEDAVG": [3, 10], "FLIP": [3, 20], "several methods": [0, 40]}
    assert found["all"] == 76
    assert found["jobs"] == 5
    assert found["devices"] == ["cpu"]
