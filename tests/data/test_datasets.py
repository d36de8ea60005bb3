"""The sets of the registry, as this checkout prepares them."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import commands, fetch, prepared, registry

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return fetch.prepare("digits", tmp_path_factory.mktemp("prepared") / "digits")


@pytest.fixture
def copy(digits, tmp_path):
    return Path(shutil.copytree(digits, tmp_path / "digits"))


def test_digits_are_scikit_learns(digits):
    from sklearn.datasets import load_digits

    reference = load_digits()
    found = data.load("digits", digits)
    assert found.peak == reference.images.max() == 16
    assert found.class_names == tuple(str(name) for name in reference.target_names)
    test = np.zeros(len(reference.target), bool)
    for label in range(10):
        test[np.flatnonzero(reference.target == label)[::5]] = True
    for split, chosen in ((found.train, ~test), (found.test, test)):
        assert np.array_equal(split.images[:, 0], reference.images[chosen])
        assert np.array_equal(split.labels, reference.target[chosen])


def test_what_load_promises(digits):
    found = data.load("digits", digits)
    for split, count in ((found.train, 1433), (found.test, 364)):
        assert len(split) == count
        assert split.images.dtype == np.uint8
        assert split.images.shape == (count, 1, 8, 8)
        assert isinstance(split.images, np.memmap)
        assert split.images.flags.c_contiguous
        assert not split.images.flags.writeable
        assert split.labels.dtype == np.int64


def test_preparation_is_deterministic(digits, tmp_path):
    again = fetch.prepare("digits", tmp_path / "digits")
    assert prepared.hashes(again) == prepared.hashes(digits) == registry.entry("digits").prepared


@pytest.mark.parametrize("file", registry.PREPARED)
def test_a_flipped_byte_is_caught_and_repaired(copy, file):
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    with pytest.raises(GauntletError, match="damaged") as caught:
        data.load("digits", copy)
    assert caught.value.file == copy / file
    assert "gauntlet data fetch digits" in caught.value.remedy
    fetch.prepare("digits", copy)
    data.load("digits", copy)


def test_a_missing_file_is_named(copy):
    (copy / "test_labels.npy").unlink()
    with pytest.raises(GauntletError, match=r"test_labels\.npy: .* missing"):
        data.load("digits", copy)


def test_a_set_that_is_not_prepared(tmp_path):
    with pytest.raises(GauntletError, match="not prepared") as caught:
        data.load("digits", tmp_path / "digits")
    assert caught.value.remedy == "gauntlet data fetch digits"


def test_an_unknown_name():
    for function in (data.load, data.folder, fetch.prepare):
        with pytest.raises(GauntletError, match="did you mean 'digits'"):
            function("digit")


def test_unknown_names_are_refused_before_anything_is_fetched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GauntletError, match="unknown dataset"):
        commands.fetch(["digits", "nope"])
    assert list(tmp_path.iterdir()) == []


def test_the_commands(tmp_path, monkeypatch, copy):
    monkeypatch.chdir(tmp_path)

    def states():
        return {row["name"]: row["state"] for row in commands.status()}

    assert set(states().values()) == {"absent"}
    with pytest.raises(GauntletError, match="no dataset is prepared"):
        commands.verify()
    folder = registry.folder("digits")
    assert commands.fetch(["digits"]) == [folder]
    assert states()["digits"] == "prepared"
    assert commands.verify() == ["digits"]
    (folder / "dataset.json").write_text("{}")
    assert states()["digits"] == "damaged (dataset.json)"
    with pytest.raises(GauntletError, match=r"dataset\.json"):
        commands.verify(["digits"])


def test_folder_imports_nothing_heavy():
    code = "import sys; from gauntlet import data; data.folder('digits'); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "gauntlet.data.registry" in run.stdout.split()
    assert not {"numpy", "torch", "pandas", "gauntlet.data.fetch"} & set(run.stdout.split())


def at_hand(name, tmp_path_factory):
    """The real set: prepared in this checkout already, or else fetched."""
    here = ROOT / registry.folder(name)
    return here if here.is_dir() else fetch.prepare(name, tmp_path_factory.mktemp("big") / name)


@pytest.fixture(scope="module")
def fashion(tmp_path_factory):
    return at_hand("fashion-mnist", tmp_path_factory)


@pytest.fixture(scope="module")
def mnist_5k(tmp_path_factory):
    return at_hand("mnist-5k", tmp_path_factory)


OUT = {"md5", "size", "nfiles", "hash", "path"}  # what a pin says of a folder


def pin(path, files):
    """What DVC writes when it adds a folder with these files (name in the folder -> file)."""
    listing = [
        {"md5": hashlib.md5(files[name].read_bytes()).hexdigest(), "relpath": name} for name in sorted(files)
    ]
    return {
        "md5": hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir",
        "size": sum(file.stat().st_size for file in files.values()),
        "nfiles": len(files),
        "hash": "md5",
        "path": path,
    }


@pytest.mark.slow
def test_data_dvc_pins_what_mini_needs_and_nothing_else(digits, fashion, mnist_5k):
    """The pins, computed again from the prepared files: data.dvc has the sets that the grids of mini name,
    and every other set that was ever prepared has a file of its own. Nothing else is in them, neither a
    remote nor a path. A pinned set that is not in this checkout keeps its pin unchecked."""
    folders = {name: ROOT / registry.folder(name) for name in registry.names()}
    folders |= {"digits": digits, "fashion-mnist": fashion, "mnist-5k": mnist_5k}
    mini = yaml.safe_load((ROOT / "config/mini.yaml").read_text())["studies"].values()
    needed = {grid["dataset"] for study in mini for grid in study["grids"]}
    assert {name for name in registry.names() if registry.folder(name).parts[0] == "data"} == needed
    files = {f"{name}/{file}": folders[name] / file for name in needed for file in registry.PREPARED}
    pins = {"data.dvc": {"outs": [pin("data", files)]}}
    paths = [ROOT / "data.dvc", *(ROOT / "datasets").glob("*.dvc")]
    found = {path.relative_to(ROOT).as_posix(): yaml.safe_load(path.read_text()) for path in paths}
    for name in set(registry.names()) - needed:
        file = f"datasets/{name}.dvc"
        if folders[name].is_dir():
            prepared_files = registry.entry(name).prepared_files
            pins[file] = {"outs": [pin(name, {file: folders[name] / file for file in prepared_files})]}
        elif registry.entry(name).prepared:
            (out,) = found[file]["outs"]
            assert (set(out), out["path"], out["nfiles"]) == (
                OUT,
                name,
                len(registry.entry(name).prepared_files),
            )
            pins[file] = found[file]
    assert found == pins


def test_prepared_sets_are_not_committed():
    entries = [registry.entry(name) for name in registry.names()]
    paths = [f"{entry.folder}/{file}" for entry in entries for file in entry.prepared_files]
    for ignored in (*paths, "datasets/new/dataset.json"):
        assert subprocess.run(["git", "check-ignore", "-q", ignored], cwd=ROOT).returncode == 0, ignored
    for kept in ("data.dvc", "datasets/new.dvc"):
        assert subprocess.run(["git", "check-ignore", "-q", kept], cwd=ROOT).returncode == 1, kept


@pytest.mark.slow
def test_fashion_mnist(fashion):
    """Its counts and a few known facts."""
    found = data.load("fashion-mnist", fashion)
    assert found.peak == 255
    assert np.bincount(found.train.labels).tolist() == [6000] * 10
    assert np.bincount(found.test.labels).tolist() == [1000] * 10
    assert found.train.images.shape == (60000, 1, 28, 28)
    assert found.test.images.shape == (10000, 1, 28, 28)
    # the mean and standard deviation of the training pixels that the field uses for normalisation
    assert found.train.images.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
    assert found.train.images.std() / 255 == pytest.approx(0.3530, abs=1e-4)
    # the first labels of the published files: ankle boot, T-shirt, T-shirt; ankle boot, pullover, trouser
    assert [found.class_names[k] for k in found.train.labels[:3]] == [
        "Ankle boot",
        "T-shirt/top",
        "T-shirt/top",
    ]
    assert [found.class_names[k] for k in found.test.labels[:3]] == ["Ankle boot", "Pullover", "Trouser"]


@pytest.mark.slow
def test_mnist_5k(mnist_5k):
    found = data.load("mnist-5k", mnist_5k)
    assert np.bincount(found.train.labels).tolist() == [400] * 10
    assert np.bincount(found.test.labels).tolist() == [100] * 10
    # near the mean and standard deviation of all training images, 0.1307 and 0.3081
    assert found.train.images.mean() / 255 == pytest.approx(0.1307, abs=2e-3)
    assert found.train.images.std() / 255 == pytest.approx(0.3081, abs=2e-3)
    images = np.concatenate([found.train.images, found.test.images])
    assert len({image.tobytes() for image in images}) == 5000
