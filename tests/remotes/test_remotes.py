"""Push from one clone, pull in another, through each kind of remote that docs/data.md describes."""

import sys
from pathlib import Path

import pytest
import servers

from clones import clone, commit, connect, dvc, repository, run
from gauntlet.data import fetch, registry

pytestmark = pytest.mark.slow

KINDS = [
    "folder",
    pytest.param("ssh", marks=pytest.mark.needs("sshd")),
    pytest.param("http", marks=pytest.mark.needs("nginx")),
    "s3",
]


@pytest.fixture(scope="module")
def author(tmp_path_factory) -> Path:
    """A repository whose author has pinned a set in data/ and one in datasets/, and has no remote yet."""
    repo = repository(tmp_path_factory.mktemp("remotes") / "author")
    for folder in ("data/digits", "datasets/more"):
        fetch.obtain(registry.entry("digits"), repo / folder)
    (repo / "datasets/more/dataset.json").write_text("{}\n")  # not the same objects in both
    dvc("add", "-q", "data", "datasets/more", cwd=repo)
    commit(repo)
    return repo


@pytest.mark.parametrize("kind", KINDS)
def test_what_one_clone_pushes_another_pulls(author, tmp_path, kind):
    (place := tmp_path / "remote").mkdir()
    with getattr(servers, kind)(place) as remote:
        (author / ".dvc/config.local").unlink(missing_ok=True)
        connect(author, remote.url, **remote.settings)
        dvc("push", "-q", cwd=author, **remote.environment)
        user = clone(author, tmp_path / "user")
        connect(user, remote.url, **remote.settings)
        # one set alone, then what is left
        dvc("pull", "-q", "data/digits", cwd=user, **remote.environment)
        assert not (user / "datasets/more").exists()
        gauntlet("data", "verify", "digits", cwd=user)
        dvc("pull", "-q", cwd=user, **remote.environment)
        assert "in sync" in dvc("status", "--cloud", cwd=user, **remote.environment)
    assert content(user) == content(author)


def content(repo: Path) -> dict[str, bytes]:
    files = [path for root in ("data", "datasets") for path in (repo / root).glob("[a-z]*/*")]
    return {str(path.relative_to(repo)): path.read_bytes() for path in files}


def gauntlet(*arguments: str, cwd: Path) -> str:
    return run(sys.executable, "-m", "gauntlet.cli", *arguments, cwd=cwd)
