"""Figures draw what the measurements say, the same way every time, and survive holes."""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from synthetic import EAT, build

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names
from gauntlet.report import figures, style
from gauntlet.report.measurements import read
from gauntlet.report.study import load

STUDY = load(EAT)


@pytest.fixture(autouse=True)
def _style():
    with style.context():
        yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One ensemble, one dataset, two seeds, and the scale with the longest label."""
    folder = tmp_path_factory.mktemp("small")
    return build(folder, methods=("none", "eat"), datasets=("digits",), seeds=2, scale="smoke")


def made(folder, name):
    return figures.make(STUDY, name, read(folder))


def texts(figure) -> str:
    return "\n".join(item.get_text() for item in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("name", list(STUDY.figures))
def test_files_are_written_and_repeat_byte_for_byte(gathered, tmp_path, name):
    first = figures.draw(EAT, name, gathered, tmp_path / "a" / name)
    second = figures.draw(EAT, name, gathered, tmp_path / "b" / name)
    assert [path.suffix for path in first] == [".pdf", ".png", ".csv"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"%PDF")
    assert b"CreationDate" not in first[0].read_bytes()
    frame = made(gathered, name)[1]
    drawn = pd.read_csv(first[2]).assign(setting="")
    pd.testing.assert_frame_equal(drawn, frame, check_dtype=False, rtol=1e-12)
    assert len(frame) > 20


@pytest.mark.parametrize("name", list(STUDY.figures))
def test_every_figure_says_its_scale_and_seeds(gathered, name):
    shown = texts(made(gathered, name)[0])
    assert "mini scale: not the paper's numbers" in shown
    assert "5 seeds" in shown or "one seed (0)" in shown


@pytest.mark.parametrize("name", list(STUDY.figures))
def test_nothing_measured_gives_a_page_that_says_so(tmp_path, name):
    def edit(scores, method, dataset):
        return scores.iloc[:0]

    folder = build(tmp_path, methods=("trades",), datasets=("digits",), seeds=1, edit=edit)
    figure, frame = made(folder, name)
    if name != "projection":  # TRADES is not among its methods, so it too has nothing
        assert frame.empty
    assert any(word in texts(figure) for word in ("No ", "not measured"))
    assert len(figures.draw(EAT, name, folder, tmp_path / name)) == 3


@pytest.mark.parametrize("name", list(STUDY.figures))
def test_missing_methods_leave_the_others_drawn(tmp_path, name):
    folder = build(tmp_path, methods=("none", "eat"), datasets=("digits",), seeds=2)
    frame = made(folder, name)[1]
    assert set(frame["method"]) <= {"none", "eat"}
    assert "eat" in set(frame["method"])


def test_holes_in_one_dataset_are_shown_as_holes(tmp_path):
    def edit(scores, method, dataset):
        lost = ["steps", *(["transfer"] if method == "eat" else [])] if dataset == "digits" else []
        return scores[~scores["suite"].isin(lost)]

    folder = build(tmp_path, methods=("eat", "eat_no_split"), seeds=2, edit=edit)
    for name, panels, rows in (("transfer", 1, 3 * 9), ("budget", 2, (2 * 5 + 4) * 2)):
        figure, frame = made(folder, name)
        assert len(frame) == rows
        assert texts(figure).count("not measured") == panels
        assert len(figures.draw(EAT, name, folder, tmp_path / name)) == 3


def test_every_setting_has_a_row_of_panels_under_its_label(tmp_path):
    folder = build(
        tmp_path, methods=("none", "eat"), datasets=("digits",), settings=("iid", "skewed"), seeds=2
    )
    study = STUDY.model_copy(update={"settings": {"iid": "the same classes", "skewed": "classes apart"}})
    for name in study.figures:
        figure, frame = figures.make(study, name, read(folder))
        assert set(frame["setting"]) == {"iid", "skewed"}
        for label in study.settings.values():
            assert f"digits, {label}, conv net" in texts(figure)


def test_methods_that_a_block_lacks_take_no_line_in_it(tmp_path):
    def without(method, dataset):
        return method == "mixup" and dataset == "digits"

    figure, _ = made(build(tmp_path, methods=("none", "mixup", "eat"), seeds=2, skip=without), "comparison")
    columns = figure.axes[0].get_subplotspec().get_gridspec().ncols
    first, second = ([t.get_text() for t in a.get_yticklabels()] for a in figure.axes[::columns])
    assert (first, second) == (["No defense", "EAT"], ["No defense", "Mixup", "EAT"])
    figure.draw_without_rendering()
    gaps = [abs(a.transData.transform((0, 1))[1] - a.transData.transform((0, 0))[1]) for a in figure.axes]
    assert max(gaps) == pytest.approx(min(gaps), rel=0.01)  # lines are equally far apart everywhere


def test_points_stand_at_their_methods_numbers(gathered):
    figure, frame = made(gathered, "members")
    assert set(frame["method"]) == {"at", "eat", "eat_no_split"}  # the others run at larger scales
    axis = figure.axes[0]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("", "R@1")
    assert [label.get_text() for label in figure.axes[-6].get_xticklabels()] == ["1", "2", "3", "4", "5"]
    assert figure.axes[-1].get_xlabel().replace("\n", " ") == "parts per member"
    means = frame.query("dataset == 'digits' and metric == 'recall@1' and number == 'members N'")
    dots = {(line.get_xdata()[0], line.get_markerfacecolor() == "white"): line for line in axis.lines
            if len(line.get_xdata()) == 1 and line.get_marker() not in ("|", "_", "None")}  # fmt: skip
    assert len(dots) == len(means) == 4
    for row in means.itertuples():
        dot = dots[{"at": 1, "eat": 3}[row.method], row.attack == "clean"]
        assert dot.get_ydata()[0] == pytest.approx(row.mean)
        assert dot.get_color() == style.look(STUDY, row.method).color


def test_an_empty_panel_is_named(gathered):
    with pytest.raises(GauntletError, match="no methods in panel 'N'"):
        figures.make(with_options("members", panels={"N": {}}), "members", read(gathered))


def with_options(name, **options):
    """The study with other options of one figure."""
    entry = STUDY.figures[name].model_copy(update={"options": options})
    return STUDY.model_copy(update={"figures": {**STUDY.figures, name: entry}})


def test_a_sweep_has_a_clean_point_for_the_metrics_that_it_measures(gathered):
    study = with_options("fraction", metrics=["nmi", "ami"])  # the sweep has no AMI
    figure, frame = figures.make(study, "fraction", read(gathered))
    assert set(frame["metric"]) == {"nmi"}
    assert "not measured" in texts(figure)


def test_one_seed_draws_without_interval(tmp_path):
    folder = build(tmp_path, methods=("none", "eat"), datasets=("digits",), seeds=1)
    frame = made(folder, "comparison")[1]
    assert frame["half_width"].isna().all()
    assert (frame["seeds"] == 1).all()


def test_every_figure_draws_with_one_seed(tmp_path):
    from gauntlet.report.figures.collapse import collapse

    folder = build(tmp_path, methods=("none", "eat"), datasets=("digits",), seeds=1)
    for name in STUDY.figures:
        made(folder, name)
    measurements = read(folder)
    vars(measurements)["spread"] = measurements.spread.assign(distance=1.4)  # an axis beyond 1
    assert len(collapse(measurements, STUDY)[1])


def test_drawn_lines_are_the_numbers_of_the_frame(gathered):
    figure, frame = made(gathered, "fraction")
    rows = frame.query("dataset == 'digits' and method == 'none' and metric == 'nmi'").sort_values("x")
    lines = [line for line in figure.axes[0].lines if line.get_color() == style.look(STUDY, "none").color]
    assert np.allclose(lines[0].get_xdata(), rows["x"] * 100)
    assert np.allclose(lines[0].get_ydata(), rows["mean"])
    assert lines[0].get_xdata()[0] == 0  # the clean score


def test_means_are_those_of_the_scores(gathered):
    frame = made(gathered, "comparison")[1]
    scores = pd.read_parquet(gathered / "scores.parquet").query("suite == 'main' and view == 'ensemble'")
    expected = scores.groupby(["dataset", "method", "attack", "metric"])["value"].mean()
    for row in frame.itertuples():
        assert row.mean == pytest.approx(expected[row.dataset, row.method, row.attack, row.metric])


def test_transfer_map_has_attacked_members_in_rows(gathered):
    figure, frame = made(gathered, "transfer")
    image = figure.axes[0].collections[0].get_array().reshape(3, 3)
    cell = frame.query("dataset == 'digits' and method == 'eat'").set_index(["attacked", "scored"])["mean"]
    assert all(image[i, j] == pytest.approx(cell[i, j]) for i in range(3) for j in range(3))
    low, high = sorted(figure.axes[0].get_ylim())
    assert figure.axes[0].get_ylim() == (high, low)  # the first member is at the top
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    for i, j in cell.index:
        assert written[j + 0.5, i + 0.5].startswith(f"{cell[i, j]:.2f}\n±")


def test_projection_draws_every_point_once(gathered):
    figure, frame = made(gathered, "projection")
    drawn = sum(len(c.get_offsets()) for axis in figure.axes for c in axis.findobj(PathCollection))
    assert drawn == len(frame) == 2 * 4 * 2 * 60


def test_looks_differ_and_do_not_depend_on_what_was_run():
    looks = [style.look(STUDY, method) for method in STUDY.methods]
    assert len({(look.color, look.marker) for look in looks}) == len(looks)
    fewer = STUDY.model_copy(update={"figures": {}})
    assert style.look(fewer, "at_x3") == style.look(STUDY, "at_x3")


def drawn_looks(figure) -> dict[str, set[tuple[str, str]]]:
    """Label of each method -> the (colour, marker) pairs that are drawn for it."""
    if figure.legends[0].get_texts()[0].get_text() == "clean":  # a dot plot: methods are on the y axis
        axis = figure.axes[0]
        dots = [line for line in axis.lines if line.get_marker() not in ("|", "None")]
        labels = dict(
            zip(axis.get_yticks(), (text.get_text() for text in axis.get_yticklabels()), strict=True)
        )
        names = [(labels[round(dot.get_ydata()[0])], dot) for dot in dots]
    else:
        (legend,) = figure.legends
        names = [
            (text.get_text(), line) for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
        ]
        kept = {(line.get_color(), line.get_marker()) for _, line in names}
        plotted = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
        assert plotted == kept
    found: dict[str, set] = {}
    for label, line in names:
        found.setdefault(label, set()).add((line.get_color(), line.get_marker()))
    return found


@pytest.mark.parametrize("name", ["comparison", "budget", "fraction"])
def test_a_method_keeps_its_look_when_others_are_absent(gathered, small, name):
    many, few = drawn_looks(made(gathered, name)[0]), drawn_looks(made(small, name)[0])
    assert set(few) == {"No defense", "EAT"}
    assert len(many) > len(few)
    assert all(len(looks) == 1 for looks in many.values())
    assert len(set.union(*many.values())) == len(many)  # no two methods look alike
    assert all(many[label] == few[label] for label in few)


def test_bands_are_the_intervals_of_the_frame(gathered):
    figure, frame = made(gathered, "fraction")
    rows = frame.query("dataset == 'digits' and method == 'eat' and metric == 'nmi'")
    colour = matplotlib.colors.to_rgb(style.look(STUDY, "eat").color)
    (band,) = [c for c in figure.axes[0].collections if tuple(c.get_facecolor()[0][:3]) == colour]
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.round(9)}
    edges = [*rows[["x", "low"]].to_numpy(), *rows[["x", "high"]].to_numpy()]
    expected = {(round(x * 100, 9), round(y, 9)) for x, y in edges}
    assert corners == expected


@pytest.mark.parametrize("name", list(STUDY.figures))
@pytest.mark.parametrize("size", ["full", "small"])
def test_text_is_legible_in_print_and_every_panel_is_labelled(gathered, small, name, size):
    figure = made(gathered if size == "full" else small, name)[0]
    figure.draw_without_rendering()
    shown = [item for item in figure.findobj(matplotlib.text.Text) if item.get_text()]
    assert min(item.get_fontsize() for item in shown) >= 6
    labels = [axis.get_label() for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    assert all(label.get_visible() for label in labels if label.get_text())
    columns = figure.axes[0].get_subplotspec().get_gridspec().ncols
    panels = [panel for panel in figure.axes if panel.get_label() != "<colorbar>"]
    assert all(panel.get_xlabel() for panel in panels[-columns:])  # the bottom row
    rows = panels[::columns] if name in ("projection", "transfer") else panels
    assert all(panel.get_ylabel() for panel in rows) or name == "comparison"  # its lines are named by ticks


@pytest.mark.parametrize("name", list(STUDY.figures))
@pytest.mark.parametrize("size", ["full", "small"])
def test_no_text_leaves_the_page_or_covers_another_label(gathered, small, name, size):
    figure = made(gathered if size == "full" else small, name)[0]
    figure.draw_without_rendering()
    page = figure.bbox
    boxes = []
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    boxes += [(item.get_text(), item.get_window_extent()) for item in (*figure.texts, *legends)]
    for axis in figure.axes:
        for item in (axis.xaxis.label, axis.yaxis.label, axis.title, axis._left_title):
            if item.get_text():
                boxes.append((item.get_text(), item.get_window_extent()))
    assert len(boxes) > 3
    for index, (text, box) in enumerate(boxes):
        inside = [page.x0 - 1 <= box.x0, box.x1 <= page.x1 + 1, page.y0 - 1 <= box.y0, box.y1 <= page.y1 + 1]
        assert all(inside), text
        for other, second in boxes[index + 1 :]:
            assert not box.overlaps(second), (text, other)


def test_plotting_libraries_load_only_for_a_picture():
    modules = "plan cli report.study report.gather report.tables report.claims report.tracking report.figures"
    code = "import sys\n" + "".join(f"import gauntlet.{name}\n" for name in modules.split())
    code += "print(sorted({'matplotlib', 'seaborn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_bad_options_and_names_are_named(gathered, tmp_path):
    with pytest.raises(GauntletError, match="did you mean 'budget'"):
        figures.draw(EAT, "buget", gathered, tmp_path / "x")
    study = STUDY.model_copy(
        update={"figures": {"f": STUDY.figures["budget"].model_copy(update={"options": {"metric": ["f1"]}})}}
    )
    with pytest.raises(GauntletError, match=r"figures\.f\.options\.metric.*\n.*did you mean 'metrics'"):
        figures.make(study, "f", read(gathered))
    assert not list(tmp_path.iterdir())
    assert set(names("figure")) >= {"budget", "comparison", "fraction", "projection", "transfer"}


def test_distances_during_training_are_drawn_as_means_over_the_members(gathered):
    from gauntlet.report.figures.collapse import collapse

    figure, frame = collapse(read(gathered), STUDY, methods=["none", "eat"])
    rows = read(gathered).spread
    rows = rows[(rows["method"] == "eat") & (rows["dataset"] == "digits") & (rows["epoch"] == 2)]
    line = frame[(frame["method"] == "eat") & (frame["dataset"] == "digits") & (frame["x"] == 3)]
    assert line["mean"].item() == pytest.approx(rows["distance"].mean())
    assert "epoch of the training" in texts(figure)
    assert "mean distance (0 to 2)" in texts(figure)
