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
    assert not (folder / "data").exists()
    if remote:
        dvc("remote", "add", "-q", "--default", "--local", "store", str(remote), cwd=folder)
    return folder


def only(kind):
    """The entry of digits with one kind of source."""
    entry = registry.entry("digits")
    return entry.model_copy(update={"sources": [s for s in entry.sources if s.kind == kind]})


def clean(folder):
    assert "up to date" in dvc("status", cwd=folder)
    assert git("status", "--porcelain", cwd=folder) == ""


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """A repository with this one's DVC settings, whose author has added data/ and pushed to a remote."""
    base = tmp_path_factory.mktemp("dvc")
    repo, store = base / "upstream", base / "store"
    (repo / ".dvc").mkdir(parents=True)
    for file in (".dvc/config", ".dvc/.gitignore", ".dvcignore"):
        shutil.copy(ROOT / file, repo / file)
    git("init", "-q", cwd=repo)
    fetch.obtain(only("wheel"), repo / "data" / "digits")
    dvc("add", "-q", "data", cwd=repo)
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


def test_dvc_pull_brings_the_same_bytes(upstream, tmp_path):
    repo, store = upstream
    folder = clone(repo, tmp_path / "clone", store)
    dvc("pull", "-q", cwd=folder)
    assert prepared.hashes(folder / "data" / "digits") == PINS
    clean(folder)
    # rebuilt from the package, over what was pulled
    shutil.rmtree(folder / "data" / "digits")
    fetch.obtain(only("wheel"), folder / "data" / "digits")
    assert prepared.hashes(folder / "data" / "digits") == PINS
    clean(folder)


def test_a_rebuilt_set_is_what_data_dvc_pins(upstream, tmp_path):
    """Without a remote the bytes come from the package; storing them in DVC's cache changes no pin."""
    repo, _ = upstream
    folder = clone(repo, tmp_path / "clone")
    fetch.obtain(only("wheel"), folder / "data" / "digits")
    dvc("commit", "-q", cwd=folder)
    clean(folder)


def test_fetch_takes_the_set_from_the_remote(upstream, tmp_path, monkeypatch):
    repo, store = upstream
    folder = clone(repo, tmp_path / "clone", store)
    monkeypatch.chdir(folder)
    fetch.obtain(only("dvc"), Path("data/digits"))
    assert prepared.hashes(Path("data/digits")) == PINS
    clean(folder)


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
