"""One file from a real server that misbehaves: what comes is right, or nothing, and a retry goes on."""

import dataclasses
import datetime
import errno
import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from email.utils import format_datetime

import pytest

import loopback
from gauntlet.core import transfer
from gauntlet.core.disk import NoRoom, require
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import PACKAGE
from gauntlet.core.transfer import Failed, Wanted, partial, progress
from gauntlet.core.transfer.download import download
from loopback import QUICK

BODY = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)
SHA = hashlib.sha256(BODY).hexdigest()
WANTED = Wanted("x.bin", SHA, "sha256", len(BODY), len(BODY))
HALF = 120_000


@pytest.fixture(autouse=True)
def _settings(monkeypatch):
    for name in ("GAUNTLET_OFFLINE", "GAUNTLET_CONNECTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "POLICY", QUICK)


@pytest.fixture
def server():
    with loopback.running() as server:
        for mirror in "ab":
            server.content[f"/{mirror}"] = BODY
        yield server


@pytest.fixture
def policy(monkeypatch):
    """Change the policy, and keep the waits in a list instead of waiting."""

    def change(**values) -> list[float]:
        waits = []
        policy = dataclasses.replace(QUICK, **{"sleep": waits.append, **values})
        monkeypatch.setattr(transfer, "POLICY", policy)
        return waits

    return change


def get(server, folder, mirrors="a", wanted=WANTED):
    return download([f"{server.base}/{mirror}" for mirror in mirrors], wanted, folder)


def kept(folder):
    """Bytes that the ledger claims, read without the code under test; they are BODY's."""
    (ledger,) = folder.glob("*.json")
    content = (folder / f"{SHA}.part").read_bytes()
    spans = json.loads(ledger.read_text())["spans"]
    assert all(content[a:b] == BODY[a:b] for a, b in spans)
    return sum(b - a for a, b in spans)


def test_a_file_arrives_and_is_not_asked_for_again(server, tmp_path):
    got = get(server, tmp_path / "d")
    assert got.path.read_bytes() == BODY
    assert got.url == f"{server.base}/a"
    assert get(server, tmp_path / "d") == (got.path, None)
    assert server.ranges == [None]


#: What a server may do once without harm -> the ranges that are then asked for.
PASSING = {
    "500": (loopback.status(500), [None, None]),
    "503": (loopback.status(503), [None, None]),
    "429": (loopback.status(429), [None, None]),
    "cut short": (loopback.closes(HALF), [None, f"bytes={HALF}-299999"]),
    "reset at once": (loopback.resets(0), [None, None]),
    "stalled": (loopback.stalls(HALF), [None, f"bytes={HALF}-299999"]),
    "stalled before the first byte": (loopback.stalls(0), [None, None]),
}


@pytest.mark.parametrize("fault", PASSING)
def test_after_a_passing_fault_it_goes_on_where_it_was(server, tmp_path, policy, fault):
    waits = policy(timeout=1.0 if "stalled" in fault else 20.0, pause=8.0)
    answer, ranges = PASSING[fault]
    server.faults["/a"] = [answer]
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges == ranges
    assert len(waits) == 1
    assert 4 <= waits[0] <= 8


def test_a_reset_in_the_middle_loses_at_most_what_was_on_its_way(server, tmp_path):
    server.faults["/a"] = [loopback.resets(HALF)]
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert len(server.ranges) == 2


#: What a server may always do -> why it is given up, and after how many requests.
LASTING = {
    "404": (loopback.status(404), "404 Not Found", 1),
    "403": (loopback.status(403), "403 Forbidden", 1),
    "410": (loopback.status(410), "410 Gone", 1),
    "500": (loopback.status(500), "500 Internal Server Error", 4),
    "429": (loopback.status(429), "429 Too Many Requests", 4),
    "truncated": (lambda handler, body: handler.serve(body[:-9]), "truncated: it has 299991 bytes there", 1),
    "longer": (
        lambda handler, body: handler.serve(body + b"x"),
        "another file: it has 300001 bytes",
        1,
    ),
    "longer, and does not say so": (
        lambda handler, body: handler.serve(body + b"x", length=None),
        "longer than 300000 bytes",
        1,
    ),
    "altered": (lambda handler, body: handler.serve(OTHER), "altered: its sha256 is not the expected one", 1),
    "a length too small": (loopback.states(5), "truncated: it has 5 bytes there", 1),
    "a length too large": (loopback.states(10**9), "another file: it has 1000000000 bytes there", 1),
    "a web page": (loopback.page, "a web page instead of the file", 1),
    "too slow": (loopback.drips, "too slow", 1),
    "a loop of redirections": (loopback.redirected("/a"), "redirects", 31),
    "a redirection to nowhere": (loopback.redirected("http://127.0.0.1:1/"), "Connection refused", 4),
    "another part": (
        lambda handler, body: handler.reply(206, body[9:], {"Content-Range": "bytes 9-299999/300000"}),
        "another part of the file",
        4,
    ),
}


@pytest.mark.parametrize("fault", LASTING)
def test_a_useless_address_is_named_and_the_next_one_serves(server, tmp_path, policy, fault, capsys):
    policy(window=0.1, rate=1e4)
    answer, reason, requests = LASTING[fault]
    server.always["/a"] = answer
    with pytest.raises(Failed, match=reason) as caught:
        get(server, tmp_path / "one")
    assert str(caught.value).startswith(f"{server.base}/a: ")
    assert len(server.requests) == requests
    got = get(server, tmp_path / "two", "ab")
    assert got.url == f"{server.base}/b"
    assert got.path.read_bytes() == BODY
    assert f"not from here: {str(caught.value).split(': ')[1]}" in capsys.readouterr().err


def test_a_page_that_it_is_redirected_to_is_named(server, tmp_path):
    server.always["/a"] = loopback.redirected("/login")
    server.always["/login"] = loopback.page
    with pytest.raises(Failed, match=rf"web page instead of the file \(redirected to {server.base}/login\)"):
        get(server, tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_page_does_not_cost_what_was_there(server, tmp_path, policy):
    policy(tries=1)
    server.faults["/a"] = [loopback.closes(HALF), loopback.page]
    for _ in range(2):
        with pytest.raises(Failed):
            get(server, tmp_path)
    assert kept(tmp_path) == HALF


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_may_ask_for_a_wait(server, tmp_path, policy, form):
    """Its clock is forty years behind: its dates are compared with each other."""
    waits = policy()
    now = datetime.datetime(1986, 1, 2, tzinfo=datetime.UTC)
    then = now + datetime.timedelta(seconds=37)
    headers = {"Date": format_datetime(now, True), "Retry_After": format_datetime(then, True)}
    server.faults["/a"] = [loopback.status(429, **headers if form == "date" else {"Retry_After": "37"})]
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert waits == [37]


def test_a_server_that_asks_for_too_long_a_wait_is_given_up(server, tmp_path, policy):
    waits = policy()
    server.always["/a"] = loopback.status(503, Retry_After="7200")
    assert get(server, tmp_path, "ab").url == f"{server.base}/b"
    assert waits == []


def test_the_waits_grow(server, tmp_path, policy):
    waits = policy(pause=1.0, tries=6)
    server.always["/a"] = loopback.status(500)
    with pytest.raises(Failed):
        get(server, tmp_path)
    assert all(2**n / 2 <= wait <= 2**n for n, wait in enumerate(waits))
    assert len(waits) == 5


def test_a_server_that_breaks_off_again_and_again_but_gives_enough_is_kept(server, tmp_path, policy):
    policy(tries=2, gain=1000)
    server.faults["/a"] = [loopback.closes(40_000)] * 7
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert len(server.requests) == 8


def broken_off(server, folder, policy, at="a"):
    """A first run that ends in the middle."""
    before = transfer.POLICY
    policy(tries=1)
    server.faults[f"/{at}"] = [loopback.closes(HALF)]
    with pytest.raises(Failed, match="IncompleteRead"):
        get(server, folder, at)
    assert kept(folder) == HALF
    server.ranges.clear()
    transfer.POLICY = before  # which the fixture undoes


def test_the_next_run_goes_on(server, tmp_path, policy):
    broken_off(server, tmp_path, policy)
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges == [f"bytes={HALF}-299999"]


def test_another_mirror_goes_on(server, tmp_path, policy):
    broken_off(server, tmp_path, policy)
    server.always["/a"] = loopback.status(404)
    got = get(server, tmp_path, "ab")
    assert got.path.read_bytes() == BODY
    assert got.url == f"{server.base}/b"
    assert server.ranges == [f"bytes={HALF}-299999"] * 2


def test_a_server_without_ranges_gives_all_of_it_again(server, tmp_path, policy):
    broken_off(server, tmp_path, policy)
    server.always["/a"] = loopback.whole
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges == [f"bytes={HALF}-299999"]


def test_a_server_that_misunderstands_ranges_gives_all_of_it_again(server, tmp_path, policy):
    broken_off(server, tmp_path, policy)
    server.always["/a"] = loopback.other_part
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges == [f"bytes={HALF}-299999", None]


def test_parts_of_two_versions_are_not_joined(server, tmp_path, policy):
    """The first half is of an old version; If-Range makes the server give all of the new one."""
    server.content["/a"] = OTHER[:HALF] + BODY[HALF:]
    policy(tries=1)
    server.faults["/a"] = [loopback.closes(HALF)]
    with pytest.raises(Failed):
        get(server, tmp_path)
    server.content["/a"] = BODY
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-299999"]


def ignores_if_range(handler, body, **more):
    del handler.headers["If-Range"]
    handler.serve(body, **more)


def tells_no_version(handler, body, **more):
    handler.serve(body, headers={"ETag": None}, **more)


@pytest.mark.parametrize("serve", [ignores_if_range, tells_no_version])
def test_parts_that_do_not_belong_together_are_fetched_again(server, tmp_path, serve):
    server.content["/a"] = OTHER[:HALF] + BODY[HALF:]
    server.faults["/a"] = [lambda handler, body: serve(handler, body, send=HALF), loopback.status(404)]
    with pytest.raises(Failed):
        get(server, tmp_path)
    server.content["/a"], server.always["/a"] = BODY, serve
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges == [None, *[f"bytes={HALF}-299999"] * 2, None]


def test_a_date_of_change_will_do_whatever_the_clocks_say(server, tmp_path, policy):
    """No ETag, a change in the future, files of the future, and a server of the past."""
    date = "Fri, 01 Jan 2100 00:00:00 GMT"
    headers = {"ETag": None, "Last-Modified": date, "Date": "Thu, 01 Jan 1970 00:00:00 GMT"}
    seen = []

    def serve(handler, body):
        seen.append(handler.headers.get("If-Range"))
        handler.serve(body, headers=headers, send=None if seen[1:] else HALF)

    server.always["/a"] = serve
    policy(tries=1)
    with pytest.raises(Failed):
        get(server, tmp_path)
    for path in tmp_path.iterdir():
        os.utime(path, (4e9, 4e9))
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert seen == [None, date]
    assert server.ranges == [None, f"bytes={HALF}-299999"]


@pytest.mark.parametrize("size", [len(BODY), None], ids=["known", "unknown"])
@pytest.mark.parametrize("length", [-1, None], ids=["stated", "not stated"])
def test_sizes_known_and_unknown(server, tmp_path, size, length):
    server.always["/a"] = loopback.states(length)
    wanted = Wanted("x.bin", SHA[:8], "sha256", size, 400_000)  # as much of the hash as is published
    assert get(server, tmp_path, wanted=wanted).path.read_bytes() == BODY


def test_an_unknown_size_goes_on_too(server, tmp_path):
    server.faults["/a"] = [loopback.closes(HALF)]
    wanted = Wanted("x.bin", SHA, "sha256", None, 400_000)
    assert get(server, tmp_path, wanted=wanted).path.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-"]


LEDGERS = {
    "no JSON": "half",
    "another form": "[]",
    "no spans": '{"total": 300000, "spans": [], "validators": {}}',
    "more than it can have": '{"total": 300000, "spans": [[0, 300001]], "validators": {}}',
    "more than the file has": '{"total": 300000, "spans": [[0, 250000]], "validators": {}}',
}


@pytest.mark.parametrize("ledger", LEDGERS)
def test_a_ledger_that_cannot_be_believed_is_not(server, tmp_path, ledger):
    size = 300_001 if ledger == "more than it can have" else HALF
    (tmp_path / f"{SHA}.part").write_bytes(bytes(size))
    (tmp_path / f"{SHA}.json").write_text(LEDGERS[ledger])
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges == [None]


def test_another_files_part_is_never_used(server, tmp_path, policy):
    broken_off(server, tmp_path, policy)
    server.content["/a"] = OTHER
    wanted = Wanted("x.bin", hashlib.sha256(OTHER).hexdigest(), "sha256", len(OTHER), len(OTHER))
    assert get(server, tmp_path, wanted=wanted).path.read_bytes() == OTHER
    assert server.ranges == [None]


def test_a_whole_file_that_was_altered_since_is_fetched_again(server, tmp_path):
    path = get(server, tmp_path).path
    path.write_bytes(OTHER)
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert len(server.requests) == 2


# --- several connections


def spans(ranges):
    """The bytes asked for, in order."""
    return sorted(tuple(map(int, asked.removeprefix("bytes=").split("-"))) for asked in ranges)


def test_a_large_file_comes_over_several_connections(server, tmp_path, policy, monkeypatch):
    """Every answer waits until three are under way."""
    policy(large=len(BODY), piece=75_000)
    monkeypatch.setenv("GAUNTLET_CONNECTIONS", "3")
    together = threading.Barrier(3)

    def serve(handler, body):
        if len(server.requests) > 1:  # the first answer tells whether there are ranges at all
            together.wait(20)
        handler.serve(body)

    server.always["/a"] = serve
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert spans(server.ranges) == [(low, low + 74_999) for low in range(0, 300_000, 75_000)]


@pytest.mark.parametrize("setting", ["1", "4"])
def test_small_files_and_one_connection_are_asked_for_whole(server, tmp_path, policy, monkeypatch, setting):
    policy(large=len(BODY) + (setting == "4"), piece=50_000)
    monkeypatch.setenv("GAUNTLET_CONNECTIONS", setting)
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges == [None]


def test_a_connection_that_breaks_costs_its_piece_alone(server, tmp_path, policy):
    policy(large=1, piece=50_000)
    server.faults["/a"] = [lambda handler, body: handler.serve(body)] * 3 + [loopback.closes(20_000)]
    assert get(server, tmp_path).path.read_bytes() == BODY
    asked = sum(stop - start + 1 for start, stop in spans(server.ranges))
    assert asked - len(BODY) <= 4 * 50_000  # at most what the other connections had not finished


def test_without_ranges_one_connection_brings_all(server, tmp_path, policy):
    policy(large=1, piece=50_000)
    server.always["/a"] = loopback.whole
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges == ["bytes=0-49999"]


def test_a_file_that_changes_between_two_pieces_is_fetched_whole(server, tmp_path, policy, monkeypatch):
    policy(large=1, piece=50_000)
    monkeypatch.setenv("GAUNTLET_CONNECTIONS", "2")
    server.faults["/a"] = [lambda handler, body: handler.serve(OTHER)]
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges[-1] is None


@pytest.mark.parametrize("setting", ["0", "17", "many", ""])
def test_a_wrong_number_of_connections_is_named(server, tmp_path, monkeypatch, setting):
    monkeypatch.setenv("GAUNTLET_CONNECTIONS", setting)
    with pytest.raises(GauntletError, match=f"GAUNTLET_CONNECTIONS is '{setting}'"):
        get(server, tmp_path)


# --- the disk


def test_a_disk_that_is_too_small_is_known_before_the_first_byte(server, tmp_path, monkeypatch):
    from gauntlet.core import disk

    usage = disk.shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(NoRoom, match=r"needs 1 MB here, and 1 MB are free") as caught:
        download([f"{server.base}/a"], WANTED, tmp_path / "d", later=700_001)
    assert caught.value.remedy.startswith("free 1 B, or make")
    assert server.requests == []
    download([f"{server.base}/a"], WANTED, tmp_path / "d", later=700_000)


def test_room_is_asked_of_the_disk_that_the_folder_will_be_on(tmp_path):
    require(tmp_path / "not" / "yet", 1, "a try")
    with pytest.raises(NoRoom, match="a try needs"):
        require(tmp_path / "not" / "yet", 10**18, "a try")


def test_a_full_disk_in_the_middle_keeps_what_there_is(server, tmp_path):
    """The system refuses a file of more than HALF bytes (EFBIG)."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, limits[1]))
        with pytest.raises(NoRoom, match="the disk is full") as caught:
            get(server, tmp_path, "ab")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "what was downloaded is kept" in caught.value.remedy
    assert set(server.requests) == {"/a"}  # another mirror would not help
    assert get(server, tmp_path).path.read_bytes() == BODY


def test_a_disk_too_full_for_the_ledger_gives_it_the_files_last_bytes(server, tmp_path, monkeypatch):
    """The ledger finds room only where the file has been shortened."""
    write = partial.Path.write_text

    def full(path, text, **options):
        if (tmp_path / f"{SHA}.part").stat().st_size > HALF - 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, text, **options)

    monkeypatch.setattr(partial.Path, "write_text", full)
    monkeypatch.setattr(transfer, "POLICY", dataclasses.replace(QUICK, tries=1))
    server.faults["/a"] = [loopback.closes(HALF)]
    with pytest.raises(Failed):
        get(server, tmp_path)
    assert kept(tmp_path) == HALF - partial.ROOM
    assert {path.suffix for path in tmp_path.iterdir()} == {".part", ".json"}
    monkeypatch.setattr(partial.Path, "write_text", write)
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges[-1] == f"bytes={HALF - partial.ROOM}-299999"


@pytest.mark.needs("/dev/full")
def test_a_full_device_is_one_clear_error(server, tmp_path):
    """ENOSPC from the system itself."""
    (tmp_path / f"{SHA}.part").symlink_to("/dev/full")
    with pytest.raises(NoRoom, match=rf"the disk is full \({os.strerror(errno.ENOSPC)}\)"):
        get(server, tmp_path, "ab")
    assert set(server.requests) == {"/a"}


# --- killed, offline, told


def test_a_killed_process_loses_next_to_nothing(server, tmp_path):
    """SIGKILL while the server stalls. The next run asks for the rest only."""
    server.faults["/a"] = [loopback.stalls(HALF)]
    code = (
        "from pathlib import Path; from gauntlet.core.transfer import Wanted, partial\n"
        "from gauntlet.core.transfer.download import download\n"
        "partial.BYTES = 1\n"  # a ledger for every byte, since there are so few
        f"download([{server.base + '/a'!r}], {WANTED!r}, Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    patience = time.monotonic() + 60
    while not list(tmp_path.glob("*.json")) or kept(tmp_path) < HALF:
        assert process.poll() is None
        assert time.monotonic() < patience
        time.sleep(0.02)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    assert get(server, tmp_path).path.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-299999"]


def test_the_ledger_is_written_now_and_then(server, tmp_path, monkeypatch):
    """A killed process of a fast download loses little, and yet not every chunk has a ledger of its own."""
    saved = []
    save = partial.Partial._save
    monkeypatch.setattr(partial.Partial, "_save", lambda self: (saved.append(self.count), save(self)))
    monkeypatch.setattr(partial, "BYTES", 100_000)
    monkeypatch.setattr(partial, "SECONDS", 1e9)
    get(server, tmp_path)
    assert 2 <= len(saved) <= 4
    assert saved[-1] == len(BODY)


#: What speaks to the network, and the modules that may import it; the second is told an address by the user.
TALK = re.compile(
    r"^\s*(?:import|from) (?:requests|urllib|urllib3|http|socket|httpx|aiohttp|ftplib)\b"
    r"|torch\.hub\.(?:load|download)|load_state_dict_from_url",
    re.MULTILINE,
)
TALKERS = {"core/transfer/address.py", "report/tracking.py"}


def test_nothing_else_speaks_to_the_network():
    """So GAUNTLET_OFFLINE=1 holds for every command. (apt-get, pip and dvc are processes of data/sources.)"""
    found = {path for path in PACKAGE.rglob("*.py") if TALK.search(path.read_text())}
    assert {str(path.relative_to(PACKAGE)) for path in found} == TALKERS


def test_offline_nothing_is_asked_for(server, tmp_path, monkeypatch):
    monkeypatch.setenv("GAUNTLET_OFFLINE", "1")
    with pytest.raises(Failed, match="GAUNTLET_OFFLINE=1"):
        get(server, tmp_path)
    assert server.requests == []


def test_offline_what_was_downloaded_before_serves(server, tmp_path, monkeypatch):
    path = get(server, tmp_path).path
    monkeypatch.setenv("GAUNTLET_OFFLINE", "1")
    assert get(server, tmp_path) == (path, None)


def test_a_log_gets_a_line_now_and_then(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY", 0)
    server.faults["/a"] = [loopback.closes(HALF)]
    get(server, tmp_path)
    said = capsys.readouterr().err
    assert f"  {server.base}/a (300 kB)\n" in said
    assert "    40%, " in said
    assert "    100%, " in said
    assert "\r" not in said


def test_a_terminal_gets_a_bar(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    server.faults["/a"] = [loopback.status(500)]
    get(server, tmp_path)
    said = capsys.readouterr().err
    assert "300.0/300.0 kB" in said
    assert "    500 Internal Server Error; trying again in 0.0 s" in said
