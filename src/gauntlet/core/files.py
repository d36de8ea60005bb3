"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends well.

    The content is flushed to disk before the rename, so that a crash leaves the old file or the new
    one, never a part. The temporary path may become a file or a folder; an existing folder of the
    final name is replaced.

    Raises:
        GauntletError: the disk is full or the folder is read-only.
    """
    path = Path(path)
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        temporary = scratch / path.name
        yield temporary
        _flush(temporary)
        if path.is_dir():
            os.replace(path, scratch / "replaced")
        os.replace(temporary, path)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _flush(path: Path) -> None:
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        with open(file, "rb+") as handle:
            os.fsync(handle.fileno())


def _explain(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return GauntletError("the disk is full", file=path, remedy="free some space, then run it again")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return GauntletError(
            f"cannot write here ({error.strerror})", file=path, remedy="make the folder writable"
        )
    return error


def sha256_file(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with one spelling per value: sorted keys, no spaces. The form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_json(value: Any, length: int = 64) -> str:
    """Hex SHA-256 of ``canonical_json(value)``, cut to ``length`` characters."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def write_text(path: str | Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Indented JSON with sorted keys; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Raises GauntletError when the file is absent or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise GauntletError("no such file", file=path, remedy="run the step that makes it") from error
    except ValueError as error:
        raise GauntletError(
            f"not valid JSON ({error})", file=path, remedy="delete it and run again"
        ) from error


#: The key under which a sealed file keeps the digest of all others.
SEAL = "seal"


def write_sealed(path: str | Path, value: dict[str, Any]) -> None:
    """``write_json``, with a digest of ``value``: ``read_sealed`` sees an edit. No signature: who edits on
    purpose can seal again."""
    write_json(path, {**value, SEAL: _seal(value)})


def read_sealed(path: str | Path) -> dict[str, Any]:
    """What ``write_sealed`` wrote. A file without a seal, of an earlier version, is taken as it is.

    Raises:
        GauntletError: the file is absent, is not JSON, or was edited.
    """
    value = read_json(path)
    if value.pop(SEAL, None) not in (None, _seal(value)):
        raise GauntletError(
            "this file was edited after it was written (its seal differs)",
            file=path,
            remedy="restore it (git checkout, for published/), or delete its folder and run again",
        )
    return value


def _seal(value: dict[str, Any]) -> str:
    return digest_json(json.loads(json.dumps(value)))  # as it is read again: keys are strings


def write_rows(path: str | Path, rows: list[dict[str, Any]], columns: dict[str, str]) -> None:
    """Write rows as zstd Parquet, without pandas: importing it takes a job longer than the table.

    Args:
        path: the file.
        rows: each with a value for every column; more keys are left out.
        columns: name -> Arrow's name of the type, such as "int64", "float64", "str", "bool".
    """
    import pyarrow as pa

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    arrays = [pa.array([row[name] for row in rows], schema.field(name).type) for name in columns]
    _write_table(path, pa.table(arrays, schema))


def write_parquet(path: str | Path, frame) -> None:
    """Write a pandas DataFrame as zstd Parquet; the same rows give the same bytes."""
    import pyarrow as pa

    _write_table(path, pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None))


def _write_table(path: str | Path, arrow) -> None:
    import pyarrow.parquet as pq

    with atomic(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd", compression_level=9)


def read_parquet(path: str | Path):
    """A pandas DataFrame. Raises GauntletError when the file is absent or damaged."""
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except FileNotFoundError as error:
        raise GauntletError("no such file", file=path, remedy="run the step that makes it") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise GauntletError(
            f"damaged Parquet file ({error})", file=path, remedy="delete it and run again"
        ) from error
