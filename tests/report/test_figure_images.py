"""Pictures of synthetic measurements against kept ones; and that what is drawn can be told apart."""

import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.testing.compare import compare_images
from synthetic import EAT, build

from gauntlet.report import figures, style
from gauntlet.report.measurements import read
from gauntlet.report.study import load

STUDY = load(EAT)
BASELINES = Path(__file__).parent / "baselines"
DPI = 50


@pytest.fixture(autouse=True)
def _style():
    with style.context():
        yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return build(folder, methods=("none", "at", "eat"), datasets=("digits",), seeds=3)


@pytest.mark.parametrize("name", ["comparison", "budget", "transfer", "projection"])
def test_a_figure_looks_as_it_did(small, tmp_path, name):
    """A change that is meant: look at the picture that the failure names, then copy it over the kept one."""
    figure, _ = figures.make(STUDY, name, read(small))
    drawn = tmp_path / f"{name}.png"
    figure.savefig(drawn, dpi=DPI)
    assert (BASELINES / drawn.name).is_file(), f"keep {drawn} in {BASELINES}"
    fault = compare_images(str(BASELINES / drawn.name), str(drawn), tol=2)
    assert fault is None, fault


def test_a_figure_that_lost_a_method_looks_different(small, tmp_path):
    """The tolerance is small enough to see one line go."""
    entry = STUDY.figures["budget"]
    less = entry.model_copy(update={"options": {**entry.options, "methods": ["none", "eat"]}})
    figure, _ = figures.make(STUDY.model_copy(update={"figures": {"budget": less}}), "budget", read(small))
    figure.savefig(tmp_path / "budget.png", dpi=DPI)
    assert compare_images(str(BASELINES / "budget.png"), str(tmp_path / "budget.png"), tol=2)


#: Machado, Oliveira, Fernandes 2009, severity 1: linear sRGB as seen by three kinds of colour blindness.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(linear):
    """CIE L*a*b* (D65) of linear sRGB."""
    matrix = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    x, y, z = (
        np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116
        for v in np.array(matrix) @ np.clip(linear, 0, 1) / [0.95047, 1, 1.08883]
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_for_every_kind_of_colour_vision(vision):
    """A difference of 2.3 is just noticeable; the palette keeps six times that."""
    colours = np.array([matplotlib.colors.to_rgb(colour) for colour in style.PALETTE])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = [lab(np.array(VISION[vision]) @ colour) for colour in linear]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 13.8


@pytest.mark.parametrize("path", sorted(EAT.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_two_attacks_of_a_study_share_a_colour(path):
    study = load(path)
    colours = [style.attack_look(study, attack).color for attack in study.attacks]
    assert len(set(colours)) == len(colours)


@pytest.mark.parametrize("path", sorted(EAT.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_two_methods_of_a_study_look_alike(path):
    study = load(path)
    looks = [style.look(study, method) for method in study.methods]
    assert len(set(looks)) == len(looks)


def test_a_comparison_of_many_blocks_takes_pages_that_fit(small, tmp_path):
    """Three methods in each of twelve settings: every block once, in order, none taller than a page."""
    settings = [f"s{number:02}" for number in range(12)]
    measurements = read(small)
    many = pd.concat([measurements.scores.assign(setting=setting) for setting in settings])
    vars(measurements)["scores"] = many  # in place of the table
    pages, frame = figures.make(STUDY, "comparison", measurements)
    assert len(pages) == 2
    titles = [axis.get_title(loc="left") for page in pages for axis in page.axes]
    assert [title for title in titles if title] == [f"digits, {setting}, conv net" for setting in settings]
    assert all(page.get_figheight() < style.PAGE + 0.6 for page in pages)  # and its legend
    pdf, png, _ = figures.save(pages, frame, tmp_path / "many")
    assert pdf.read_bytes().count(b"/Type /Page ") == 2
    heights = [page.get_figheight() * figures.DPI for page in pages]
    assert int.from_bytes(png.read_bytes()[20:24], "big") == pytest.approx(sum(heights), abs=2)
