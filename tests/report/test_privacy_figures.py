"""Figures of attacks on federations, on tables made by hand."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from gauntlet.report import figures, style
from gauntlet.report.derived.hidden_attributes import hidden_attributes
from gauntlet.report.figures.attribute_bars import attribute_bars
from gauntlet.report.figures.privacy_utility import privacy_utility
from gauntlet.report.figures.roc import roc
from gauntlet.report.frames import as_scores, whole
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.tables.metrics import metrics
from gauntlet.report.vocabulary import CELL

STUDY = Study(
    study="leaks",
    family="privacy",
    title="Leaks",
    paper={"authors": "A. Nobody", "year": 2024},
    summary="One.",
    threat_model=["One."],
    methods={name: {"label": name.upper()} for name in ("fedavg", "private", "samples")},
)
DATASETS = ("digits", "mnist")
METHODS = {"fedavg": 0.8, "private": 0.55, "samples": 0.5}
SEEDS = 3
FPR = np.logspace(-2, 0, 21)


def cells(rows, method, dataset):
    where = dict(zip(CELL, (dataset, "", "convnet2", method), strict=True))
    return pd.DataFrame(rows).assign(**where)


def scores(method, dataset):
    level, rows = METHODS[method], []
    for seed in range(SEEDS):
        shift = 0.01 * (seed - 1)
        rows += [
            {"seed": seed, "attack": "clean", "metric": "accuracy", "value": 0.2 + level / 2 + shift},
            {"seed": seed, "attack": "loss", "metric": "best_accuracy", "value": level + 2 * shift},
        ]
        for attribute, gain in (("noisy", 0.0), ("bright_patch", 0.1)):
            known = {"attack": "representation", "seed": seed, "detail": attribute}
            rows += [
                {**known, "metric": "accuracy", "value": level + gain + shift},
                {**known, "metric": "advantage", "value": level + gain - 0.5 + shift},
                {**known, "metric": "imputation", "value": 0.49},
                {**known, "metric": "untrained", "value": 0.7},
            ]
    return as_scores(cells(rows, method, dataset))


def curves(method, dataset):
    """TPR is FPR to a power that is 1 where nothing is known, but for one seed that finds nobody at first."""
    rows = [
        {"seed": seed, "attack": attack, "fpr": fpr, "tpr": 0.0 if seed == 0 and fpr < 0.02 else fpr**power}
        for attack, power in (("loss", 1 - (METHODS[method] - 0.5)), ("rmia", 0.2))
        for seed in range(SEEDS)
        for fpr in FPR
    ]
    return cells(rows, method, dataset)


def build(tmp_path, methods=tuple(METHODS), datasets=DATASETS):
    found = Measurements(
        tmp_path, {"study": "leaks", "scale": "mini", "tables": {}, "cells": [], "missing": []}
    )
    places = [(method, dataset) for dataset in datasets for method in methods]
    found.__dict__.update(
        scores=whole("scores", [scores(*place).fillna({"detail": ""}) for place in places]),
        roc=whole("roc", [curves(*place) for place in places]),
    )
    return found


@pytest.fixture
def measured(tmp_path):
    with style.context():
        yield build(tmp_path)
    matplotlib.pyplot.close("all")


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


DRAW = {"roc": roc, "privacy_utility": privacy_utility, "attribute_bars": attribute_bars}


@pytest.mark.parametrize("name", DRAW)
def test_a_panel_per_dataset_with_scale_and_seeds(measured, tmp_path, name):
    figure, frame = DRAW[name](measured, STUDY)
    texts = "\n".join(item.get_text() for item in figure.findobj(matplotlib.text.Text))
    assert "mini scale" in texts
    assert "3 seeds" in texts
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["digits, ConvNet (2 blocks)", "MNIST, ConvNet (2 blocks)"]
    assert legend(figure)[:3] == ["FEDAVG", "PRIVATE", "SAMPLES"]
    assert {"mean", "half_width", "seeds"} <= set(frame.columns)
    assert set(frame["method"]) == set(METHODS)
    written = figures.save(figure, frame, tmp_path / name)
    again = figures.save(*DRAW[name](measured, STUDY), tmp_path / "again")
    assert [one.read_bytes() for one in written] == [one.read_bytes() for one in again]


@pytest.mark.parametrize("name", DRAW)
def test_nothing_measured_gives_a_page_that_says_so(measured, name):
    figure, frame = DRAW[name](measured, STUDY, attack="gap")
    assert frame.empty
    assert "gap" in "\n".join(item.get_text() for item in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("name", DRAW)
def test_methods_are_chosen_and_keep_their_looks(measured, name):
    figure, frame = DRAW[name](measured, STUDY, methods=["samples"])
    assert set(frame["method"]) == {"samples"}
    assert legend(figure)[0] == "SAMPLES"
    color = style.look(STUDY, "samples").color
    colors = {line.get_color() for line in figure.axes[0].lines}
    bars = {matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in figure.axes[0].patches}
    assert color in colors | bars


def test_curves_are_means_over_seeds_and_nobody_found_lies_on_the_edge(measured):
    figure, frame = roc(measured, STUDY)
    axis = figure.axes[0]
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    line = next(one for one in axis.lines if one.get_color() == style.look(STUDY, "fedavg").color)
    means = frame.query("dataset == 'digits' and method == 'fedavg'").sort_values("fpr")["mean"]
    expected = FPR**0.7 * np.where(FPR < 0.02, 2 / 3, 1)
    assert means.to_numpy() == pytest.approx(expected)
    assert line.get_ydata() == pytest.approx(np.maximum(expected, 0.01))
    assert axis.get_xlim() == pytest.approx((0.01, 1))
    chance = next(one for one in axis.lines if one.get_linestyle() == ":")
    assert chance.get_xdata() == pytest.approx(chance.get_ydata())
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() >= 0.01 - 1e-12
    assert band.max() <= 1.0
    assert legend(figure)[-1] == "chance"


def test_points_stand_at_what_is_given_away_and_what_is_gained(measured):
    figure, frame = privacy_utility(measured, STUDY)
    axis = figure.axes[0]
    points = {
        line.get_color(): (line.get_xdata()[0], line.get_ydata()[0])
        for line in axis.lines
        if len(line.get_xdata()) == 1 and line.get_marker() in style.MARKERS
    }
    for method, level in METHODS.items():
        at = points[style.look(STUDY, method).color]
        assert at == pytest.approx((level, 0.2 + level / 2))
    halves = frame.query("dataset == 'digits' and method == 'fedavg'").set_index("quantity")["half_width"]
    assert halves["privacy"] == pytest.approx(2 * halves["utility"])
    assert axis.get_xlabel() == "loss: attack accuracy, best threshold"
    assert axis.get_ylabel() == "test accuracy"
    assert [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == ":"] == [0.5]


def test_an_attack_on_attributes_counts_with_its_mean_over_them(measured):
    figure, frame = privacy_utility(measured, STUDY, attack="representation", metric="advantage", chance=None)
    means = frame.query("dataset == 'mnist' and quantity == 'privacy'").set_index("method")["mean"]
    assert means.to_dict() == pytest.approx({name: level - 0.45 for name, level in METHODS.items()})
    assert not [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert legend(figure) == ["FEDAVG", "PRIVATE", "SAMPLES"]


def test_the_line_stands_at_what_guessing_reaches(measured):
    """The mean over attributes of the better of chance and the guess: 0.7 and 0.5 here, nowhere below 0.5."""
    easy = measured.scores.eval("dataset == 'digits' and metric == 'imputation' and detail == 'noisy'")
    measured.scores.loc[easy, "value"] = 0.7
    figure, _ = privacy_utility(
        measured, STUDY, attack="representation", metric="accuracy", guess="imputation"
    )
    for axis, expected in zip(figure.axes, (0.6, 0.5), strict=True):
        (line,) = (line for line in axis.lines if line.get_linestyle() == ":")
        assert line.get_xdata()[0] == pytest.approx(expected)


def test_bars_are_as_high_as_the_attack_is_right(measured):
    figure, _ = attribute_bars(measured, STUDY)
    axis = figure.axes[0]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["bright patch", "noisy"]
    heights = sorted((bar.get_x(), bar.get_height()) for bar in axis.patches)
    expected = [level + gain for gain in (0.1, 0.0) for level in METHODS.values()]
    assert [height for _, height in heights] == pytest.approx(expected)
    lines = [float(one.get_segments()[0][0][1]) for one in axis.collections if len(one.get_segments()) == 1]
    assert lines.count(pytest.approx(0.49)) == lines.count(pytest.approx(0.7)) == 2
    assert legend(figure)[3:] == [
        "accuracy of guessing from the class",
        "accuracy on an untrained network",
        "chance",
    ]


def test_a_method_that_was_not_measured_somewhere_leaves_the_others_in_place(tmp_path):
    found = build(tmp_path)
    lost = (found.scores["dataset"] == "mnist") & (found.scores["method"] == "private")
    found.__dict__["scores"] = found.scores[~lost]
    with style.context():
        figure, frame = attribute_bars(found, STUDY)
        assert len(figure.axes[1].patches) == 4
        assert len(frame.query("dataset == 'mnist' and metric == 'accuracy'")) == 4
        scatter, _ = privacy_utility(found, STUDY)
        assert legend(scatter)[:3] == ["FEDAVG", "PRIVATE", "SAMPLES"]
    matplotlib.pyplot.close("all")


def test_attributes_at_chance_are_counted_and_averaged():
    rows = [
        {"seed": 0, "attack": "representation", "detail": name, "metric": metric, "value": value}
        for name, accuracy, gain, guess in (
            ("noisy", 0.55, 0.0, 0.4),
            ("mirrored", 0.56, -0.1, 0.502),
            ("rotated", 0.48, 0.04, 0.5),
            ("male", 0.69, 0.1, 0.66),  # goes with the class: to tell it as often as that gives nothing away
            ("hat", 0.97, 0.1, 0.95),  # rare: whoever says no is right
        )
        for metric, value in (("accuracy", accuracy), ("gain", gain), ("imputation", guess))
    ]
    rows.append({"seed": 0, "attack": "clean", "detail": "", "metric": "accuracy", "value": 0.9})
    found = hidden_attributes({"scores": as_scores(cells(rows, "fedavg", "digits"))})
    assert found.set_index("metric")["value"].to_dict() == pytest.approx(
        {"attribute_accuracy": 0.65, "attribute_gain": 0.028, "attributes_hidden": 3 / 5}
    )
    assert not len(hidden_attributes({"scores": whole("scores", [])}))


def test_a_table_of_metrics_is_of_one_attack(measured):
    table = metrics(measured, STUDY, metrics={"accuracy": 3}, attack="clean")
    means = [line.cells[0].mean for line in table.blocks["digits, ConvNet (2 blocks)"]]
    assert means == pytest.approx([0.2 + level / 2 for level in METHODS.values()])
