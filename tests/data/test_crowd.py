"""Crowdsourced labels from miniatures in the publishers' layouts, and what is refused."""

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from handmade import facts, tar, toy_entry, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import resolve
from gauntlet.data import crowd, fetch, prepared, registry

LABELS = b"item,worker,label\n0,10,1\n0,9,0\n2,10,1\n1,9,1\n"
TRUTH = b"item,truth\n0,1\n2,0\n"

HEADER = "!amt_annotation_ids\t!amt_worker_ids\torig_id\tresponse\tgold\n"
SNOW = (HEADER + "Z1\tAQ\t42_0\t1\t1\nZ2\tAY\t42_0\t2\t1\nZ3\tAQ\t1_1\t2\t2\n").encode()

ANSWERS = b"-1 0 -1 2\n-1 -1 -1 1\n-1 1 -1 1\n"
LABELME = {
    "LabelMe/._answers.txt": b"\0\x05\x16\x07",
    "LabelMe/answers.txt": ANSWERS,
    "LabelMe/filenames_train.txt": b"highway_art1.jpg\nstreet_a2.jpg\nhighway_b3.jpg\n",
    "LabelMe/labels_train.txt": b"0\n2\n0\n",
    "LabelMe/train/highway/highway_art1.jpg": b"\xff\xd8",
    "LabelMe/prepared/answers.npy": b"\x93NUMPY",
}

COLUMNS = (
    "annotator_id,trial_index,is_attn_check,true_category,chosen_category,true_label,chosen_label,correct_guess,"
    "cifar10_test_test_idx,image_filename,subcategory,reaction_time,time_elapsed\n"
)
TRIALS = COLUMNS + (
    "0,0,0,airplane,automobile,0,1,0,10,jet_s_1.png,jet,1500.0,1500\n"
    "0,1,1,automobile,automobile,1,1,1,-99999,car_s_2.png,car,900.0,2400\n"
    "0,2,0,automobile,automobile,1,1,1,9,car_s_3.png,car,800.0,3200\n"
    "1,0,0,airplane,airplane,0,0,1,10,jet_s_1.png,jet,-1.0,700\n"
)

#: publication -> reader, role and content of each file, classes, counts, items, workers, labels, truth
SETS = {
    "label.csv and truth.csv": (
        "label_csv",
        {"labels": ("label.csv", LABELS), "truth": ("truth.csv", TRUTH)},
        ["0", "1"],
        {"items": 3, "workers": 2, "labels": [1, 3], "truth": [1, 1]},
        ["0", "1", "2"],  # in the order of their numbers, although 2 comes before 1
        ["9", "10"],
        [(0, 1, 1), (0, 0, 0), (2, 1, 1), (1, 0, 1)],
        [1, crowd.UNKNOWN, 0],
    ),
    "Snow et al.": (
        "snow",
        {"table": ("temp.standardized.tsv", SNOW)},
        ["1", "2"],
        {"items": 2, "workers": 2, "labels": [1, 2], "truth": [1, 1]},
        ["42_0", "1_1"],  # as they first come
        ["AQ", "AY"],
        [(0, 0, 0), (0, 1, 1), (1, 0, 1)],
        [0, 1],
    ),
    "LabelMe": (
        "labelme",
        {"archive": ("deep_LabelMe.tar.gz", tar(*LABELME.items(), mode="w:gz"))},
        ["highway", "insidecity", "tallbuilding"],
        {"items": 3, "workers": 2, "labels": 5, "truth": 3},
        ["highway_art1.jpg", "street_a2.jpg", "highway_b3.jpg"],
        ["1", "3"],  # the columns with a label
        [(0, 0, 0), (0, 1, 2), (1, 1, 1), (2, 0, 1), (2, 1, 1)],
        [0, 2, 0],
    ),
    "CIFAR-10H": (
        "cifar10h",
        {"archive": ("cifar10h-raw.zip", zipped(("cifar10h-raw.csv", TRIALS.encode())))},
        ["airplane", "automobile"],
        {"items": 2, "workers": 2, "labels": [1, 2], "truth": [1, 1]},
        ["9", "10"],
        ["0", "1"],
        [(1, 0, 1), (0, 0, 1), (1, 1, 0)],  # without the check of attention
        [1, 0],
    ),
}


def toy(name, *sources, **changes):
    reader, files, classes, counts, *_ = SETS[name]
    described = {role: {"name": file, **facts(content)} for role, (file, content) in files.items()}
    fields = {"reader": reader, "classes": classes, "counts": counts, "files": described}
    return toy_entry("labels", *sources, **(fields | changes))


@pytest.mark.parametrize("name", SETS)
def test_the_published_layout(name, tmp_path, server, monkeypatch):
    _, files, classes, _, items, workers, labels, truth = SETS[name]
    entry = toy(name, server.source(**dict(files.values())))
    folder = fetch.obtain(entry, tmp_path / "toy")
    pinned = entry.model_copy(update={"prepared": prepared.hashes(folder, entry.prepared_files)})
    monkeypatch.setattr(registry, "entry", lambda name: pinned)
    found = data.load("toy", folder)
    assert (found.form, found.class_names) == ("labels", tuple(classes))
    assert (found.items, found.workers) == (tuple(items), tuple(workers))
    assert found.labels.tolist() == [list(row) for row in labels]
    assert found.truth.tolist() == truth
    assert found.labels.dtype == found.truth.dtype == np.int64
    (folder / "workers.txt").write_text("somebody\n" * len(workers))
    with pytest.raises(GauntletError, match="damaged"):
        data.load("toy", folder)


