import numpy as np
import pytest
import torch
import toy
from hypothesis import given
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.data.dataset import Dataset, Split
from gauntlet.families.dml.settings import Data
from gauntlet.families.dml.split import class_split, refuse_lone_queries

TOY = toy.dataset()


@given(seed=st.integers(0, 1000), classes=st.integers(1, 4), per=st.integers(1, 24), test=st.integers(1, 24))
def test_classes_are_disjoint_and_the_images_belong_to_them(seed, classes, per, test):
    split = class_split(TOY, Data(train_classes=classes, train_per_class=per), seed, test)
    assert len(split.train_classes) == classes
    assert sorted([*split.train_classes, *split.test_classes]) == list(range(6))
    assert np.array_equal(np.bincount(split.train_labels), [per] * classes)
    assert set(split.test_labels) == set(split.test_classes)
    assert len(split.test_labels) == test * (6 - classes)
    assert len(np.unique(split.test_index)) == len(split.test_index)
    assert np.array_equal(TOY.test.images[split.test_index], split.test.images.numpy())
    assert np.array_equal(TOY.test.labels[split.test_index], split.test_labels)
    originals = split.train_classes[split.train_labels]
    for image, label in zip(split.train.images[:3].numpy(), originals[:3], strict=True):
        rows = (TOY.train.images == image).all(axis=(1, 2, 3))
        assert label in TOY.train.labels[rows]


def test_classes_rotate_over_seeds_so_that_each_is_tested():
    splits = [class_split(TOY, Data(train_classes=3), seed) for seed in range(8)]
    assert len({tuple(split.test_classes) for split in splits}) > 3
    assert set(np.concatenate([split.test_classes for split in splits])) == set(range(6))


def test_the_same_seed_gives_the_same_split_and_more_images_only_add():
    few = class_split(TOY, Data(train_classes=3), 4, 5)
    again = class_split(TOY, Data(train_classes=3), 4, 5)
    more = class_split(TOY, Data(train_classes=3), 4, 9)
    assert np.array_equal(few.test_index, again.test_index)
    assert set(few.test_index) < set(more.test_index)


def test_all_images_when_no_number_is_given():
    split = class_split(TOY, Data(train_classes=2), 0)
    assert len(split.train_labels) == 2 * 24
    assert len(split.test_labels) == 4 * 24


def test_pixels_are_in_the_unit_interval():
    split = class_split(TOY, Data(train_classes=3), 0)
    pixels = split.train.view()
    assert pixels.dtype == torch.float32
    assert pixels.min() == 0
    assert pixels.max() == 1


def test_a_dataset_with_disjoint_classes_keeps_its_own_split():
    def part(first):
        labels = np.repeat(np.arange(first, first + 3), 4)
        return Split(np.zeros((12, 1, 8, 8), np.uint8), labels)

    own = Dataset(name="own", class_names=tuple("abcdef"), peak=255, train=part(0), test=part(3))
    for seed in (0, 1):
        split = class_split(own, Data(train_classes=3), seed)
        assert split.train_classes.tolist() == [0, 1, 2]
        assert split.test_classes.tolist() == [3, 4, 5]
    with pytest.raises(GauntletError, match="set it to 3"):
        class_split(own, Data(train_classes=2), 0)


def test_too_many_training_classes_are_refused():
    with pytest.raises(GauntletError, match="at most 4"):
        class_split(TOY, Data(train_classes=5), 0)


def dataset_of(train, test, gallery=None):
    """8x8 images with these labels."""

    def part(labels):
        return Split(np.zeros((len(labels), 1, 8, 8), np.uint8), np.array(labels))

    made = Dataset("own", tuple("abcdef"), 255, part(train), part(test))
    if gallery is not None:
        object.__setattr__(made, "gallery", part(gallery))
    return made


def test_a_class_in_both_lists_of_a_zero_shot_set_is_named():
    for wanted in (None, 2):
        with pytest.raises(
            GauntletError, match=r"class 'c' of 'own' is in both splits \(1 of 5 classes are\)"
        ):
            class_split(dataset_of([0, 0, 1, 1, 2, 2], [2, 2, 3, 3, 4, 4]), Data(train_classes=wanted), 0)


def test_a_class_to_train_on_in_the_gallery_is_named():
    with pytest.raises(GauntletError, match="class 'b' of 'own' is in both splits"):
        class_split(dataset_of([0, 0, 1, 1], [2, 2, 3, 3], [2, 3, 1]), Data(), 0)
    split = class_split(dataset_of([0, 0, 1, 1], [2, 3], [2, 3, 3, 4]), Data(), 0)
    assert split.test_classes.tolist() == [2, 3]
    assert split.gallery_labels.tolist() == [2, 3, 3, 4]


def test_queries_that_have_nothing_to_find_are_refused():
    names = tuple("abcdef")
    lone = class_split(dataset_of([0, 0, 1, 1], [2, 2, 3, 4, 4]), Data(), 0)
    with pytest.raises(GauntletError, match="class 'd' has one test image only"):
        refuse_lone_queries(lone, names)
    missing = class_split(dataset_of([0, 0, 1, 1], [2, 3], [2, 2, 4]), Data(), 0)
    with pytest.raises(GauntletError, match="class 'd' has queries, and no image in the gallery"):
        refuse_lone_queries(missing, names)
    refuse_lone_queries(class_split(dataset_of([0, 0, 1, 1], [2, 3], [2, 3]), Data(), 0), names)
    refuse_lone_queries(class_split(TOY, Data(train_classes=3), 0, 2), TOY.class_names)
    with pytest.raises(GauntletError, match=r"evaluate\.test_per_class"):
        refuse_lone_queries(class_split(TOY, Data(train_classes=3), 0, 1), TOY.class_names)
