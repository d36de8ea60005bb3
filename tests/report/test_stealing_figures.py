"""Figures and scores of thefts, on tables made by hand."""

import numpy as np
import pandas as pd
import pytest
from synthetic import png

from gauntlet.report import style
from gauntlet.report.derived.thefts import thefts
from gauntlet.report.figures.accuracy_queries import accuracy_queries
from gauntlet.report.figures.answer_shares import answer_shares
from gauntlet.report.figures.query_samples import query_samples
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import load
from gauntlet.report.vocabulary import CELL

CELLS = ("digits", "", "net3conv")


def frame(method, rows, columns):
    table = pd.DataFrame(rows, columns=columns)
    for position, (name, value) in enumerate(zip(CELL, (*CELLS, method), strict=True)):
        table.insert(position, name, value)
    return table


def progress(method, seed, points):
    rows = [(seed, queries, accuracy, accuracy / 2, 1.0, np.nan) for queries, accuracy in points]
    columns = ["seed", "queries", "accuracy", "agreement", "substitute_loss", "generator_loss"]
    return frame(method, rows, columns)


def answers(method, seed, counts):
    rows = [(seed, q, label, n) for q, column in counts.items() for label, n in enumerate(column)]
    return frame(method, rows, ["seed", "queries", "label", "count"])


@pytest.fixture
def study(request):
    return load(request.config.rootpath / "config/studies/mega.yaml")


@pytest.fixture
def measured(tmp_path):
    found = Measurements(
        tmp_path, {"study": "mega", "scale": "smoke", "tables": {}, "cells": [], "missing": []}
    )
    scores = frame("mega", [(0, "target_accuracy", 0.9)], ["seed", "metric", "value"])
    samples = [(0, index, index % 3, png(20 * index)) for index in range(12)]
    found.__dict__.update(
        progress=pd.concat(
            [
                progress("mega", 0, [(100, 0.1), (200, 0.3), (300, 0.5)]),
                progress("mega", 1, [(150, 0.2), (300, 0.7)]),
                progress("noise", 0, [(100, 0.1), (300, 0.1)]),
            ]
        ),
        answers=pd.concat(
            [
                answers("mega", 0, {100: [60, 40, 0], 200: [10, 90, 0]}),
                answers("noise", 0, {100: [100, 0, 0]}),
            ]
        ),
        samples=pd.concat([frame(m, samples, ["seed", "index", "label", "png"]) for m in ("mega", "noise")]),
        scores=scores,
    )
    return found


def test_bands_are_of_the_latest_measurement_of_every_seed(measured, study):
    with style.context():
        figure, numbers = accuracy_queries(measured, study, points=5)
    mega = numbers.query("method == 'mega' and quantity == 'accuracy'").set_index("queries")
    # Places 100, 150, 200, 250, 300; seed 1 is first measured at 150.
    assert mega["seeds"].tolist() == [1, 2, 2, 2, 2]
    assert mega["median"].tolist() == pytest.approx([0.1, 0.15, 0.25, 0.25, 0.6])
    assert mega["least"].tolist() == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.5])
    assert mega["greatest"].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.7])
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "substitute's test accuracy",
        "agreement with the target",
    ]
    assert set(numbers["method"]) == {"mega", "noise"}


def test_published_points_are_crosses_among_ours_and_an_arrow_beyond(measured, study):
    paper = {"digits": {"label": "published", "points": [[0, 0.1], [250, 0.6], [9000000, 0.9]]}}
    with style.context():
        figure, _ = accuracy_queries(measured, study, paper=paper)
    marks = {line.get_marker(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert marks["x"] == [[250, 0.6]]
    assert marks[">"] == [[1, 0.9]]  # at the right edge
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "published: 90.0% after 9 million" in legend


def test_shares_of_answers_sum_to_one(measured, study):
    with style.context():
        _, numbers = answer_shares(measured, study)
    assert numbers.groupby(["method", "measurement"])["share"].sum().tolist() == pytest.approx([1, 1, 1])
    mega = numbers.query("method == 'mega'").pivot(index="label", columns="measurement", values="share")
    assert mega.to_numpy().tolist() == [[0.6, 0.1], [0.4, 0.9], [0.0, 0.0]]


def test_samples_are_shown_with_their_classes(measured, study):
    with style.context():
        figure, numbers = query_samples(measured, study, images=4)
    assert len(numbers) == 8
    assert [axis.get_title() for axis in figure.axes[:4]] == ["0", "1", "2", "0"]
    assert figure.axes[2].images[0].get_array().max() == 40


@pytest.mark.parametrize("figure", [accuracy_queries, answer_shares, query_samples])
def test_nothing_measured_is_said(tmp_path, study, figure):
    empty = Measurements(
        tmp_path, {"study": "mega", "scale": "smoke", "tables": {}, "cells": [], "missing": []}
    )
    with style.context():
        drawn, numbers = figure(empty, study)
    assert numbers.empty
    assert any("was" in text.get_text() for text in drawn.texts)


def test_the_course_of_a_theft(measured):
    tables = {"progress": measured.progress, "answers": measured.answers}
    found = thefts(tables, last=2).set_index(["method", "seed", "metric"])["value"]
    assert found["mega", 0, "queries"] == 300
    assert found["mega", 0, "best_accuracy"] == 0.5
    assert found["mega", 0, "last_accuracy"] == pytest.approx(0.4)
    assert found["mega", 0, "instability"] == pytest.approx(np.std([0.3, 0.5], ddof=1))
    assert found["mega", 0, "top_share"] == pytest.approx(0.9)
    assert found["mega", 0, "classes"] == 2
    assert found["noise", 0, "classes"] == 1
    assert found["mega", 1, "instability"] == pytest.approx(np.std([0.2, 0.7], ddof=1))
