"""A web server on loopback that serves well, but for the faults that a test scripts."""

from __future__ import annotations

import hashlib
import http.server
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gauntlet.core.transfer import Policy

#: A policy of tests: between two tries nothing is waited for.
QUICK = Policy(pause=0.0, timeout=20.0)


@dataclass
class Loopback:
    """What it serves, and what it was asked for.

    Attributes:
        content: path -> body.
        faults: path -> what to do instead of serving, a fault for each of the next requests.
        always: path -> what to do instead of serving, every time.
        requests, ranges: the path, and the bytes asked for (None: all), of every request.
        released: set when stalled answers should end.
    """

    base: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    always: dict[str, Fault] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def source(self, **files: bytes) -> dict:
        """Serve files by name, and the url source that names them."""
        for name, content in files.items():
            self.content[f"/files/{name}"] = content
        listed = {
            name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        }
        return {"kind": "url", "bases": [f"{self.base}/files/"], "files": listed}


class Handler(http.server.BaseHTTPRequestHandler):
    loopback: Loopback

    def do_GET(self):
        at = self.loopback
        at.requests.append(self.path)
        at.ranges.append(self.headers.get("Range"))
        body = at.content.get(self.path)
        if queue := at.faults.get(self.path):
            queue.pop(0)(self, body)
        elif fault := at.always.get(self.path):
            fault(self, body)
        elif body is None:
            self.send_error(404)
        else:
            self.serve(body)

    def serve(self, body: bytes, *, ranges: bool = True, end: Callable[[], None] | None = None, **more):
        """Answer as RFC 9110 has it.

        Args:
            ranges: whether ranges are understood.
            end: called when ``send`` bytes are out.
            more: for ``reply``.
        """
        tag = f'"{hashlib.sha256(body).hexdigest()[:8]}"'
        headers = {"ETag": tag, **more.pop("headers", {})}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        validator = self.headers.get("If-Range")
        if ranges and asked and validator in (None, headers["ETag"], headers.get("Last-Modified")):
            start, stop = int(asked[1]), int(asked[2] or len(body) - 1) + 1
            if start >= len(body):
                self.reply(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{min(stop, len(body)) - 1}/{len(body)}"
            self.reply(206, body[start:stop], headers, **more)
        else:
            self.reply(200, body, headers, **more)
        if end:
            end()

    def reply(
        self, status: int, body: bytes, headers: dict, *, length: int | None = -1, send: int | None = None
    ):
        """One answer.

        Args:
            length: what Content-Length says; None leaves it out, -1 is the truth.
            send: so many bytes of the body are sent, all when None.
        """
        # The date is sent by hand, so that a test can give another.
        self.send_response_only(status)
        if "Date" not in headers:
            self.send_header("Date", self.date_time_string())
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length == -1 else length))
        if self.path.endswith("/"):  # pip reads an index page only when it is declared as HTML
            self.send_header("Content-Type", "text/html")
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:send])
        self.wfile.flush()

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that has had enough is no error."""


Fault = Callable[[Handler, bytes], None]


@contextmanager
def running() -> Iterator[Loopback]:
    """A server in a thread of its own, with a thread per request."""
    loopback = Loopback()
    handler = type("Bound", (Handler,), {"loopback": loopback})
    with Server(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
        loopback.base = f"http://127.0.0.1:{httpd.server_port}"
        try:
            yield loopback
        finally:
            loopback.released.set()
            httpd.shutdown()


# --- faults


def status(code: int, **headers: str) -> Fault:
    """An answer without a file. ``Retry_After="3"`` is a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, body: handler.reply(code, b"Sorry", named)


def redirected(to: str) -> Fault:
    return status(302, Location=to)


def page(handler: Handler, body: bytes) -> None:
    """A web page where the file should be, as a login or an error often is."""
    handler.reply(
        200, b"<!-- a portal --><p>Agree to the terms", {"Content-Type": "text/html; charset=utf-8"}
    )


def closes(after: int) -> Fault:
    """Ends the answer in the middle."""
    return lambda handler, body: handler.serve(body, send=after)


def resets(after: int) -> Fault:
    """Resets the connection (RST) in the middle."""

    def fault(handler: Handler, body: bytes) -> None:
        linger = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        handler.serve(body, send=after)
        handler.rfile.close()
        handler.connection.close()

    return fault


def stalls(after: int) -> Fault:
    """Says nothing more after so many bytes."""
    return lambda handler, body: handler.serve(body, send=after, end=handler.loopback.released.wait)


def drips(handler: Handler, body: bytes) -> None:
    """A byte now and then, until the client has had enough."""
    handler.serve(body, send=1)
    for byte in body[1:]:
        if handler.loopback.released.wait(0.02):
            return
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()


def states(length: int | None) -> Fault:
    """A Content-Length that is wrong, or none."""
    return lambda handler, body: handler.serve(body, length=length)


def whole(handler: Handler, body: bytes) -> None:
    """Knows no ranges."""
    handler.serve(body, ranges=False)


def other_part(handler: Handler, body: bytes) -> None:
    """Sends another part than was asked for, and does not hide it."""
    if handler.headers.get("Range"):
        handler.reply(206, body, {"Content-Range": f"bytes 0-{len(body) - 1}/{len(body)}"})
    else:
        handler.serve(body)
