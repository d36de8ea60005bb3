"""Who is asked about: members are clients' images, the others are not, and classes say nothing."""

import numpy as np
import pytest
import torch
from toy_privacy import DATA

from gauntlet.families.federated import world
from gauntlet.families.federated.settings import Data
from gauntlet.families.shadows import pool


def drawn(digits, seed=0, **changes):
    built = world.build(digits, Data(**{**DATA, **changes}), seed, torch.device("cpu"))
    return built, pool.draw(built, seed)


def among(images, others):
    """(n,) bool: whether each image is one of the others, pixel by pixel."""
    known = {one.numpy().tobytes() for one in others}
    return np.array([one.numpy().tobytes() in known for one in images])


def histogram(images, rows):
    return torch.bincount(images.labels[rows], minlength=10).tolist()


@pytest.mark.parametrize(
    "changes", [{}, {"partition": "dirichlet", "options": {"alpha": 0.3}}, {"per_class": None}]
)
def test_members_are_clients_images_and_the_others_are_test_images(digits, changes):
    built, found = drawn(digits, **changes)
    n = len(found.rows)
    assert len(found.images) == 2 * n
    assert found.member.tolist() == [True] * n + [False] * n
    assert torch.equal(found.images.pixels[:n], built.train.pixels[found.rows])
    assert torch.equal(found.images.labels[:n], built.train.labels[found.rows])
    assert among(found.images.pixels[n:], built.test.pixels).all()
    assert not among(found.images.pixels[n:], built.train.pixels).any()
    assert len({one.numpy().tobytes() for one in found.images.pixels[n:]}) == n
    assert histogram(found.images, slice(n)) == histogram(found.images, slice(n, None))


def test_all_images_that_can_be_balanced_are_candidates(digits):
    assert histogram(drawn(digits)[1].images, slice(None)) == [24] * 10  # 12 of 12 members, 12 of 20 others
    assert histogram(drawn(digits, test_per_class=5)[1].images, slice(None)) == [10] * 10


def test_the_population_is_what_nobody_has_trained_on(digits):
    built, found = drawn(digits)
    assert histogram(found.population, slice(None)) == [8] * 10
    assert among(found.population.pixels, built.test.pixels).all()
    assert not among(found.population.pixels, found.images.pixels).any()
    built, found = drawn(digits, test_per_class=12)
    assert torch.equal(found.population.pixels, built.held_out.pixels)
    assert len(drawn(digits, test_per_class=12, held_out=0)[1].population) == 0


@pytest.mark.parametrize("per_class", [None, 2])
def test_a_clients_candidates_are_its_own_images_and_as_many_others(digits, per_class):
    built, found = drawn(digits)
    seen = []
    for rows in built.rows:
        chosen = found.candidates(rows, per_class)
        members = chosen[found.member[chosen]]
        assert set(found.rows[members]) <= set(rows.tolist())
        wanted = torch.bincount(built.train.labels[rows], minlength=10).clamp(max=per_class or 99).tolist()
        assert histogram(found.images, members) == wanted
        assert histogram(found.images, chosen[len(members) :]) == wanted
        assert not found.member[chosen[len(members) :]].any()
        seen += members.tolist()
    assert len(set(seen)) == len(seen)
    assert (len(seen) == len(found.rows)) == (per_class is None)


def test_the_draw_is_the_seeds(digits):
    first, again, other = (drawn(digits, seed)[1] for seed in (0, 0, 1))
    assert torch.equal(first.images.pixels, again.images.pixels)
    assert not torch.equal(first.images.pixels, other.images.pixels)
