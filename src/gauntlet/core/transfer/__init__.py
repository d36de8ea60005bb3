"""Downloads over HTTP: resumed, verified, from the first of several addresses that serves a file.

``download.py`` goes through the addresses, ``address.py`` gets bytes from one of them, ``partial.py`` keeps
what has come for the next run. The transport is requests, which dvc and mlflow bring anyway: redirects, TLS
and a site's proxies are its work. Neither it nor its kin (urllib3, httpx, aiohttp, fsspec) goes on with a
body that broke off, so that is ours; and so are the waits, since they have to count both kinds of failure.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from gauntlet.core.errors import GauntletError


class Failed(Exception):
    """No address could serve the file; says what each answered."""


@dataclass(frozen=True)
class Wanted:
    """A file to download.

    Args:
        name: for messages.
        digest: hex digits of its hash, or the first of them.
        algorithm: sha256 or md5.
        size: bytes, where they are known.
        limit: the most bytes that it may have.
    """

    name: str
    digest: str
    algorithm: str
    size: int | None
    limit: int


@dataclass(frozen=True)
class Policy:
    """How patient a download is.

    Attributes:
        tries: failures in a row, without ``gain`` bytes in between, after which an address is given up.
        pause: seconds before the second try; doubled for every further one.
        longest: seconds; a server that asks for a longer wait is given up.
        connect, timeout: seconds without a connection, and without a byte.
        window, rate: seconds; a connection that had fewer bytes per second for so long is given up.
        large: bytes from which a file is taken over several connections, in pieces of ``piece`` bytes.
        sleep: what waits.
    """

    tries: int = 4
    pause: float = 1.0
    longest: float = 120.0
    connect: float = 10.0
    timeout: float = 30.0
    window: float = 30.0
    rate: float = 1000.0
    gain: int = 1 << 20
    large: int = 1 << 26
    piece: int = 1 << 25
    sleep: Callable[[float], None] = time.sleep


POLICY = Policy()


def offline() -> bool:
    """Whether the user has forbidden the network."""
    return os.environ.get("GAUNTLET_OFFLINE") == "1"


def connections() -> int:
    """For one large file, by ``GAUNTLET_CONNECTIONS``. Raises GauntletError unless that is 1 to 16."""
    given = os.environ.get("GAUNTLET_CONNECTIONS", "4")
    if not given.isdecimal() or not 1 <= int(given) <= 16:
        raise GauntletError(
            f"GAUNTLET_CONNECTIONS is {given!r}", remedy="set it to a number from 1 to 16, or unset it"
        )
    return int(given)
