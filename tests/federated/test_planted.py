"""Attributes that are planted in a federation's images."""

import numpy as np
import pytest
import torch

from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.families.federated import world
from gauntlet.families.federated.settings import Data

NAMES = ["bright_patch", "rotated", "inverted"]
PARTS = ("train", "held_out", "test")


def build(digits, plant=NAMES, seed=0, **changes):
    sizes = {"clients": 3, "per_class": 40, "held_out": 16, "test_per_class": 24, **changes}
    return world.build(digits, parse(Data, {**sizes, "plant": plant}, file="data"), seed, torch.device("cpu"))


def test_a_federation_without_attributes_is_named_as_before():
    assert "plant" not in Data(clients=3).model_dump(mode="json")
    assert Data(clients=3, plant=["noisy"]).model_dump(mode="json")["plant"] == ["noisy"]


def test_every_combination_is_on_equally_many_images_of_every_class(digits):
    """40, 16 and 24 are multiples of 8: then 3 attributes and the class are exactly independent."""
    planted = build(digits)
    for part in PARTS:
        labels = getattr(planted, part).labels.numpy()
        bits = [getattr(planted.attributes[name], part) for name in NAMES]
        _, counts = np.unique(np.stack([labels, *bits]), axis=1, return_counts=True)
        assert len(counts) == 10 * 8
        assert set(counts) == {len(labels) // 80}


def test_images_have_what_their_bits_say_and_nothing_else(digits):
    plain, planted = build(digits, []), build(digits, ["rotated", "bright_patch"])
    assert plain.attributes == {}
    assert [rows.tolist() for rows in plain.rows] == [rows.tolist() for rows in planted.rows]
    for part in PARTS:
        before, after = (getattr(one, part).pixels for one in (plain, planted))
        turned = torch.from_numpy(getattr(planted.attributes["rotated"], part)).bool()
        patched = torch.from_numpy(getattr(planted.attributes["bright_patch"], part)).bool()
        expected = torch.where(turned[:, None, None, None], before.flip(2, 3), before).clone()
        expected[patched, :, -2:, -2:] = 1.0  # a fifth of 8 pixels, rounded
        assert torch.equal(after, expected)


def test_bits_depend_on_the_seed_and_the_part_alone(digits):
    first, again, other = build(digits), build(digits), build(digits, seed=1)
    fewer = build(digits, test_per_class=8)
    for name in NAMES:
        for part in PARTS:
            bits = getattr(first.attributes[name], part)
            assert np.array_equal(bits, getattr(again.attributes[name], part))
            assert not np.array_equal(bits, getattr(other.attributes[name], part))
        assert np.array_equal(first.attributes[name].train, fewer.attributes[name].train)
    assert torch.equal(first.train.pixels, again.train.pixels)


@pytest.mark.parametrize(
    ("names", "says"), [(["bright_path"], "'bright_path'"), (["noisy", "noisy"], "planted once")]
)
def test_what_cannot_be_planted_is_named_with_its_key(names, says):
    with pytest.raises(GauntletError, match=says) as caught:
        parse(Data, {"clients": 3, "plant": names}, file="x.yaml", key="studies.a.grids.0.data")
    assert "x.yaml: studies.a.grids.0.data.plant" in str(caught.value)
