"""A DVC round trip with a real remote: pulled and rebuilt data are the same bytes."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from clones import ROOT, SETTINGS, clone, commit, connect, dvc, git, repository
from gauntlet.core.errors import GauntletError
from gauntlet.data import commands, fetch, objects, prepared, registry
from gauntlet.data.registry import Dvc
from gauntlet.data.sources import dvc as source

pytestmark = pytest.mark.slow

PINS = registry.entry("digits").prepared
FOLDERS = {"data/digits": "data.dvc", "datasets/digits": "datasets/digits.dvc"}  # the set, what pins it
PATH = "data/digits/train_images.npy"


def only(kind, folder="data/digits"):
    """The entry of digits with one kind of source, living in ``folder``."""
    entry = registry.entry("digits")
    sources = [source for source in entry.sources if source.kind == kind]
    return entry.model_copy(update={"sources": sources, "folder": folder})


def clean(folder, *pins):
    assert "up to date" in dvc("status", *pins, cwd=folder)
    assert git("status", "--porcelain", cwd=folder) == ""


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """A repository with this one's DVC settings, whose author has added a set in data/ and one in datasets/,
    and pushed both to a remote."""
    base = tmp_path_factory.mktemp("dvc")
    repo, store = base / "upstream", base / "store"
    repository(repo)
    for folder in FOLDERS:
        fetch.obtain(only("wheel"), repo / folder)
    dvc("add", "-q", "data", "datasets/digits", cwd=repo)
    commit(repo)
    connect(repo, store)
    dvc("push", "-q", cwd=repo)
    return repo, store


def test_no_remote_or_machine_path_is_committed():
    config = (ROOT / ".dvc" / "config").read_text()
    assert "remote" not in config
    assert "url" not in config
    assert "analytics = false" in config


def test_dvc_add_changes_only_the_pins(upstream):
    repo, _ = upstream
    assert set(git("ls-files", cwd=repo).split()) == {*FOLDERS.values(), *SETTINGS}
    assert all((repo / file).read_bytes() == (ROOT / file).read_bytes() for file in SETTINGS)


def test_dvc_pull_brings_the_same_bytes(upstream, tmp_path):
    repo, store = upstream
    folder = clone(repo, tmp_path / "clone", store)
    assert not any((folder / path).exists() for path in FOLDERS)
    dvc("pull", "-q", cwd=folder)
    assert all(prepared.hashes(folder / path) == PINS for path in FOLDERS)
    clean(folder)
    # rebuilt from the package, over what was pulled
    for path in FOLDERS:
        shutil.rmtree(folder / path)
        fetch.obtain(only("wheel"), folder / path)
        assert prepared.hashes(folder / path) == PINS
    clean(folder)


def test_a_rebuilt_set_is_what_is_pinned(upstream, tmp_path):
    """Without a remote the bytes come from the package; storing them in DVC's cache changes no pin."""
    repo, _ = upstream
    folder = clone(repo, tmp_path / "clone")
    for path in FOLDERS:
        fetch.obtain(only("wheel"), folder / path)
    dvc("commit", "-q", cwd=folder)
    clean(folder)
    # and so any author can fill a new remote from it
    store = tmp_path / "another"
    connect(folder, store)
    dvc("push", "-q", cwd=folder)
    pulled = clone(repo, tmp_path / "pulled", store)
    dvc("pull", "-q", cwd=pulled)
    assert all(prepared.hashes(pulled / path) == PINS for path in FOLDERS)


@pytest.mark.parametrize("path", FOLDERS)
def test_fetch_takes_the_set_from_the_remote(upstream, tmp_path, monkeypatch, path):
    """By the file that pins this set, and by no other."""
    repo, store = upstream
    folder = clone(repo, tmp_path / "clone", store)
    monkeypatch.chdir(folder)
    others = set(FOLDERS.values()) - {FOLDERS[path]}
    for other in others:
        Path(other).unlink()
    fetch.obtain(only("dvc", path), Path(path))
    assert prepared.hashes(Path(path)) == PINS
    git("restore", *others, cwd=folder)
    clean(folder, FOLDERS[path])


def test_one_set_is_pulled_alone(upstream, tmp_path):
    """A set of data/, beside another that the user has there; and one file of a set."""
    repo, store = upstream
    folder = clone(repo, tmp_path / "clone", store)
    (folder / "data/mine").mkdir(parents=True)
    (folder / "data/mine/notes").write_text("mine")
    dvc("pull", "-q", "data/digits", cwd=folder)
    assert prepared.hashes(folder / "data/digits") == PINS
    assert (folder / "data/mine/notes").read_text() == "mine"
    assert not (folder / "datasets/digits").exists()
    dvc("pull", "-q", "datasets/digits/test_labels.npy", cwd=folder)
    assert [path.name for path in (folder / "datasets/digits").iterdir()] == ["test_labels.npy"]


def damage(place, how):
    """Spoil one object and leave it read-only, as DVC has it."""
    if how == "missing":
        place.unlink()
    else:
        place.chmod(0o644)
        place.write_bytes(place.read_bytes()[::-1])
        place.chmod(0o444)


def object_of(file, root):
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    return root / "files/md5" / md5[:2] / md5[2:]


def listing_of(pin, root):
    md5 = re.search(r"md5: (\w+\.dir)", pin.read_text())[1]
    return root / "files/md5" / md5[:2] / md5[2:]


