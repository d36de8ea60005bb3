"""A DVC round trip with a real remote: pulled and rebuilt data are the same bytes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, registry
from gauntlet.data.registry import Dvc

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

PINS = registry.entry("digits").prepared
FOLDERS = {"data/digits": "data.dvc", "datasets/digits": "datasets/digits.dvc"}  # the set, what pins it
SETTINGS = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "datasets/.gitignore")


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def dvc(*arguments, cwd):
    return run(sys.executable, "-m", "dvc", *arguments, cwd=cwd)


def git(*arguments, cwd):
    return run("git", "-c", "user.name=Test", "-c", "user.email=test@example.org", *arguments, cwd=cwd)


def clone(upstream, folder, remote=None):
    git("clone", "-q", str(upstream), str(folder), cwd=folder.parent)
    assert not any((folder / name).exists() for name in FOLDERS)
    if remote:
        dvc("remote", "add", "-q", "--default", "--local", "store", str(remote), cwd=folder)
    return folder


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
    for file in SETTINGS:
        (repo / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, repo / file)
    git("init", "-q", cwd=repo)
    for folder in FOLDERS:
        fetch.obtain(only("wheel"), repo / folder)
    dvc("add", "-q", "data", "datasets/digits", cwd=repo)
    git("add", "-A", cwd=repo)
    git("commit", "-q", "-m", "data", cwd=repo)
    dvc("remote", "add", "-q", "--default", "--local", "store", str(store), cwd=repo)
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
    dvc("remote", "add", "-q", "--default", "--local", "store", str(store), cwd=folder)
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
