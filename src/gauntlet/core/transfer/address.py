"""One address: brings what is missing of a file, with ranges, several connections and patience."""

from __future__ import annotations

import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from email.utils import parsedate_to_datetime

import requests
import urllib3

from gauntlet.core import disk
from gauntlet.core.transfer import Policy
from gauntlet.core.transfer.partial import Partial
from gauntlet.core.transfer.progress import Progress

CHUNK = 1 << 18
PASSING = (408, 429, 500, 502, 503, 504)  # another try may go better
#: The identity, or a server might compress anew what has to arrive as it was published.
HEADERS = {"User-Agent": "gauntlet", "Accept-Encoding": "identity"}
CHANGED = "the file has changed on the server"
PAGE = re.compile(rb"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)


class Fault(Exception):
    """Why an answer is of no use.

    Args:
        again: another try may go better.
        wait: seconds that the server asks for.
        drop: what has come so far is of no use either.
    """

    def __init__(self, problem: str, *, again: bool = False, wait: float | None = None, drop: bool = False):
        super().__init__(problem)
        self.again, self.wait, self.drop = again, wait, drop


class Address:
    """The file at one address."""

    def __init__(self, url: str, partial: Partial, policy: Policy, progress: Progress):
        self.url, self.partial, self.policy, self.progress = url, partial, policy, progress
        self._stopped = threading.Event()

    def bring(self, connections: int) -> None:
        """Bring what is missing; a large file over several connections, if the server can.

        Raises:
            Fault: this address is given up. What has come is kept.
            NoRoom: the disk is full.
        """
        failures = 0
        while not self.partial.complete:
            before = self.partial.count
            try:
                self._try(connections)
            except Fault as fault:
                if fault.drop:
                    self.partial.reset()
                    connections = 1
                if not fault.again:
                    raise
                failures = 1 if self.partial.count - before >= self.policy.gain else failures + 1
                if failures >= self.policy.tries:
                    raise
                self._wait(fault, failures)

    def _wait(self, fault: Fault, failures: int) -> None:
        # Jobs that failed together should not come back together.
        seconds = self.policy.pause * 2 ** (failures - 1) * random.uniform(0.5, 1)
        seconds = max(seconds, fault.wait or 0)
        if seconds > self.policy.longest:
            raise Fault(f"{fault}, and asks to wait for {seconds:.0f} s") from fault
        self.progress.note(f"{fault}; trying again in {seconds:.1f} s")
        self.policy.sleep(seconds)

    def _try(self, connections: int) -> None:
        """One try at all that is missing."""
        large = connections > 1 and (self.partial.total or 0) >= self.policy.large
        first, *others = self.partial.missing(self.policy.piece if large else None)
        self._stopped.clear()
        try:
            response = self._ask(*first)
            if response.status_code == 200:
                self._receive(response, 0, self.partial.total)
                return
            with ThreadPoolExecutor(connections if large else 1) as pool:
                tasks = [pool.submit(self._receive, response, *first)]
                tasks += [pool.submit(self._piece, *piece) for piece in others]
                try:
                    for task in as_completed(tasks):
                        task.result()
                finally:
                    self._stopped.set()
                    pool.shutdown(wait=False, cancel_futures=True)
        finally:
            self.partial.save()

    def _piece(self, start: int, stop: int | None) -> None:
        response = self._ask(start, stop)
        if response.status_code == 200:
            response.close()
            raise Fault(CHANGED, again=True, drop=True)
        self._receive(response, start, stop)

    def _ask(self, start: int, stop: int | None) -> requests.Response:
        """An answer that has the bytes from ``start`` (206), or all (200), as its headers say."""
        headers = dict(HEADERS)
        partial = self.partial
        if start or stop != partial.total:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
            if known := partial.validators.get(self.url):
                headers["If-Range"] = known
        timeout = self.policy.connect, self.policy.timeout
        try:
            response = requests.get(self.url, headers=headers, stream=True, timeout=timeout)
        except (requests.exceptions.SSLError, requests.exceptions.ProxyError) as error:
            raise Fault(_reason(error)) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Fault(_reason(error), again=True) from error
        except requests.RequestException as error:  # too many redirections, or to no address at all
            raise Fault(_reason(error)) from error
        try:
            self._check(response, start)
        except Fault:
            response.close()
            raise
        return response

    def _check(self, response: requests.Response, start: int) -> None:
        """Compare an answer's headers with what was asked for. Raises Fault."""
        status, partial = response.status_code, self.partial
        if status == 206:
            given = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if not given or int(given[1]) != start:
                raise Fault("sends another part of the file than was asked for", again=True, drop=True)
            self._check_length(given[2])
            if not partial.goes_on(self.url, _validator(response)):
                raise Fault(CHANGED, again=True, drop=True)
        elif status == 416:  # it has fewer bytes than are here already
            self._check_length(response.headers.get("Content-Range", "").removeprefix("bytes */"))
            raise Fault(CHANGED, again=True, drop=True)
        elif status != 200:  # of that the first bytes tell more, see _begin
            asked = _asked_to_wait(response)
            raise Fault(f"{status} {response.reason or ''}".strip(), again=status in PASSING, wait=asked)

    def _check_length(self, stated: str) -> None:
        """Compare the whole file's length as the server states it, if it does, with what is expected."""
        wanted = self.partial.wanted
        if not stated.isdecimal() or int(stated) == wanted.size:
            return
        if wanted.size is not None:
            what = "truncated" if int(stated) < wanted.size else "another file"
            raise Fault(f"{what}: it has {stated} bytes there, not {wanted.size}")
        if int(stated) > wanted.limit:
            raise Fault(f"longer than {wanted.limit} bytes: it has {stated} there")

    def _receive(self, response: requests.Response, start: int, stop: int | None) -> None:
        """Write an answer's bytes, which begin at ``start``, into the file."""
        at = start
        remedy = "free some space, then run it again: what was downloaded is kept, and it goes on from there"
        with response, disk.explained(self.partial.path.parent, remedy), self.partial.open() as file:
            file.seek(start)
            pace = _Pace(self.policy)
            while chunk := self._read(response):
                if at == 0 and response.status_code == 200:
                    self._begin(response, chunk)
                if at + len(chunk) > (stop or self.partial.wanted.limit):
                    raise Fault(f"longer than {stop or self.partial.wanted.limit} bytes", drop=True)
                self.partial.write(file, at, chunk)
                at += len(chunk)
                self.progress.at(self.partial.count)
                pace.count(len(chunk))
                if self._stopped.is_set():
                    return
        if stop is None:
            self.partial.total = at
        elif at < stop:
            raise Fault(f"truncated: it ended after {at} of {stop} bytes", again=True)

    def _begin(self, response: requests.Response, chunk: bytes) -> None:
        """Look at the first bytes of a whole file before what is here is given up for it. Raises Fault."""
        length = response.headers.get("Content-Length", "")
        html = response.headers.get("Content-Type", "").startswith("text/html")
        page = PAGE.match(chunk) or (html and chunk.lstrip().startswith(b"<"))
        if page and length != str(self.partial.wanted.size):  # else the hash decides
            moved = f" (redirected to {response.url})" if response.history else ""
            raise Fault(f"answers with a web page instead of the file{moved}")
        self._check_length(length)
        self.partial.begin(self.url, _validator(response))

    def _read(self, response: requests.Response) -> bytes:
        try:
            # What is there, without waiting for a whole chunk, or a slow server would not be noticed.
            return response.raw.read1(CHUNK, decode_content=False)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise Fault(f"stalled: no byte in {self.policy.timeout:g} s", again=True) from error
        except urllib3.exceptions.HTTPError as error:
            raise Fault(_reason(error), again=True) from error


class _Pace:
    """Raises Fault when too little has come in a window of time."""

    def __init__(self, policy: Policy):
        self.policy, self.bytes, self.since = policy, 0, time.monotonic()

    def count(self, more: int) -> None:
        self.bytes += more
        if (spent := time.monotonic() - self.since) >= self.policy.window:
            if self.bytes < self.policy.rate * spent:
                raise Fault(f"too slow: {self.bytes / spent:.0f} bytes per second")
            self.bytes, self.since = 0, time.monotonic()


def _validator(response: requests.Response) -> str:
    """What tells this version of the file from others; empty where the server gives nothing.

    A weak ETag is not enough for joining bytes (RFC 9110, 13.1.5).
    """
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _asked_to_wait(response: requests.Response) -> float | None:
    """Seconds of ``Retry-After``. A date is compared with the server's own: its clock may not be ours."""
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isdecimal():
        return float(asked)
    try:
        now = parsedate_to_datetime(response.headers["Date"])
        return max(0.0, (parsedate_to_datetime(asked) - now).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


def _reason(error: Exception) -> str:
    """What happened, without the layers that passed it on."""
    inner: BaseException = error
    while deeper := inner.__cause__ or inner.__context__:
        inner = deeper
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
