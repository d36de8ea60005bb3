"""Whatever a server does, a set is whole or not there: one message says what to do, and a retry succeeds."""

import dataclasses
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from test_fetch import assert_nothing, assert_prepared, published, serve

import loopback
from gauntlet.core import transfer
from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.transfer.download import download
from gauntlet.data import fetch, prepared
from gauntlet.data.registry import Entry
from gauntlet.data.sources import url
from loopback import QUICK

IMAGES = "/a/toy-train_images-idx.gz"  # the first that is fetched
LAST = "/a/toy-test_labels-idx.gz"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "work" / "toy"


#: What the server does with a file -> what the message says.
FAULTS = {
    "truncated": (loopback.closes(1), "IncompleteRead"),
    "altered": (lambda handler, body: handler.serve(body[:-1] + b"?"), "altered"),
    "slow": (loopback.drips, "too slow"),
    "stalled": (loopback.stalls(9), "stalled"),
    "404": (loopback.status(404), "404 Not Found"),
    "403": (loopback.status(403), "403 Forbidden"),
    "500": (loopback.status(500), "500 Internal Server Error"),
    "429": (loopback.status(429, Retry_After="1"), "429 Too Many Requests"),
    "web page": (loopback.page, "web page instead of the file"),
    "redirected to a web page": (loopback.redirected("/login"), r"web page .*redirected to http.*/login"),
    "wrong length": (loopback.states(7), "truncated: it has 7 bytes there"),
    "reset": (loopback.resets(9), r"reset by peer|IncompleteRead|closed"),
}


