"""Cars196 from miniatures of all its publications: the same photos give the same prepared bytes."""

import io

import numpy as np
import pytest
import yaml
from handmade import facts, packed, photo, photo_entry, tar, totals, zipped
from scipy.io import savemat

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared
from gauntlet.data.sources import folder

CLASSES = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van 2012", "smart fortwo 2012"]
COUNTS = totals(train=(5, 2), test=(6, 2))
#: Labels (from 1 on) of the photos of the two splits for classification, in their order.
SPLITS = {"train": [3, 1, 4, 1, 2, 3], "test": [2, 4, 1, 3, 4]}


@pytest.fixture(scope="module")
def photos():
    """The photos of the two splits."""
    return {
        split: [photo(100 * (split == "test") + index, (24, 18)) for index in range(len(labels))]
        for split, labels in SPLITS.items()
    }


def mat(**variables):
    out = io.BytesIO()
    savemat(out, variables, do_compression=True)
    return out.getvalue()


def annotations(columns):
    """A 1 x n array of structs, as MATLAB writes it."""
    fields = list(columns)
    array = np.zeros((1, len(columns[fields[0]])), [(field, object) for field in fields])
    for field in fields:
        for index, value in enumerate(columns[field]):
            array[0, index][field] = value
    return array


def names():
    array = np.empty((1, len(CLASSES)), object)
    array[0] = CLASSES
    return array


def box(count):
    return {
        f"bbox_{corner}": [np.uint16(index + 1) for index in range(count)]
        for corner in ("x1", "y1", "x2", "y2")
    }


def split_annotations(split, **changes):
    labels = SPLITS[split]
    return annotations(
        {
            **box(len(labels)),
            "class": [np.uint8(label) for label in labels],
            "fname": [f"{index:05}.jpg" for index in range(1, len(labels) + 1)],
            **changes,
        }
    )


def by_split(photos, **changes):
    """The publication for classification: four files."""
    kit = {
        "devkit/README.txt": b"",
        "devkit/cars_train_annos.mat": mat(annotations=split_annotations("train")),
        "devkit/cars_test_annos.mat": b"without labels",
        "devkit/cars_meta.mat": mat(class_names=names()),
    }
    files = {
        f"cars_{split}.tgz": tar(
            *((f"cars_{split}/{index:05}.jpg", body) for index, body in enumerate(bodies, 1)), mode="w:gz"
        )
        for split, bodies in photos.items()
    }
    files["car_devkit.tgz"] = tar(*kit.items(), mode="w:gz")
    files["cars_test_annos_withlabels.mat"] = mat(annotations=split_annotations("test"))
    return {**files, **changes}


def original(photos, **changes):
    """The first publication: all photos in one folder, numbered anew, and their annotations."""
    everything = [
        (label, body, split == "test")
        for split in ("test", "train")
        for label, body in zip(SPLITS[split], photos[split], strict=True)
    ]
    everything.sort(key=lambda row: row[0])
    paths = [f"car_ims/{index:06}.jpg" for index in range(1, len(everything) + 1)]
    table = annotations(
        {
            "relative_im_path": paths,
            **box(len(paths)),
            "class": [np.uint8(label) for label, *_ in everything],
            "test": [np.uint8(test) for *_, test in everything],
            **changes,
        }
    )
    images = {path: body for path, (_, body, _) in zip(paths, everything, strict=True)}
    return images, mat(annotations=table, class_names=names())


def folders(photos):
    """Kaggle's: a folder per class, without slashes, and tables."""
    files = {"names.csv": "".join(f"{name}\n" for name in CLASSES).encode()}
    for split, labels in SPLITS.items():
        lines = [f"{index:05}.jpg,1,2,30,40,{label}" for index, label in enumerate(labels, 1)]
        files[f"anno_{split}.csv"] = ("\r\n".join(lines) + "\r\n").encode()
        for index, (label, body) in enumerate(zip(labels, photos[split], strict=True), 1):
            name = CLASSES[label - 1].replace("/", "-")
            files[f"car_data/car_data/{split}/{name}/{index:05}.jpg"] = body
    return files


NAMES = {
    "train": "cars_train.tgz",
    "test": "cars_test.tgz",
    "devkit": "car_devkit.tgz",
    "test_labels": "cars_test_annos_withlabels.mat",
}


def entry(files, *sources):
    listed = {role: {"name": name, **facts(files[name])} for role, name in NAMES.items()}
    return photo_entry(*sources, reader="cars196", counts=COUNTS, files=listed)


def expected(photos, first, last):
    import hashlib

    rows = [
        (label - 1, hashlib.sha256(body).hexdigest(), body)
        for split, labels in SPLITS.items()
        for label, body in zip(labels, photos[split], strict=True)
        if first <= label <= last
    ]
    return [(f"{label}/{digest}", label, body) for label, digest, body in sorted(rows)]


