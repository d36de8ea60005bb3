"""Sheets of samples show the training images, a column per class."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from gauntlet.core.errors import GauntletError
from gauntlet.data import sheet


def test_each_tile_is_a_training_image_of_its_column(digits):
    drawn = np.asarray(sheet.sheet(digits).convert("L"))
    step, factor = sheet.TILE + sheet.SPACE, sheet.TILE // 8
    assert drawn.shape == (sheet.ROWS * step - sheet.SPACE, 10 * step - sheet.SPACE)
    labels = np.asarray(digits.train.labels)
    for label in range(10):
        rows = np.flatnonzero(labels == label)[: sheet.ROWS]
        for at, row in enumerate(rows):
            tile = drawn[at * step :, label * step :][: sheet.TILE, : sheet.TILE]
            expected = digits.train.images[row, 0].astype(int) * 255 // 16
            assert np.array_equal(tile, np.kron(expected, np.ones((factor, factor), int)))
    assert (drawn[:, sheet.TILE : step] == 255).all()


def test_a_sheet_is_a_picture_of_the_verified_set(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "load", lambda name, splits: digits)
    out = sheet.draw("digits", tmp_path / "a/digits.webp")
    with Image.open(out) as image:
        assert (image.format, image.size) == ("WEBP", sheet.sheet(digits).size)
    again = sheet.draw("digits", tmp_path / "b/digits.webp")
    assert out.read_bytes() == again.read_bytes()


def test_a_set_that_is_not_here_leaves_no_sheet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GauntletError, match="not prepared"):
        sheet.draw("digits", tmp_path / "digits.webp")
    assert not list(tmp_path.iterdir())


def test_a_set_without_images_is_refused(tmp_path):
    with pytest.raises(GauntletError, match="'iris' has no images"):
        sheet.draw("iris", tmp_path / "iris.webp")


def test_a_set_for_testing_alone_shows_its_test_images(digits):
    turned = dataclasses.replace(digits, train=None, test=digits.train)
    assert sheet.sheet(turned).tobytes() == sheet.sheet(digits).tobytes()
