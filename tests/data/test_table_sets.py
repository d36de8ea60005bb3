"""Tables of numbers: scikit-learn's, Letter Recognition from a miniature, and what is refused."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from handmade import facts, toy_entry

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, prepared_table, registry, sizes
from gauntlet.data.readers import letter
from gauntlet.data.readers.sklearn_csv import read

SKLEARN = {"iris": "load_iris", "wine": "load_wine", "breast-cancer": "load_breast_cancer"}


@pytest.mark.parametrize("name", SKLEARN)
def test_packaged_tables_are_what_scikit_learn_loads(name, tmp_path):
    folder = fetch.prepare(name, tmp_path / name)
    found, reference = data.load(name, folder), getattr(sklearn.datasets, SKLEARN[name])()
    assert prepared.hashes(folder, registry.entry(name).prepared_files) == registry.entry(name).prepared
    assert found.class_names == tuple(map(str, reference.target_names))
    assert found.feature_names == tuple(map(str, reference.feature_names))
    assert (found.form, found.validation) == ("table", None)
    test = np.zeros(len(reference.target), bool)
    for label in range(len(found.class_names)):
        test[np.flatnonzero(reference.target == label)[::5]] = True
    for split, chosen in ((found.train, ~test), (found.test, test)):
        assert np.array_equal(split.features, reference.data[chosen])
        assert np.array_equal(split.labels, reference.target[chosen])
        assert len(split) == chosen.sum()
        assert (split.features.dtype, split.labels.dtype) == (np.float64, np.int64)
        assert not split.features.flags.writeable


def test_the_registry_knows_the_size_of_a_table_but_no_images():
    with pytest.raises(GauntletError, match="'iris' has no images"):
        sizes.form("iris")
    assert sizes.taken("wine", "train", per_class=40, held_out=2) == 40 + 40 + 36
    spec = importlib.util.find_spec("sklearn.datasets.data")
    published = Path(spec.origin).parent / "iris.csv"
    assert sizes.prepared_bytes(registry.entry("iris")) == published.stat().st_size


ROWS = ["T,2,8,3", "I,5,12,15", "T,4,11,0", "I,1,1,1", "I,0,0,0", "T,9,9,9"]


@pytest.fixture
def letters(monkeypatch, server):
    """A source with six rows as in letter-recognition.data, the first four for training."""
    monkeypatch.setattr(letter, "TRAIN", 4)
    content = "".join(f"{row}\n" for row in ROWS).encode()
    return toy_entry(
        "table",
        server.source(**{"letter-recognition.data": content}),
        classes=["I", "T"],
        features=["x-box", "y-box", "width"],
        counts={"train": 2, "test": 1},
        reader="letter",
        files={"table": {"name": "letter-recognition.data", **facts(content)}},
    )


def test_letter_recognition(letters, tmp_path):
    folder = fetch.obtain(letters, tmp_path / "toy")
    assert np.load(folder / "train_features.npy").tolist() == [[2, 8, 3], [5, 12, 15], [4, 11, 0], [1, 1, 1]]
    assert np.load(folder / "train_labels.npy").tolist() == [1, 0, 1, 0]
    assert np.load(folder / "test_features.npy").tolist() == [[0, 0, 0], [9, 9, 9]]
    assert np.load(folder / "test_labels.npy").tolist() == [0, 1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"Q,1,2,3\n", "the class 'Q' is unknown"),
        (b"T,1,2.5,3\n", "2.5"),
        (b"T,1,2,3\nT,1,2\n", "columns"),
        (b"T,1,x,3\n", "x"),
        (b"\xff\xfe", "decode"),
    ],
)
def test_what_is_not_letter_recognition_is_refused(letters, tmp_path, content, reason):
    path = tmp_path / "letter-recognition.data"
    path.write_bytes(content)
    with pytest.raises(GauntletError, match=reason) as caught:
        letter.read({"table": path}, letters)
    assert caught.value.file == path


@pytest.fixture(scope="module")
def small():
    return toy_entry(
        "table",
        classes=["no", "yes"],
        features=["a", "b"],
        counts={"train": 1, "test": 1},
        reader="sklearn_csv",
        files={"table": {"name": "toy.csv", **facts(b"x")}},
    )


GOOD = "4,2,no,yes\n1,2,0\n3,4.5,0\n5,6,1\n7,-8e-1,1\n"


def test_the_header_and_the_split(small, tmp_path):
    path = tmp_path / "toy.csv"
    path.write_text(GOOD)
    found = read({"table": path}, small)
    prepared_table.check(found, small)
    assert found["test_features"].tolist() == [[1, 2], [5, 6]]
    assert found["train_features"].tolist() == [[3, 4.5], [7, -0.8]]


@pytest.mark.filterwarnings("ignore:loadtxt")  # an empty file
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "its first line is"),
        (GOOD.replace("4,2", "5,2", 1), "its first line is 5,2,no,yes, not 4,2,no,yes"),
        (GOOD.replace("no", "nay"), "its first line is"),
        (GOOD.replace("4.5", "four"), "four"),
        (GOOD.replace("4.5,0", "4.5,0.5"), "a label is not an integer"),
        (GOOD.replace("3,4.5,0\n", "3,4.5\n"), "columns"),
        ("1,2,no,yes\n1,2,3,0\n", "4 columns, not 2 features and a label"),
    ],
)
def test_what_is_not_the_table_is_refused(small, tmp_path, content, reason):
    path = tmp_path / "toy.csv"
    path.write_text(content)
    with pytest.raises(GauntletError, match=reason) as caught:
        read({"table": path}, small)
    assert caught.value.file == path


def arrays(**changes):
    fine = {
        "train_features": np.zeros((2, 2)),
        "train_labels": np.array([0, 1]),
        "test_features": np.ones((2, 2)),
        "test_labels": np.array([1, 0]),
    }
    return fine | changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"train_features": np.zeros((2, 3))}, r"train features are float64 \(2, 3\), not float64 \(2, 2\)"),
        ({"train_features": np.zeros((2, 2), np.float32)}, "train features are float32"),
        ({"test_features": np.array([[0, np.nan], [0, 0]])}, "a test value is nan"),
        ({"train_labels": np.array([0, 2])}, "train labels are outside 0 to 1"),
        ({"train_labels": np.array([0.0, 1.0])}, "not one integer per row"),
        ({"test_labels": np.array([1, 1])}, r"test rows per class are \[0, 2\], not \[1, 1\]"),
    ],
)
def test_a_table_that_is_not_the_registrys_is_not_written(small, tmp_path, changes, reason):
    prepared_table.check(arrays(), small)
    with pytest.raises(GauntletError, match=reason):
        prepared_table.write(arrays(**changes), small, tmp_path / "toy")
    assert not (tmp_path / "toy").exists()
