"""Files of the database LMDB (symas.com/lmdb), as LSUN is published: keys with bytes, in one ``.mdb``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gauntlet.core.errors import GauntletError


def records(path: Path) -> Iterator[tuple[str, memoryview]]:
    """Every key, in ascending order, with its bytes, which hold until the next one is taken.

    The library maps the file and trusts it, so verify its hash first.

    Raises:
        GauntletError: not such a file; it is cut short.
    """
    import lmdb

    def refuse(problem: object) -> GauntletError:
        return GauntletError(f"not a whole LMDB file ({problem})", file=path, remedy="fetch it again")

    try:
        with lmdb.open(str(path), subdir=False, readonly=True, lock=False, create=False) as database:
            needed = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
            if (size := path.stat().st_size) < needed:  # reading behind the end would kill the process
                raise refuse(f"{size} bytes of {needed}")
            with database.begin(buffers=True) as transaction:
                for key, value in transaction.cursor():
                    yield bytes(key).decode(errors="replace"), value
    except lmdb.Error as error:
        raise refuse(error) from error
