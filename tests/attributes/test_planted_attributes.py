"""Attributes planted in images: exact counts, values in range, and what each does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter

from gauntlet.core.errors import GauntletError
from gauntlet.data.attributes import ATTRIBUTES, balanced, plant


def pictures(n=40, channels=1, size=9, peak=255, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, peak + 1, (n, channels, size, size), dtype=np.uint8), np.arange(n) % 4


def generator(seed=0):
    return np.random.default_rng(seed)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.integers(0, 3))
def test_both_values_are_on_half_of_every_class(labels, seed):
    labels = np.array(labels)
    bits = balanced(labels, generator(seed))
    for label in set(labels.tolist()):
        ones = bits[labels == label]
        assert abs(int(ones.sum()) - int((1 - ones).sum())) == len(ones) % 2
    assert abs(2 * int(bits.sum()) - len(bits)) <= 1


def test_even_classes_make_the_attribute_exactly_independent():
    labels = np.repeat([0, 1, 2], [10, 4, 26])
    bits = balanced(labels, generator())
    joint = np.zeros((3, 2))
    np.add.at(joint, (labels, bits), 1 / 40)
    np.testing.assert_allclose(joint, np.outer(joint.sum(1), joint.sum(0)))


def test_a_second_attribute_is_independent_of_the_first():
    images, labels = pictures(64)
    images, first = plant("rotated", images, labels, generator())
    _, second = plant("bright_patch", images, 2 * labels + first, generator(1))
    counts = np.zeros((4, 2, 2), int)
    np.add.at(counts, (labels, first, second), 1)
    assert (counts == 4).all()


def test_who_has_it_is_drawn():
    labels = np.zeros(100, int)
    one, other = balanced(labels, generator(1)), balanced(labels, generator(2))
    assert 20 < (one != other).sum() < 80


@pytest.mark.parametrize("name", ATTRIBUTES)
@pytest.mark.parametrize(("channels", "peak"), [(1, 255), (3, 255), (1, 16)])
def test_values_stay_in_range_and_the_rest_is_left_alone(name, channels, peak):
    images, labels = pictures(channels=channels, peak=peak)
    before = images.copy()
    planted, bits = plant(name, images, labels, generator(), peak)
    np.testing.assert_array_equal(images, before)
    assert planted.dtype == np.uint8
    assert planted.shape == images.shape
    assert planted.max() <= peak
    np.testing.assert_array_equal(planted[bits == 0], images[bits == 0])
    changed = (planted != images).reshape(len(images), -1).any(1)
    np.testing.assert_array_equal(changed, bits == 1)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_same_generator_gives_the_same_images(name):
    images, labels = pictures()
    one, other = plant(name, images, labels, generator()), plant(name, images, labels, generator())
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def planted(name, peak=255):
    images, labels = pictures(peak=peak)
    found, bits = plant(name, images, labels, generator(), peak)
    return images[bits == 1], found[bits == 1]


def test_what_each_does():
    before, after = planted("rotated")
    np.testing.assert_array_equal(after, np.rot90(before, 2, axes=(2, 3)))
    before, after = planted("mirrored")
    np.testing.assert_array_equal(after, np.flip(before, axis=3))
    before, after = planted("inverted", peak=16)
    np.testing.assert_array_equal(after.astype(int) + before, np.full_like(before, 16))
    before, after = planted("thickened")
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(other[0], maximum_filter(one[0], 3))
    before, after = planted("bright_patch")
    assert (after[:, :, -2:, -2:] == 255).all()
    after[:, :, -2:, -2:] = before[:, :, -2:, -2:]
    np.testing.assert_array_equal(after, before)


def test_noise_is_of_every_image_and_cut_off():
    grey = np.full((100, 1, 8, 8), 128, np.uint8)
    found, bits = plant("noisy", grey, np.zeros(100, int), generator())
    noise = found[bits == 1].astype(float) - 128
    assert np.abs(noise).max() == 64
    assert noise.std() == pytest.approx(128 / np.sqrt(12), rel=0.05)
    assert abs(noise.mean()) < 4 * 37 / np.sqrt(noise.size)
    assert len(np.unique(found[bits == 1], axis=0)) == 50
    black, ones = plant("noisy", np.zeros_like(grey), np.zeros(100, int), generator())
    assert (black[ones == 1] == 0).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("name", "images", "problem"),
    [
        ("rotate", pictures()[0], "did you mean 'rotated'"),
        ("rotated", pictures()[0].astype(np.float32), "uint8"),
        ("rotated", pictures()[0][:, 0], "uint8"),
        ("rotated", pictures(39)[0], "their labels"),
    ],
)
def test_bad_input_is_named(name, images, problem):
    with pytest.raises(GauntletError, match=problem):
        plant(name, images, pictures()[1], generator())
