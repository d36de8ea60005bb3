"""Figures of reconstructions, on tables made by hand."""

import pandas as pd
import pytest
from synthetic import png

from gauntlet.core.errors import GauntletError
from gauntlet.report import style
from gauntlet.report.claims.comparisons import Selection
from gauntlet.report.claims.words import measure
from gauntlet.report.figures.attack_curves import attack_curves
from gauntlet.report.figures.attack_scores import attack_scores
from gauntlet.report.figures.reconstructions import reconstructions
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import load
from gauntlet.report.vocabulary import CELL


def frame(setting, method, rows, columns):
    table = pd.DataFrame(rows, columns=columns)
    place = ("digits", setting, "plain3conv", method)
    for position, (name, value) in enumerate(zip(CELL, place, strict=True)):
        table.insert(position, name, value)
    return table


def pictures(setting, method, clients, attacks=("original", "agic")):
    """An image per client: 10 times its number, one lighter when reconstructed."""
    rows = [
        (seed, attack, client, 0, client % 3, png(10 * client + (attack != "original")))
        for seed in (0, 1)
        for attack in attacks
        for client in clients
    ]
    return frame(setting, method, rows, ["seed", "attack", "target", "index", "label", "png"])


def reconstructed(setting, method, clients):
    rows = [(0, "agic", client, 0, 20.0 + client, 0.5) for client in clients]
    return frame(setting, method, rows, ["seed", "attack", "target", "index", "psnr", "ssim"])


def psnr(setting, method, attack, *values):
    rows = [(seed, attack, "psnr", value) for seed, value in enumerate(values)]
    return frame(setting, method, rows, ["seed", "attack", "metric", "value"])


@pytest.fixture
def study(request):
    return load(request.config.rootpath / "config/studies/agic.yaml")


@pytest.fixture
def measured(tmp_path):
    found = Measurements(
        tmp_path, {"study": "agic", "scale": "smoke", "tables": {}, "cells": [], "missing": []}
    )
    scores = pd.concat(
        [
            psnr("single", "none", "agic", 30.0, 32.0),
            psnr("single", "none", "ig", 29.0, 29.0),
            psnr("single", "noise", "agic", 10.0, 12.0),
            psnr("steps-8", "none", "agic", 15.0, 17.0),
        ]
    )
    clients = (0, 3)
    found.__dict__.update(
        pictures=pd.concat(
            [
                pictures("single", "none", clients, ("original", "ig", "agic")),
                pictures("single", "noise", clients),
                pictures("single", "secure", (0, 3, 5)),
            ]
        ),
        reconstructions=pd.concat(
            [reconstructed("single", method, clients) for method in ("none", "noise", "secure")]
        ),
        scores=scores,
        costs=psnr("single", "none", "agic", 1.0).iloc[:0],
    )
    return found


def headings(figure, columns):
    return [text.get_text().replace("\n", " ") for axis in figure.axes[:columns] for text in axis.texts]


def shown(axes):
    """The brightness of every image."""
    return [int(axis.images[0].get_array().max()) for axis in axes]


def test_every_image_is_beside_what_attacks_make_of_it(measured, study):
    with style.context():
        figure, numbers = reconstructions(measured, study)
    # A line for each of the images 0, 30 and 50; the last is seen under secure aggregation alone.
    assert len(figure.axes) == 3 * 5
    assert headings(figure, 5) == [
        "original",
        "No defense: IG (frozen, equal weights)",
        "No defense: AGIC",
        "Noise: AGIC",
        "Secure aggregation: AGIC",
    ]
    assert set(numbers["seed"]) == {0}
    second = figure.axes[5:10]
    assert shown(second) == [30, 31, 31, 31, 31]
    assert [axis.get_title() for axis in second[2:]] == ["23.0 dB"] * 3
    assert [len(axis.images) for axis in figure.axes[10:]] == [1, 0, 0, 0, 1]


def test_a_sum_shows_an_image_beside_its_own_though_it_is_another_target(measured, study):
    moved = pictures("single", "secure", (3, 0)).assign(index=lambda rows: rows["target"] // 3, target=0)
    kept = measured.pictures[measured.pictures["method"] != "secure"]
    measured.__dict__["pictures"] = pd.concat([kept, moved])
    with style.context():
        figure, _ = reconstructions(measured, study, methods=["none", "secure"], attacks=["agic"])
    assert headings(figure, 3) == ["original", "No defense", "Secure aggregation"]
    assert shown(figure.axes) == [0, 1, 1, 30, 31, 31]


def test_images_are_limited_and_nothing_measured_is_said(measured, study):
    with style.context():
        figure, _ = reconstructions(measured, study, methods=["secure"], attacks=["agic"], images=2)
    assert len(figure.axes) == 4
    with style.context():
        figure, numbers = reconstructions(measured, study, settings=["full-8"])
    assert numbers.empty
    assert any("No image" in text.get_text() for text in figure.texts)


def test_curves_are_means_over_seeds_at_the_settings_numbers(measured, study):
    with style.context():
        figure, numbers = attack_curves(
            measured, study, number="local steps", settings={"single": 1, "steps-8": 8}, metrics=["psnr"]
        )
    agic = numbers[numbers["attack"] == "agic"]
    assert agic[["x", "mean", "seeds"]].values.tolist() == [[1, 31, 2], [8, 16, 2]]
    assert figure.axes[0].get_xlabel() == "local steps"
    assert figure.axes[0].get_ylabel() == "PSNR (dB)"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["IG (frozen, equal weights)", "AGIC"]  # the study's order


def test_a_mean_above_the_axis_is_a_triangle_at_its_end(measured, study):
    with style.context():
        figure, _ = attack_curves(
            measured, study, number="steps", settings={"single": 1, "steps-8": 8}, metrics=["psnr"],
            most={"psnr": 30},
        )  # fmt: skip
    assert figure.axes[0].get_ylim()[1] == 30
    assert figure.axes[0].lines[-1].get_xydata().tolist() == [[1, 30]]
    assert figure.axes[0].lines[-1].get_marker() == "^"


def test_a_defense_and_its_undefended_twin_share_a_line(measured, study):
    with style.context():
        figure, numbers = attack_scores(measured, study, metrics=["psnr"], settings=["single"])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "IG (frozen, equal weights)",
        "AGIC",
    ]
    means = numbers.set_index(["method", "attack"])["mean"]
    assert means.to_dict() == {("none", "ig"): 29, ("none", "agic"): 31, ("noise", "agic"): 11}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["No defense", "Noise"]


def test_lines_may_be_defenses(measured, study):
    with style.context():
        figure, _ = attack_scores(measured, study, metrics=["psnr"], settings=["single"], lines="method")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["No defense", "Noise"]
    assert len(figure.legends[0].get_texts()) == 2  # IG and AGIC


def test_attacks_have_looks_of_their_own(study):
    looks = [style.attack_look(study, attack) for attack in study.attacks]
    assert len(set(looks)) == len(looks)


def test_claims_call_attacks_by_the_studys_names(study):
    assert measure(Selection("none", "psnr", attack="agic_e3"), study) == "PSNR (dB), AGIC, 3 rounds"


def test_a_claim_may_name_only_known_attacks(tmp_path, request):
    text = (request.config.rootpath / "config/studies/agic.yaml").read_text()
    path = tmp_path / "agic.yaml"
    path.write_text(text.replace("  agic_e3: AGIC, 3 rounds\n", ""))
    with pytest.raises(GauntletError, match="unknown attack 'agic_e3'"):
        load(path)
