"""A file from the first of several addresses that serves it intact."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gauntlet.core import disk, transfer
from gauntlet.core.transfer import Failed, Wanted
from gauntlet.core.transfer.address import Address, Fault
from gauntlet.core.transfer.partial import Partial
from gauntlet.core.transfer.progress import Progress


class Download(NamedTuple):
    """The verified file, and the address that served it to its end; None when it was there already."""

    path: Path
    url: str | None


def download(addresses: Iterable[str], wanted: Wanted, folder: Path, *, later: int = 0) -> Download:
    """Download a file, going on from what an earlier run has left.

    A mirror goes on where another one stopped. The hash decides in the end, and a file of several parts that
    has a wrong one is fetched once more in one piece.

    Args:
        addresses: tried in this order.
        folder: where it is kept, whole or not, under the name of its hash. Only one process may work there.
        later: bytes of disk that are needed after it.

    Raises:
        Failed: the network is forbidden; no address serves the file (says what each answered).
        NoRoom: the disk is full, or too small, which is known before the first byte.
    """
    partial = Partial(folder, wanted)
    if partial.complete:
        if partial.intact():
            return Download(partial.path, None)
        partial.reset()
    if transfer.offline():
        raise Failed("left out, because GAUNTLET_OFFLINE=1")
    left = max((wanted.size or 0) - partial.occupied, 0)
    purpose = f"downloading {wanted.name}" + " and what follows" * bool(later)
    disk.require(folder.parent, left + later, purpose)
    answers = []
    for url in addresses:
        size = disk.size(wanted.size) if wanted.size else "size unknown"
        had = f", of which {disk.size(partial.count)} are here" if partial.count else ""
        print(f"  {url} ({size}{had})", file=sys.stderr, flush=True)
        progress = Progress(partial.total, partial.count)
        try:
            _serve(Address(url, partial, transfer.POLICY, progress))
            return Download(partial.path, url)
        except Fault as fault:
            answers.append(f"{url}: {fault}")
            progress.note(f"not from here: {fault}")
        finally:
            progress.close()
    if not partial.count:
        partial.reset()  # nor an empty file
    raise Failed("; ".join(answers))


def _serve(address: Address) -> None:
    """Complete and verify the file. Raises Fault; what has a wrong hash is gone then."""
    partial = address.partial
    for connections in (transfer.connections(), 1):
        address.bring(connections)
        if partial.intact():
            return
        joined = partial.responses > 1
        partial.reset()
        if not joined:
            break
        address.progress.note("its parts do not belong together; fetching it in one piece")
    raise Fault(f"altered: its {partial.wanted.algorithm} is not the expected one")
