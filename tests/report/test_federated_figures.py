"""Figures and tables of federated studies, on hand-made trials with known numbers."""

import numpy as np
import pandas as pd
import pytest
from federated_trials import WHERE, trial, write
from synthetic import REPOSITORY

from gauntlet.core.errors import GauntletError
from gauntlet.report import figures, style, tables
from gauntlet.report.study import load
from gauntlet.report.tables import render
from gauntlet.selection.base import Federation
from gauntlet.selection.fedemd import FedEMD

FILE = REPOSITORY / "config/studies/fedemd.yaml"
STUDY = load(FILE)
PICKS = [(0, 3), (1, 3), (0, 1), (2, 3)]
GAINS = [(3, 1), (2, 2), (5, 5), (1, 3)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Random and FedEMD (two seeds each), a policy, and random selection without a Maverick."""
    trials = [
        trial("random", 0, hits=[(40, 0), (60, 20), (80, 60), (90, 90)], picked=PICKS, values=GAINS),
        trial("random", 1, hits=[(60, 0), (80, 20), (80, 60), (90, 70)], picked=PICKS, values=GAINS),
        trial("fedemd", 0, hits=[(50, 0), (90, 90), (90, 60), (90, 90)], picked=PICKS),
        trial("fedemd", 1, hits=[(50, 0), (70, 90), (90, 90), (90, 90)], picked=PICKS),
        trial("always", 0, hits=[(50, 50)] * 4, picked=PICKS, values=GAINS),
        trial("always", 1, hits=[(50, 50)] * 4, picked=PICKS, values=GAINS),
        trial("random", 0, hits=[(90, 90)] * 4, picked=[(0, 1)] * 4, setting="iid"),
        trial("fedemd", 0, hits=(), picked=PICKS * 10, setting="picks"),
    ]
    seconds = {"random": {"0": 2.0, "1": 4.0}, "fedemd": {"0": 2.2, "1": 4.0}, "always": {"0": 2.0, "1": 2.0}}
    return write(tmp_path_factory.mktemp("measured"), STUDY, trials, seconds)


@pytest.fixture(autouse=True)
def _style():
    with style.context():
        yield


def draw(name, measured):
    figure, frame = figures.make(STUDY, name, measured, file=FILE)
    figure.draw_without_rendering()
    return frame


def at(frame, **values):
    for column, wanted in values.items():
        frame = frame[frame[column] == wanted]
    return frame


@pytest.mark.parametrize("name", list(STUDY.figures))
def test_every_figure_is_drawn_and_saved(measured, name, tmp_path):
    figure, frame = figures.make(STUDY, name, measured, file=FILE)
    written = figures.save(figure, frame, tmp_path / name)
    assert all(path.stat().st_size > 200 for path in written)


def test_curves_are_means_over_seeds(measured):
    frame = draw("accuracy", measured)
    means = at(frame, method="random", quantity="accuracy").set_index("round")["mean"]
    assert means.tolist() == pytest.approx([0.25, 0.45, 0.70, 0.85])
    assert at(frame, method="fedemd")["seeds"].unique().tolist() == [2]


def test_the_reference_curve_comes_from_its_own_setting(measured):
    frame = draw("policies", measured)
    assert at(frame, setting="iid")["mean"].tolist() == pytest.approx([0.9] * 4)
    recall = at(frame, setting="exclusive-1", method="random", quantity="maverick_recall")
    assert recall["mean"].tolist() == pytest.approx([0, 0.2, 0.6, 0.8])


def test_rounds_to_target(measured):
    frame = draw("r99", measured)
    assert at(frame, method="fedemd")["mean"].item() == pytest.approx((2 + 2) / 2)
    assert at(frame, method="random")["mean"].item() == pytest.approx(4)


def test_the_mavericks_share_by_round(measured):
    frame = at(draw("contribution", measured), method="random", quantity="share")
    # a bin per round here; none before the first, no Maverick in the third; accuracies before: .2, .4 and .7
    second = np.mean([(2 + before / 2) / (4 + before) for before in (0.2, 0.3)])
    fourth = np.mean([(3 + 0.35) / (4 + 0.7)] * 2)
    assert frame["mean"].tolist() == pytest.approx([second, fourth])


def test_fairness_by_round(measured):
    frame = at(draw("fairness", measured), method="always")  # an accuracy of 0.5 throughout
    shares = [2.25 / 4.5, 3.25 / 4.5]
    assert frame["mean"].tolist() == pytest.approx([1 - (5 / 6 - share) for share in shares])


def test_the_formula_of_the_picks_is_fedemds_at_a_balanced_current_distribution(measured):
    frame = draw("picks", measured)
    drawn = at(frame, method="fedemd", theory=True)["mean"].to_numpy()
    histograms = np.array([[10, 0], [10, 0], [10, 0], [10, 40]])
    method = FedEMD(alpha=0.15, beta=0.0015)
    method.begin(Federation(histograms, 2, 40, (3,)))
    method.current = np.array([1000.0, 1000.0])
    weights = np.array([method.weights(round)[3] for round in range(1, 41)])
    expected = 50 * (1 - (1 - weights) ** 2)
    assert drawn == pytest.approx(expected.reshape(4, 10).mean(axis=1))
    assert len(at(frame, method="fedemd", theory=False)) == 4


def test_the_partition_shows_who_owns_what(measured):
    frame = at(draw("partition", measured), setting="exclusive-1")
    assert at(frame, client=3, label=1)["samples"].item() == 40
    assert at(frame, client=0, label=1)["samples"].item() == 0
    assert frame["seed"].unique().tolist() == [0]


def numbers(name, measured):
    table = tables.make(STUDY, name, measured, file=FILE)
    return {row.keys[0]: row.cells for rows in table.blocks.values() for row in rows}, table


def test_our_rounds_stand_beside_the_papers():
    options = STUDY.tables["table1"].options["paper"]["fashion-mnist"]
    assert (options["random"], options["fedemd"]) == ([110.7], [79.7])


def test_table1(measured):
    rows, table = numbers("table1", measured)
    assert rows["FedEMD"][0].mean == pytest.approx(2)
    assert rows["Random"][2].mean == 1
    assert rows["FedEMD"][-1] is None  # the paper has no such dataset
    assert table.caption == STUDY.tables["table1"].caption
    assert "digits, one Maverick, 2-conv net" in render.markdown(table)


def test_table2_is_relative_to_random_seed_by_seed(measured):
    rows, _ = numbers("table2", measured)
    assert rows["Random"][0].mean == 1
    assert rows["FedEMD"][0].mean == pytest.approx((2.2 / 2 + 4 / 4) / 2)
    assert rows["FedEMD"][-1].mean == 1.04


def test_a_study_without_rounds_says_so(measured, monkeypatch):
    nothing = pd.DataFrame(columns=measured.rounds.columns)
    monkeypatch.setitem(measured.__dict__, "rounds", nothing)
    figure, frame = figures.make(STUDY, "accuracy", measured, file=FILE)
    assert frame.empty
    assert "No round was measured" in figure.texts[0].get_text()


def test_where_a_figure_and_a_table_share_a_name(tmp_path):
    clash = FILE.read_text().replace("  table1:\n", "  r99:\n", 1)
    path = tmp_path / "fedemd.yaml"
    path.write_text(clash)
    with pytest.raises(GauntletError, match="a figure has this name too"):
        load(path)


def test_where(measured):
    assert set(measured.rounds["dataset"]) == {WHERE["dataset"]}