@pytest.mark.parametrize("path", [IMAGES, LAST], ids=["first", "last"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_nothing_and_a_retry_succeeds(toy, server, target, monkeypatch, fault, path):
    impatient = {"slow": {"window": 0.05, "rate": 1e4}, "stalled": {"timeout": 0.5}}.get(fault, {})
    policy = dataclasses.replace(QUICK, tries=2, sleep=lambda wait: None, **impatient)
    monkeypatch.setattr(transfer, "POLICY", policy)
    serve(toy, server, "a")
    server.content["/login"] = b"<!DOCTYPE html><p>Who are you?"
    server.always[path], reason = FAULTS[fault]
    entry = toy.entry(published(toy, server, "a"))
    with pytest.raises(GauntletError, match=reason) as caught:
        fetch.obtain(entry, target)
    assert f"{server.base}{path}: " in caught.value.problem
    assert "set GAUNTLET_DATA to a folder" in caught.value.remedy
    assert {left.name for left in target.parent.iterdir()} <= {".toy.lock", ".toy.partial"}
    server.always.clear()
    server.requests.clear()
    monkeypatch.setattr(transfer, "POLICY", QUICK)
    fetch.obtain(entry, target)
    assert_prepared(target, toy)
    assert (IMAGES in server.requests) == (path == IMAGES)  # what was whole is not fetched again
    assert {left.name for left in target.parent.iterdir()} == {"toy", ".toy.lock"}


def test_the_mirror_that_served_is_named_and_asked_first(toy, server, target, capsys):
    serve(toy, server, "b")
    fetch.obtain(toy.entry(published(toy, server, "a", "b")), target)
    assert [path for path in server.requests if path.startswith("/a")] == [IMAGES]
    assert f"{IMAGES} " in (said := capsys.readouterr().err)
    assert "not from here: 404 Not Found" in said
    host = server.base.removeprefix("http://")
    assert f"toy: prepared and verified in {target}, from {host}" in said


@pytest.fixture
def limited():
    """No file of more bytes than given, as on a disk that is full; the error is the system's own."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda count: resource.setrlimit(resource.RLIMIT_FSIZE, (count or before[0], before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def big(toy):
    """The toy with as many pixels as make its prepared images the largest of its files, by far."""
    toy.arrays["train_images"] = np.zeros((6, 400, 300), np.uint8)
    toy.arrays["test_images"] = np.zeros((3, 400, 300), np.uint8)
    from handmade import facts, idx

    toy.fields["shape"] = [1, 400, 300]
    for role, array in toy.arrays.items():
        toy.files[f"toy-{role}-idx"] = idx(array)
        toy.fields["files"][role] = {"name": f"toy-{role}-idx", **facts(idx(array))}
    return toy


@pytest.mark.parametrize("room", [500, 300_000], ids=["while downloading", "while unpacking"])
def test_a_disk_that_is_full_in_the_middle(big, server, target, limited, room):
    serve(big, server, "a")
    serve(big, server, "b")
    entry = big.entry(published(big, server, "a", "b"))
    limited(room)
    with pytest.raises(GauntletError, match="the disk is full") as caught:
        fetch.obtain(entry, target)
    limited(None)
    assert "run it again" in caught.value.remedy
    assert not any(path.startswith("/b") for path in server.requests)
    assert_nothing(target, downloads=True)
    server.requests.clear()
    fetch.obtain(entry, target)
    assert np.array_equal(np.load(target / "train_images.npy")[:, 0], big.arrays["train_images"])
    assert len(server.requests) == (4 if room == 500 else 0)


def test_a_disk_that_is_too_small_is_known_before_the_first_byte(big, server, target, monkeypatch):
    """Room is asked for the downloads, what they unpack to, and the prepared set."""
    from gauntlet.core import disk

    serve(big, server, "a")
    downloads = sum(len(content) for content in big.gz().values())
    unpacked = sum(len(content) for content in big.files.values())
    needed = downloads + unpacked + 9 * 400 * 300
    usage = disk.shutil.disk_usage("/")._replace(free=needed - 1)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage)
    entry = big.entry(published(big, server, "a"))
    with pytest.raises(GauntletError, match="and what follows needs") as caught:
        fetch.obtain(entry, target)
    assert str(caught.value).startswith(f"{target.parent}: ")
    assert "free 1 B" in caught.value.remedy
    assert server.requests == []
    usage = usage._replace(free=needed)
    fetch.obtain(entry, target)


def test_a_killed_process_leaves_nothing_that_is_used_and_the_next_goes_on(toy, server, target):
    serve(toy, server, "a")
    server.faults[LAST] = [loopback.stalls(9)]
    fields = dict(toy.fields, sources=[published(toy, server, "a")])
    code = f"""
from pathlib import Path
from gauntlet.core.config import parse
from gauntlet.core.transfer import partial
from gauntlet.data import fetch
from gauntlet.data.registry import Entry
partial.BYTES = 1
fetch.obtain(parse(Entry, {fields!r}, file="toy.yaml"), Path({str(target)!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    patience = time.monotonic() + 60
    while len(list(target.parent.glob(".toy.partial/*.json"))) < 4:
        assert process.poll() is None
        assert time.monotonic() < patience
        time.sleep(0.02)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    assert not target.exists()
    server.requests.clear()
    fetch.obtain(parse(Entry, fields, file="toy.yaml"), target)
    assert_prepared(target, toy)
    assert server.requests == [LAST]
    assert server.ranges[-1].startswith("bytes=9-")
    assert {path.name for path in target.parent.iterdir()} == {"toy", ".toy.lock"}


def test_two_at_once_fetch_once(toy, server, target):
    """Each with a lock of its own, as two processes have."""
    serve(toy, server, "a")
    toy.fields["prepared"] = prepared.hashes(
        fetch.obtain(toy.entry(published(toy, server, "a")), target.with_name("first"))
    )
    server.requests.clear()
    began = threading.Barrier(2)
    server.faults[IMAGES] = [lambda handler, body: (time.sleep(0.1), handler.serve(body))]
    done = []

    def run():
        began.wait(20)
        done.append(fetch.obtain(toy.entry(published(toy, server, "a")), target))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert done == [target, target]
    assert len(server.requests) == 4
    assert_prepared(target, toy)


def everything(folder):
    return {
        path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in folder.rglob("*")
    }


@pytest.mark.parametrize("content", ["files", "archives", "prepared set", "damaged"])
def test_a_shared_store_is_only_read(toy, server, target, tmp_path, monkeypatch, content):
    serve(toy, server, "a")
    source = published(toy, server, "a")
    store = tmp_path / "store"
    (store / "toy").mkdir(parents=True)
    if content == "prepared set":
        (store / "toy").rmdir()
        toy.fields["prepared"] = prepared.hashes(fetch.obtain(toy.entry(source), store / "toy"))
        (store / ".toy.lock").unlink()
    else:
        for name, body in (toy.gz() if content == "archives" else toy.files).items():
            (store / "toy" / name).write_bytes(b"damaged" if content == "damaged" else body)
    for path in (*store.rglob("*"), store):
        path.chmod(stat.S_IRUSR | stat.S_IXUSR if path.is_dir() else stat.S_IRUSR)
    before = everything(store)
    monkeypatch.setenv("GAUNTLET_DATA", str(store))
    server.requests.clear()
    fetch.obtain(toy.entry(source), target)
    assert_prepared(target, toy)
    assert (server.requests == []) == (content != "damaged")
    assert everything(store) == before
    for path in (store, *store.rglob("*")):
        path.chmod(0o700)


def test_offline_a_whole_download_of_a_killed_run_is_prepared(toy, server, target, monkeypatch):
    """It was killed before the set was in its place."""
    serve(toy, server, "a")
    entry = toy.entry(published(toy, server, "a"))
    for name, file in entry.sources[0].files.items():
        download([f"{server.base}/a/{name}"], url.wanted(name, file), target.parent / ".toy.partial")
    server.requests.clear()
    monkeypatch.setenv("GAUNTLET_OFFLINE", "1")
    fetch.obtain(entry, target)
    assert server.requests == []
    assert_prepared(target, toy)


def test_clocks_may_disagree(toy, server, target):
    """Files of the future, here and there, and a server of the past."""
    serve(toy, server, "a")
    date = {"Date": "Thu, 01 Jan 1970 00:00:00 GMT", "Last-Modified": "Fri, 01 Jan 2100 00:00:00 GMT"}
    for name in toy.gz():
        server.always[f"/a/{name}"] = lambda handler, body: handler.serve(body, headers=date)
    server.faults[LAST] = [loopback.status(404)]
    entry = toy.entry(published(toy, server, "a"))
    with pytest.raises(GauntletError, match="404"):
        fetch.obtain(entry, target)
    for path in target.parent.rglob("*"):
        os.utime(path, (4e9, 4e9))
    fetch.obtain(entry, target)
    assert_prepared(target, toy)
    toy.fields["prepared"] = prepared.hashes(target)
    for path in target.iterdir():
        os.utime(path, (4e9, 4e9))
    server.requests.clear()
    fetch.obtain(toy.entry(published(toy, server, "a")), target)
    assert server.requests == []


@pytest.mark.parametrize("terms", ["account", "vendor"])
def test_what_the_user_supplies_is_asked_for_in_one_message(toy, target, tmp_path, monkeypatch, terms):
    toy.fields["terms"] = terms
    entry = toy.entry({"kind": "dvc"})
    for given in (None, tmp_path / "mine"):
        if given:
            given.mkdir()
            monkeypatch.setenv("GAUNTLET_DATA", str(given))
        with pytest.raises(GauntletError) as caught:
            fetch.obtain(entry, target)
        first, *files = caught.value.remedy.split("\n")
        assert first.startswith("register with the publisher") == (terms == "account")
        assert first.endswith(
            f"put them into {given or 'FOLDER'}/toy/, with GAUNTLET_DATA={given or 'FOLDER'}:"
        )
        assert [line.strip() for line in files] == [
            f"{file.name} ({file.size} bytes, sha256 {file.sha256})" for file in entry.files.values()
        ]