@pytest.mark.parametrize("how", ["missing", "altered"])
def test_a_damaged_object_is_found_and_named(upstream, tmp_path, how):
    repo, store = upstream
    store = Path(shutil.copytree(store, tmp_path / "store"))
    pin, images = repo / "data.dvc", repo / "data/digits/train_images.npy"
    assert list(objects.faults(pin, store, repo / "data")) == []
    spoilt = object_of(images, store)
    damage(spoilt, how)
    ((path, problem),) = objects.faults(pin, store, repo / "data")
    assert path == spoilt
    assert problem.startswith(f"the object of {images} is {how}")
    assert list(objects.faults(pin, store, repo / "data/other")) == []
    listing = listing_of(pin, store)
    damage(listing, how)
    assert [path for path, _ in objects.faults(pin, store, repo / "data")] == [listing]


def test_a_pin_that_is_none(tmp_path):
    (tmp_path / "data.dvc").write_text("outs: 3\n")
    with pytest.raises(GauntletError, match="not a file of DVC") as caught:
        list(objects.faults(tmp_path / "data.dvc", tmp_path, tmp_path))
    assert caught.value.file == tmp_path / "data.dvc"


def test_a_set_without_a_pin(tmp_path):
    with pytest.raises(GauntletError, match="does not pin") as caught:
        list(objects.faults(tmp_path / "data.dvc", tmp_path, tmp_path))
    assert caught.value.remedy == "leave out --dvc"


def test_damaged_objects_are_mended_by_the_printed_remedies(upstream, tmp_path, monkeypatch):
    """DVC itself says that all is well: it trusts a read-only object by its name."""
    repo, store = upstream
    store = Path(shutil.copytree(store, tmp_path / "store"))
    author, user = clone(repo, tmp_path / "author", store), clone(repo, tmp_path / "user", store)
    dvc("pull", "-q", "data/digits", cwd=author)
    images = author / "data/digits/train_images.npy"
    spoilt, intact = object_of(images, store), images.read_bytes()
    damage(spoilt, "altered")
    dvc("pull", "-q", "data/digits", cwd=user)
    assert "up to date" in dvc("status", "data.dvc", cwd=user)
    monkeypatch.chdir(user)
    with pytest.raises(GauntletError, match=f"{spoilt}: the object of {PATH} is altered") as caught:
        commands.verify(["digits"], dvc=True)
    listing = listing_of(user / "data.dvc", store)
    assert caught.value.remedy.startswith(f"delete the altered objects and {listing}; then, in a clone")
    spoilt.unlink()
    listing.unlink()
    dvc("push", "-q", "data/digits", cwd=author)
    assert spoilt.read_bytes() == intact
    with pytest.raises(GauntletError, match=f"{PATH} is altered") as caught:
        commands.verify(["digits"], dvc=True)
    assert caught.value.remedy == "delete the altered objects; then dvc fetch data/digits"
    object_of(images, user / ".dvc/cache").unlink()
    dvc("fetch", "-q", "data/digits", cwd=user)
    assert list(objects.faults(Path("data.dvc"), user / ".dvc/cache", "data/digits")) == []


def test_fetch_names_the_altered_object(upstream, tmp_path, monkeypatch):
    repo, store = upstream
    folder = clone(repo, tmp_path / "clone")
    shutil.copytree(store, folder / ".dvc/cache")
    listing = listing_of(folder / "data.dvc", folder / ".dvc/cache")
    damage(listing, "altered")
    monkeypatch.chdir(folder)
    with pytest.raises(GauntletError, match=f"{listing}: the object of data is altered"):
        fetch.obtain(only("dvc"), Path("data/digits"))


def test_a_damaged_remote_is_not_believed(upstream, tmp_path, monkeypatch):
    repo, store = upstream
    bad = Path(shutil.copytree(store, tmp_path / "store"))
    for file in (path for path in bad.rglob("*") if path.is_file() and path.suffix != ".dir"):
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[::-1])
    folder = clone(repo, tmp_path / "clone", bad)
    monkeypatch.chdir(folder)
    with pytest.raises(GauntletError, match="DVC: "):
        fetch.obtain(only("dvc"), Path("data/digits"))
    assert not Path("data/digits").exists()


def test_without_a_remote_the_next_source_is_tried(upstream, tmp_path, monkeypatch, capsys):
    repo, _ = upstream
    monkeypatch.chdir(clone(repo, tmp_path / "clone"))
    entry = registry.entry("digits")
    both = entry.model_copy(update={"sources": [Dvc(kind="dvc"), *only("wheel").sources]})
    fetch.obtain(both, Path("data/digits"))
    log = capsys.readouterr().err
    assert "no DVC remote is configured" in log
    assert "from the Python package sklearn" in log


def test_remotes_are_found_whatever_their_length(tmp_path, monkeypatch):
    """`dvc remote list` breaks lines at 80 characters, and a blank ends an address."""
    git("init", "-q", cwd=tmp_path)
    dvc("init", "-q", cwd=tmp_path)
    folder = str(tmp_path / ("x" * 100) / "a b")
    dvc("remote", "add", "far", "s3://bucket/prefix", cwd=tmp_path)
    dvc("remote", "add", "near", "elsewhere", cwd=tmp_path)
    dvc("remote", "add", "--local", "near", folder, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    assert sorted(source.remotes()) == [folder, "s3://bucket/prefix"]
    monkeypatch.setenv("GAUNTLET_OFFLINE", "1")
    assert source.remotes() == [folder]