def test_the_files_of_sets_in_the_users_folder_are_told_apart_by_their_content(tmp_path, monkeypatch):
    for place, labels in (("other", LABELS.replace(b"1,9", b"1,8")), ("toys", LABELS)):
        (tmp_path / "store" / place).mkdir(parents=True)
        (tmp_path / "store" / place / "label.csv").write_bytes(labels)
        (tmp_path / "store" / place / "truth.csv").write_bytes(TRUTH)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    folder = fetch.obtain(toy("label.csv and truth.csv"), tmp_path / "toy")
    assert (folder / "workers.txt").read_text() == "9\n10\n"


def read(name, tmp_path, old=b"", new=b"", **changes):
    """What the reader makes of the files of a set with a part of them replaced."""
    entry = toy(name, **changes)
    paths = {}
    for role, (file, content) in SETS[name][1].items():
        if name == "LabelMe":
            members = {member: body.replace(old, new) for member, body in LABELME.items()}
            content = tar(*((member, body) for member, body in members.items() if body), mode="w:gz")
        elif name == "CIFAR-10H":
            content = zipped(("cifar10h-raw.csv", TRIALS.encode().replace(old, new)))
        else:
            content = content.replace(old, new)
        paths[role] = tmp_path / file
        paths[role].write_bytes(content)
    return resolve("reader", entry.reader)(paths, entry)


FAULTS = [
    ("label.csv and truth.csv", b"0,9,0", b"0,9,7", "the class '7' is unknown"),
    ("label.csv and truth.csv", b"worker", b"annotator", "does not name a column worker"),
    ("label.csv and truth.csv", b"0,9,0", b"0,9", "line 3 does not have the 3 fields of the first"),
    ("label.csv and truth.csv", b"0,9,0", b"0,9,0,1", "line 3 does not have the 3 fields of the first"),
    ("label.csv and truth.csv", b"0,9,0", b"0,9,\xff", "not text"),
    ("label.csv and truth.csv", b"0,9,0", b'0,9,"0', "unexpected end|not.*quote|newline"),
    ("label.csv and truth.csv", b"2,0\n", b"2,0\n2,1\n", "an item has two true classes"),
    ("Snow et al.", b"42_0\t2\t1", b"42_0\t2\t2", "an item has two true classes"),
    ("Snow et al.", b"\tgold", b"\ttruth", "does not name a column gold"),
    ("Snow et al.", b"1_1\t2\t2", b"1_1\t3\t2", "the class '3' is unknown"),
    ("LabelMe", b"0\n2\n0\n", b"0\n2\n", "3 names, 3 lines of answers and 2 true classes"),
    ("LabelMe", b"street_a2", b"highway_b3", "two images have one name"),
    ("LabelMe", ANSWERS, b"", "it has no answers.txt"),
    ("LabelMe", ANSWERS, b"-1 0\n1 0.5\n1 1\n", "a class is not an integer"),
    ("LabelMe", ANSWERS, b"-1 0\n1\n1 1\n", "columns"),
    ("CIFAR-10H", b"automobile,1,1,1,9,", b"frog,1,6,0,9,", "the class 'frog' is unknown"),
    ("CIFAR-10H", b"airplane,airplane,0,0,1,10", b"automobile,airplane,1,0,0,10", "two true classes"),
    ("CIFAR-10H", b"is_attn_check", b"check", "does not name a column is_attn_check"),
]


@pytest.mark.parametrize(("name", "old", "new", "reason"), FAULTS)
def test_what_is_not_the_publishers_is_refused(name, old, new, reason, tmp_path):
    with pytest.raises(GauntletError, match=reason) as caught:
        read(name, tmp_path, old, new)
    assert caught.value.file
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "counts", "reason"),
    [
        (b"2,10,1\n", b"", {}, r"labels: there are \[1, 2\], not \[1, 3\]"),
        (b"2,10,1\n", b"0,10,1\n", {}, "worker 10 labels the item 0 2 times"),
        (b"", b"", {"items": 4}, "there are 3 items, not 4"),
        (b"", b"", {"workers": 3}, "there are 2 workers, not 3"),
        (b"", b"", {"labels": [2, 2]}, r"labels: there are \[1, 3\], not \[2, 2\]"),
        (b"", b"", {"truth": 3}, "truth: there are 2, not 3"),
    ],
)
def test_labels_that_are_not_as_many_as_the_registry_says_are_not_written(
    old, new, counts, reason, tmp_path, server
):
    name = "label.csv and truth.csv"
    files = {"label.csv": LABELS.replace(old, new) if old else LABELS, "truth.csv": TRUTH}
    described = {
        role: {"name": file, **facts(files[file])}
        for role, file in (("labels", "label.csv"), ("truth", "truth.csv"))
    }
    entry = toy(name, server.source(**files), files=described, counts=SETS[name][3] | counts)
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry, tmp_path / "toy")
    assert [path.name for path in tmp_path.iterdir()] == [".toy.lock"]


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, len(LABELS) - 1), byte=st.integers(0, 255), end=st.integers(0, len(LABELS)))
def test_damaged_labels_are_read_or_refused(place, byte, end):
    damaged = (LABELS[:place] + bytes([byte]) + LABELS[place + 1 :])[:end]
    with tempfile.TemporaryDirectory() as scratch, suppress(GauntletError):  # the only exception allowed
        found = read("label.csv and truth.csv", Path(scratch), LABELS, damaged)
        assert found.labels.shape[1] == 3
