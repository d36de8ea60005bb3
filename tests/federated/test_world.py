"""Who gets which images, and which the server keeps."""

import numpy as np
import pytest
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.families.federated import world
from gauntlet.families.federated.settings import Data


def build(dataset, seed=0, **changes):
    data = Data(**{"clients": 5, "per_class": 30, "held_out": 7, "test_per_class": 12, **changes})
    return world.build(dataset, data, seed, torch.device("cpu"))


def fingerprints(images):
    """Images as bytes: the digits have no two alike."""
    return [pixels.numpy().tobytes() for pixels in images.pixels]


def test_clients_server_and_test_share_no_image(digits):
    made = build(digits)
    for images, per_class in ((made.train, 30), (made.held_out, 7), (made.test, 12)):
        assert torch.bincount(images.labels).tolist() == [per_class] * 10
        assert images.pixels.shape == (10 * per_class, 1, 8, 8)
        assert images.pixels.dtype == torch.float32
        assert images.labels.dtype == torch.int64
    parts = [set(fingerprints(images)) for images in (made.train, made.held_out, made.test)]
    assert [len(part) for part in parts] == [300, 70, 120]
    assert len(set.union(*parts)) == 490


def test_pixels_are_those_of_the_set_between_0_and_1(digits):
    made = build(digits)
    known = {
        (np.asarray(image) / np.float32(16)).astype(np.float32).tobytes(): int(label)
        for image, label in zip(digits.train.images, digits.train.labels, strict=True)
    }
    assert [known[mark] for mark in fingerprints(made.train)] == made.train.labels.tolist()
    assert made.train.pixels.max() == 1
    assert made.train.pixels.min() == 0


def test_clients_own_all_training_images(digits):
    made = build(digits, partition="maverick", options={"pure": True})
    assert torch.equal(torch.cat(made.rows).sort().values, torch.arange(300))
    for rows, histogram in zip(made.rows, made.histograms, strict=True):
        assert torch.bincount(made.train.labels[rows], minlength=10).tolist() == histogram.tolist()
    assert made.partition.mavericks == (4,)
    assert made.histograms[4].tolist() == [0, 30] + [0] * 8


def test_all_images_are_used_where_no_number_is_given(digits):
    made = build(digits, per_class=None, held_out=0, test_per_class=None)
    assert (len(made.train), len(made.held_out), len(made.test)) == (1433, 0, 364)


def test_more_images_only_add_to_those_there_are(digits):
    few, many = build(digits), build(digits, per_class=60, test_per_class=20)
    assert set(fingerprints(few.train)) < set(fingerprints(many.train))
    assert set(fingerprints(few.test)) < set(fingerprints(many.test))
    assert fingerprints(few.held_out) == fingerprints(many.held_out)


def test_the_seed_draws_images_and_owners(digits):
    one, same, other = build(digits), build(digits), build(digits, seed=1)
    assert fingerprints(one.train) == fingerprints(same.train)
    assert all(torch.equal(a, b) for a, b in zip(one.rows, same.rows, strict=True))
    for part in ("train", "held_out", "test"):
        assert set(fingerprints(getattr(one, part))) != set(fingerprints(getattr(other, part)))
    assert not all(torch.equal(a, b) for a, b in zip(one.rows, other.rows, strict=True))


def test_the_server_cannot_keep_a_whole_class(digits):
    smallest = int(np.bincount(digits.train.labels).min())
    assert len(build(digits, held_out=smallest - 1, per_class=None, clients=2).train) >= 10
    with pytest.raises(GauntletError, match=f"{smallest} training images") as caught:
        build(digits, held_out=smallest)
    assert caught.value.key == "data.held_out"


def test_a_partition_that_does_not_fit_is_refused(digits):
    with pytest.raises(GauntletError) as caught:
        build(digits, clients=301)
    assert caught.value.key == "data.clients"
    with pytest.raises(GauntletError, match="did you mean 'maverick'"):
        build(digits, partition="mavericks")
