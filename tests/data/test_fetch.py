"""The fall-back chain on a toy dataset: every source, every fault, and nothing half-prepared."""

import errno
import gzip
import os
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from handmade import deb, facts, tar

from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared


@pytest.fixture
def target(tmp_path):
    return tmp_path / "work" / "toy"


def assert_prepared(folder, toy):
    for role, array in toy.arrays.items():
        saved = np.load(folder / f"{role}.npy")
        assert saved.dtype == np.uint8
        assert np.array_equal(saved.reshape(array.shape), array)
    assert np.load(folder / "train_images.npy").shape == (6, 1, 4, 3)
    assert {path.name for path in folder.iterdir()} == set(prepared.PREPARED)


def assert_nothing(folder, downloads=False):
    """Nothing is left but, where a retry goes on from there, what was downloaded."""
    left = [path.name for path in folder.parent.iterdir() if not path.name.endswith(".lock")]
    assert left == [f".{folder.name}.partial"] * downloads


def published(toy, server, *roots):
    """A url source for the toy's .gz files, with a base for every root; the files are not yet served."""
    files = {name: facts(content) for name, content in toy.gz().items()}
    return {"kind": "url", "bases": [f"{server.base}/{root}/" for root in roots], "files": files}


def serve(toy, server, root, change=lambda name, content: content):
    for name, content in toy.gz().items():
        server.content[f"/{root}/{name}"] = change(name, content)


def test_published_files(toy, server, target):
    serve(toy, server, "a")
    fetch.obtain(toy.entry(published(toy, server, "a")), target)
    assert_prepared(target, toy)


