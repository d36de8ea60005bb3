"""Tables of pixels and labels: the split, and what is refused."""

import gzip

import numpy as np
import pytest
from handmade import Toy, facts

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch
from gauntlet.data.readers.table import read


def table(rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows).encode()


@pytest.fixture
def toy():
    """As mnist_5k.csv: 784 pixels and the label per line, sorted by class; 5 and 10 lines of two classes."""
    labels = np.repeat([0, 1], [5, 10])
    images = np.random.default_rng(0).integers(0, 256, (15, 784), np.uint8)
    content = table(np.column_stack([images, labels]))
    fields = {
        "name": "toy",
        "title": "Toy",
        "reference": "handmade",
        "licence": "MIT",
        "terms": "vendor",
        "folder": "datasets/toy",
        "classes": ["zero", "one"],
        "shape": [1, 28, 28],
        "peak": 255,
        "counts": {"train": [4, 8], "test": [1, 2]},
        "reader": "table",
        "files": {"table": {"name": "toy.csv", **facts(content)}},
    }
    return Toy({"toy.csv": content}, fields, {"images": images.reshape(-1, 1, 28, 28)})


@pytest.fixture
def entry(toy):
    return toy.entry({"kind": "dvc"})


def test_every_fifth_image_of_a_class_is_for_testing(toy, tmp_path, server):
    packed = gzip.compress(toy.files["toy.csv"], mtime=0)
    server.content["/toy.csv.gz"] = packed
    published = {"kind": "url", "bases": [f"{server.base}/"], "files": {"toy.csv.gz": facts(packed)}}
    folder = fetch.obtain(toy.entry(published), tmp_path / "toy")
    test = [0, 5, 10]
    images = toy.arrays["images"]
    assert np.array_equal(np.load(folder / "test_images.npy"), images[test])
    assert np.array_equal(np.load(folder / "train_images.npy"), np.delete(images, test, 0))
    assert np.load(folder / "test_labels.npy").tolist() == [0, 1, 1]
    assert np.load(folder / "train_labels.npy").tolist() == [0] * 4 + [1] * 8


GOOD = [0] * 784 + [1]


@pytest.mark.filterwarnings("ignore:loadtxt")  # an empty file
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "columns, not 784 pixels"),
        (table([GOOD[1:]]), "784 columns, not 784 pixels"),
        (table([GOOD, GOOD[1:]]), "number of columns"),
        (table([[256, *GOOD[1:]]]), "256"),
        (table([[-1, *GOOD[1:]]]), "-1"),
        (table([["0.5", *GOOD[1:]]]), "0.5"),
        (b"<html>Sorry</html>", "html"),
        (b"\xff\xfe\x00", "decode"),
        (table([GOOD])[:-701], "columns"),
    ],
)
def test_what_is_not_the_table_is_refused(entry, tmp_path, content, reason):
    path = tmp_path / "toy.csv"
    path.write_bytes(content)
    with pytest.raises(GauntletError, match=reason) as caught:
        read({"table": path}, entry)
    assert caught.value.file == path
    assert caught.value.remedy