def test_the_publication_for_classification(photos, server, tmp_path):
    files = by_split(photos)
    target = fetch.obtain(entry(files, server.source(**files)), tmp_path / "toy")
    assert packed(target, "train") == expected(photos, 1, 2)
    assert packed(target, "test") == expected(photos, 3, 4)
    assert "Ram C/V Cargo Van 2012" in (target / "dataset.json").read_text()


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A source for a form of the user's folder, and the folder with its files."""
    monkeypatch.setattr(folder, "LISTINGS", tmp_path)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    (tmp_path / "store").mkdir()

    def make(reader, files, known):
        listing = {"files": {name: known(content) for name, content in files.items()}}
        (tmp_path / "listing.yaml").write_text(yaml.safe_dump(listing))
        for name, content in files.items():
            (tmp_path / "store" / name).write_bytes(content)
        return {"kind": "folder", "reader": reader, "listing": "listing.yaml"}

    return make


def md5(content):
    import hashlib

    return {"md5": hashlib.md5(content).hexdigest()}


def unverified(content):
    return {"unverified": True}


KAGGLE = "stanford-car-dataset-by-classes-folder.zip"


def forms(photos):
    images, table = original(photos)
    archived = {f"cars196/{path}": body for path, body in {**images, "cars_annos.mat": table}.items()}
    ims = tar(*reversed(images.items()), mode="w:gz")
    return {
        "original": ("cars196_original", {"car_ims.tgz": ims, "cars_annos.mat": table}, md5),
        "zip": ("cars196_original", {"CARS196.zip": zipped(*archived.items())}, unverified),
        "folders": ("cars196_folders", {KAGGLE: zipped(*folders(photos).items())}, unverified),
    }


@pytest.mark.parametrize("form", ["original", "zip", "folders"])
def test_every_publication_gives_the_same_bytes(photos, server, listed, tmp_path, form, monkeypatch):
    files = by_split(photos)
    other = fetch.obtain(entry(files, listed(*forms(photos)[form])), tmp_path / "other")
    monkeypatch.delenv("GAUNTLET_DATA")
    toy = entry(files, server.source(**files))
    target = fetch.obtain(toy, tmp_path / "toy")
    assert prepared.hashes(other, toy.prepared_files) == prepared.hashes(target, toy.prepared_files)


def test_photos_encoded_anew_are_refused_once_another_publication_is_pinned(photos, server, listed, tmp_path):
    files = by_split(photos)
    toy = entry(files, server.source(**files))
    pins = prepared.hashes(fetch.obtain(toy, tmp_path / "toy"), toy.prepared_files)
    again = {split: [photo(index, (24, 17)) for index in range(len(b))] for split, b in photos.items()}
    source = listed(*forms(again)["zip"])
    pinned = toy.model_copy(update={"prepared": pins, "sources": entry(files, source).sources})
    with pytest.raises(GauntletError, match="its SHA-256 after preparation is not the registry's"):
        fetch.obtain(pinned, tmp_path / "other")


def kit_with(**changes):
    return tar(
        ("devkit/cars_train_annos.mat", mat(annotations=split_annotations("train", **changes))),
        ("devkit/cars_meta.mat", mat(class_names=names())),
        mode="w:gz",
    )


TEST_LABELS = "cars_test_annos_withlabels.mat"
DAMAGE = {
    "no MATLAB file": ({TEST_LABELS: b"not a MATLAB file" * 20}, "not a MATLAB file of format 5"),
    "no annotations": ({TEST_LABELS: mat(x=np.zeros(3))}, "it has no struct array of this name"),
    "numbers for structs": ({TEST_LABELS: mat(annotations=np.zeros(3))}, "it has no struct array"),
    "no labels": (
        {TEST_LABELS: mat(annotations=annotations({"fname": ["00001.jpg"]}))},
        "no field 'class'",
    ),
    "a class of text": (
        {"car_devkit.tgz": kit_with(**{"class": ["x", *SPLITS["train"][1:]]})},
        "neither text",
    ),
    "a photo not there": (
        {"car_devkit.tgz": kit_with(fname=[f"{index:05}.jpg" for index in range(2, 8)])},
        r"cars_train\.tgz: it has no cars_train/00007\.jpg",
    ),
    "a class 0": (
        {"car_devkit.tgz": kit_with(**{"class": [np.uint8(0)] * 6})},
        "labels are outside|images are listed",
    ),
    "no devkit": ({"car_devkit.tgz": tar(("x", b""), mode="w:gz")}, "it has no devkit/cars_meta"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(photos, server, tmp_path, damage):
    changes, reason = DAMAGE[damage]
    files = by_split(photos, **changes)
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry(files, server.source(**files)), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


KAGGLE_DAMAGE = {
    "a photo missing": (
        lambda files: (
            {name: body for name, body in files.items() if not name.endswith("train/smart/00003.jpg")}
            | {"anno_train.csv": files["anno_train.csv"].replace(b"00003", b"00009")}
        ),
        r"it has no train/\*/00009\.jpg",
    ),
    "a photo among another class": (
        lambda files: {**files, "anno_train.csv": files["anno_train.csv"].replace(b"40,4", b"40,1")},
        "class 1 is in 2 folders",
    ),
    "no names": (
        lambda files: {name: body for name, body in files.items() if name != "names.csv"},
        r"it has no names\.csv",
    ),
}


@pytest.mark.parametrize("damage", KAGGLE_DAMAGE)
def test_a_damaged_archive_of_folders(photos, listed, tmp_path, damage):
    alter, reason = KAGGLE_DAMAGE[damage]
    content = zipped(*alter(folders(photos)).items())
    source = listed("cars196_folders", {KAGGLE: content}, unverified)
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(entry(by_split(photos), source), tmp_path / "toy")