DAMAGE = {
    "absent": (None, "404"),
    "truncated": (lambda name, content: content[:-5], "truncated"),
    "longer": (lambda name, content: content + b"x", "another file"),
    "altered": (lambda name, content: content[:-1] + bytes([content[-1] ^ 1]), "altered"),
    "another page": (lambda name, content: b"<html>Sorry</html>", "truncated|web page"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_mirror_fails_over_to_the_next(toy, server, target, damage):
    change, _ = DAMAGE[damage]
    if change:
        serve(toy, server, "a", change)
    serve(toy, server, "b")
    fetch.obtain(toy.entry(published(toy, server, "a", "b")), target)
    assert_prepared(target, toy)
    assert {path.split("/")[1] for path in server.requests} == {"a", "b"}


@pytest.mark.parametrize("damage", DAMAGE)
def test_when_all_fail_one_error_says_what_each_answered(toy, server, target, damage):
    change, reason = DAMAGE[damage]
    if change:
        serve(toy, server, "a", change)
    wheel = {"kind": "wheel", "package": "no_such_package", "path": "x"}
    with pytest.raises(GauntletError, match=reason) as caught:
        fetch.obtain(toy.entry(wheel, published(toy, server, "a")), target)
    assert "'no_such_package' is not installed" in caught.value.problem
    assert f"{server.base}/a/" in caught.value.problem
    assert "GAUNTLET_DATA" in caught.value.remedy
    assert_nothing(target)


def test_an_md5_serves_where_nothing_else_is_published(toy, server, target):
    import hashlib

    serve(toy, server, "a")
    source = published(toy, server, "a")
    for name, content in toy.gz().items():
        source["files"][name] = {"size": len(content), "md5": hashlib.md5(content).hexdigest()}
    fetch.obtain(toy.entry(source), target)
    assert_prepared(target, toy)


def test_the_content_is_checked_even_when_the_archive_matches(toy, server, target):
    """An archive may be compressed anew, so its content decides, not the archive's own hash."""
    changed = {name: bytearray(content) for name, content in toy.files.items()}
    changed["toy-test_images-idx"][-1] ^= 1
    toy.files.update({name: bytes(content) for name, content in changed.items()})
    serve(toy, server, "a")
    with pytest.raises(GauntletError, match="toy-test_images-idx: altered"):
        fetch.obtain(toy.entry(published(toy, server, "a")), target)
    assert_nothing(target)


def test_offline_leaves_the_network_alone(toy, server, target, monkeypatch):
    serve(toy, server, "a")
    monkeypatch.setenv("GAUNTLET_OFFLINE", "1")
    with pytest.raises(GauntletError, match="GAUNTLET_OFFLINE=1"):
        fetch.obtain(toy.entry(published(toy, server, "a")), target)
    assert server.requests == []
    assert_nothing(target)


def test_an_unreachable_host_is_one_error(toy, target):
    source = {
        "kind": "url",
        "bases": ["http://127.0.0.1:1/"],
        "files": {"x": {"size": 1, "sha256": "0" * 64}},
    }
    with pytest.raises(GauntletError, match="refused"):
        fetch.obtain(toy.entry(source), target)


def package(toy):
    files = [(f"./usr/share/datasets/toy/{name}", content) for name, content in toy.gz().items()]
    return deb(tar(*files))


def test_a_debian_package_by_its_address(toy, server, target):
    content = package(toy)
    server.content["/pool/toy_1_all.deb"] = content
    files = {"toy_1_all.deb": facts(content)}
    fetch.obtain(
        toy.entry({"kind": "url", "bases": [f"{server.base}/pool/"], "files": files, "unpacked": 50_000}),
        target,
    )
    assert_prepared(target, toy)


APT = """\
    #!{python}
    # Behaves as apt-get does: refuses anything but private folders, and downloads into the current one.
    import pathlib, shutil, sys
    arguments = [a for a in sys.argv[1:] if not a.startswith("--quiet")]
    assert arguments[0] == "--config-file", arguments
    text = pathlib.Path(arguments[1]).read_text()
    for key in ("Dir::State ", "Dir::Cache ", "Dir::State::status "):
        (line,) = [line for line in text.splitlines() if line.startswith(key)]
        assert line.split('"')[1].startswith({root!r}), line
    if arguments[2] == "update":
        sys.exit("E: a third-party repository is down")
    assert arguments[2:] == ["download", "dataset-toy"]
    deb = pathlib.Path({deb!r})
    if not deb.exists():
        sys.exit("E: Unable to locate package dataset-toy")
    shutil.copy(deb, "dataset-toy_1_all.deb")
"""


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """A stand-in for apt-get on PATH, which serves ``tmp_path/"toy.deb"``."""
    tool = tmp_path / "bin" / "apt-get"
    tool.parent.mkdir()
    script = textwrap.dedent(APT).format(
        python=sys.executable, root=str(tmp_path), deb=str(tmp_path / "toy.deb")
    )
    tool.write_text(script)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "toy.deb"


def test_a_debian_package_through_apt(toy, apt, target):
    # Pad the package: apt's limit is 4 times the package's size, and the toy's is tiny.
    files = [(f"./usr/share/datasets/toy/{name}", content) for name, content in toy.gz().items()]
    apt.write_bytes(deb(tar(*files, ("./usr/share/doc/x", np.random.default_rng(0).bytes(20_000)))))
    fetch.obtain(toy.entry({"kind": "apt", "package": "dataset-toy"}), target)
    assert_prepared(target, toy)


def test_apt_without_the_package(toy, apt, target):
    with pytest.raises(GauntletError, match="Unable to locate package dataset-toy"):
        fetch.obtain(toy.entry({"kind": "apt", "package": "dataset-toy"}), target)
    assert_nothing(target)


def test_no_apt_at_all(toy, target, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GauntletError, match="no apt-get"):
        fetch.obtain(toy.entry({"kind": "apt", "package": "dataset-toy"}), target)


UNUSED = {"kind": "wheel", "package": "no_such_package", "path": "x"}


@pytest.mark.parametrize("layout", ["toy", "", "Toy/raw"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_folder_with_the_published_files(toy, target, tmp_path, monkeypatch, layout, compressed):
    folder = tmp_path / "store" / layout
    folder.mkdir(parents=True)
    decoy = tmp_path / "store" / "another"  # another dataset with the same file names
    decoy.mkdir()
    for name, content in toy.files.items():
        (folder / (f"{name}.gz" if compressed else name)).write_bytes(
            gzip.compress(content) if compressed else content
        )
        (decoy / name).write_bytes(content[::-1])
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    fetch.obtain(toy.entry(UNUSED), target)
    assert_prepared(target, toy)


@pytest.mark.parametrize("layout", ["toy", "datasets/toy"])
def test_a_folder_with_the_prepared_set(toy, server, target, tmp_path, monkeypatch, layout):
    serve(toy, server, "a")
    first = fetch.obtain(toy.entry(published(toy, server, "a")), tmp_path / "store" / layout)
    toy.fields["prepared"] = prepared.hashes(first)
    for file in first.iterdir():
        file.chmod(stat.S_IRUSR)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    fetch.obtain(toy.entry(UNUSED), target)
    assert_prepared(target, toy)


def test_the_folder_comes_before_the_network(toy, server, target, tmp_path, monkeypatch):
    serve(toy, server, "a")
    for name, content in toy.files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path))
    fetch.obtain(toy.entry(published(toy, server, "a")), target)
    assert server.requests == []


def test_every_source_gives_the_same_bytes(toy, server, tmp_path):
    serve(toy, server, "a")
    one = fetch.obtain(toy.entry(published(toy, server, "a")), tmp_path / "one")
    server.content["/p/toy.deb"] = package(toy)
    source = {
        "kind": "url",
        "bases": [f"{server.base}/p/"],
        "files": {"toy.deb": facts(package(toy))},
        "unpacked": 50_000,
    }
    two = fetch.obtain(toy.entry(source), tmp_path / "two")
    assert prepared.hashes(one) == prepared.hashes(two)


def pinned(toy, server, target):
    serve(toy, server, "a")
    toy.fields["prepared"] = prepared.hashes(fetch.obtain(toy.entry(published(toy, server, "a")), target))
    server.requests.clear()
    return toy.entry(published(toy, server, "a"))


def test_a_prepared_set_is_left_alone(toy, server, target):
    entry = pinned(toy, server, target)
    target.with_name(".toy.partial").mkdir()  # of a run that was killed at its end
    fetch.obtain(entry, target)
    assert server.requests == []
    assert not target.with_name(".toy.partial").exists()


def test_a_damaged_prepared_set_is_replaced(toy, server, target):
    entry = pinned(toy, server, target)
    (target / "train_images.npy").write_bytes(b"damaged")
    (target / "stray").touch()
    fetch.obtain(entry, target)
    assert server.requests
    assert_prepared(target, toy)


def test_a_prepared_form_that_differs_from_its_pins_is_refused(toy, server, target, tmp_path):
    pinned(toy, server, target)
    toy.fields["prepared"]["train_images.npy"] = "0" * 64
    with pytest.raises(GauntletError, match=r"train_images\.npy: its SHA-256 after preparation"):
        fetch.obtain(toy.entry(published(toy, server, "a")), tmp_path / "other" / "toy")
    assert_nothing(tmp_path / "other" / "toy")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"counts": {"train": [3, 3], "test": [1, 2]}}, "per class"),
        ({"counts": {"train": [2, 4], "test": [1, 3]}}, "test images are"),
        ({"shape": [1, 3, 4]}, "train images are"),
        ({"peak": 16}, "above the peak 16"),
        ({"classes": ["a", "b", "c"], "counts": {"train": [2, 4, 0], "test": 1}}, "counts"),
    ],
)
def test_counts_and_ranges_are_checked_after_preparation(toy, server, target, change, reason):
    serve(toy, server, "a")
    toy.fields.update(change)
    with pytest.raises(GauntletError, match=reason):
        fetch.obtain(toy.entry(published(toy, server, "a")), target)


def test_a_full_disk_is_one_clear_error(toy, server, target, monkeypatch):
    serve(toy, server, "a")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(GauntletError, match="the disk is full"):
        fetch.obtain(toy.entry(published(toy, server, "a")), target)
    assert_nothing(target, downloads=True)


def test_a_folder_that_cannot_be_written_is_one_clear_error(toy, server, tmp_path):
    serve(toy, server, "a")
    (tmp_path / "file").touch()
    with pytest.raises(GauntletError, match="cannot write here"):
        fetch.obtain(toy.entry(published(toy, server, "a")), tmp_path / "file" / "toy")
    assert server.requests == []


def test_what_a_killed_process_left_is_swept_away(toy, server, target):
    serve(toy, server, "a")
    (target.parent / ".toy.abc123").mkdir(parents=True)
    fetch.obtain(toy.entry(published(toy, server, "a")), target)
    assert {path.name for path in target.parent.iterdir()} == {"toy", ".toy.lock"}


def test_two_processes_at_once(tmp_path):
    """Both end well, one works, and the set is whole."""
    code = (
        "from pathlib import Path; from gauntlet.data import fetch; fetch.prepare('digits', Path('digits'))"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    logs = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], logs
    assert "".join(logs).count("prepared and verified in") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"digits", ".digits.lock"}


def test_an_empty_folder_made_by_the_workflow_is_filled(toy, server, target):
    """Snakemake makes the folders of a rule's outputs before it runs the rule."""
    serve(toy, server, "a")
    target.mkdir(parents=True)
    fetch.obtain(toy.entry(published(toy, server, "a")), target)
    assert_prepared(target, toy)
