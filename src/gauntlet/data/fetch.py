"""Obtain a dataset and prepare it: ordered fall-back over its sources, verified, whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock

from gauntlet.core import disk
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import atomic
from gauntlet.core.registry import resolve
from gauntlet.core.transfer import offline
from gauntlet.data import packed, prepared, prepared_bundle, prepared_crowd, prepared_table, registry
from gauntlet.data.registry import Common, RawFile
from gauntlet.data.sources import Found, Unavailable, apt, dvc, folder, index, store, url, wheel

OBTAIN = {
    "apt": apt.obtain,
    "dvc": dvc.obtain,
    "folder": folder.obtain,
    "index": index.obtain,
    "wheel": wheel.obtain,
}
WRITE = {
    "arrays": prepared.write,
    "files": prepared_bundle.write,
    "labels": prepared_crowd.write,
    "photos": packed.write,
    "table": prepared_table.write,
}
NETWORK = ("apt", "index")  # what GAUNTLET_OFFLINE=1 leaves out; dvc and url see for themselves
SUPPLIED = ("dvc", "folder")  # with nothing else, somebody must have got the files


def prepare(name: str, folder: Path | None = None) -> Path:
    """Make sure that the prepared set is there and intact, obtaining it if it is not.

    Tried in order: the folder itself, ``$GAUNTLET_DATA`` (a folder with prepared sets or with the
    publisher's files), then the registry's sources. ``GAUNTLET_OFFLINE=1`` leaves out the network.
    Two processes may do this at once: one works and the other waits. What a failed or killed run has
    downloaded is kept beside the folder, and the next run goes on from there.

    Args:
        name: a dataset of the registry.
        folder: the prepared set's own folder; the registry's when absent.

    Returns:
        The folder.

    Raises:
        GauntletError: unknown name; no source could serve it (says what each one answered); the
            disk is full, too small or read-only. Nothing half-prepared is left.
    """
    entry = registry.entry(name)
    return obtain(entry, Path(folder) if folder is not None else Path(entry.folder))


def obtain(entry: Common, folder: Path) -> Path:
    """``prepare`` for an entry that need not be in the registry's file."""
    kept = folder.with_name(f".{folder.name}.partial")
    if _intact(entry, folder):
        shutil.rmtree(kept, ignore_errors=True)  # whoever made the set, nobody needs this any more
        say(f"{entry.name}: already prepared, verified")
        return folder
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise GauntletError(
            f"cannot write here ({error.strerror})", file=folder.parent, remedy="make the folder writable"
        ) from error
    try:
        if not _intact(entry, folder):
            _sweep(folder, kept)
            try:
                _obtain(entry, folder, kept)
            except disk.NoRoom:
                raise
            except GauntletError:
                if any(source.kind == "url" and url.whole(source, kept) for source in entry.sources):
                    shutil.rmtree(kept)  # nothing was missing, and yet it would not do
                raise
            shutil.rmtree(kept, ignore_errors=True)
    finally:
        lock.release()
    return folder


def _intact(entry: Common, folder: Path) -> bool:
    return entry.prepared is not None and prepared.verify(folder, entry.prepared) is None


def _sweep(folder: Path, kept: Path) -> None:
    """Remove what a killed process left, but for its downloads; the lock says that nobody is using it."""
    for left in folder.parent.glob(f".{folder.name}.*"):
        if left.is_dir() and left != kept:
            shutil.rmtree(left, ignore_errors=True)


def _obtain(entry: Common, folder: Path, kept: Path) -> None:
    answers = []
    with atomic(folder) as temporary:
        scratch = temporary.parent / "source"
        for label, attempt in attempts(entry, kept):
            say(f"{entry.name}: trying {label}")
            scratch.mkdir()
            try:
                with disk.explained(folder, "free some space, then run it again"):
                    found = attempt(scratch)
                    _build(entry, found, temporary)
                break
            except disk.NoRoom:
                raise
            except (Unavailable, GauntletError) as error:
                answers.append(f"{label}: {_why(error)}")
                say(f"{entry.name}: not from {label}: {_why(error)}")
            finally:
                shutil.rmtree(scratch)
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            raise GauntletError(
                f"no source could serve the dataset {entry.name!r}\n    " + "\n    ".join(answers),
                remedy=_remedy(entry),
            )
    say(f"{entry.name}: prepared and verified in {folder}, from {found.origin or label}")
    if entry.prepared is None:
        hashes = prepared.hashes(folder, entry.prepared_files)
        pins = "\n".join(f"    {file}: {digest}" for file, digest in hashes.items())
        say(f"{entry.name}: put these lines into its entry of registry.yaml:\n  prepared:\n{pins}")


def _remedy(entry: Common) -> str:
    """What the user should do: which files to get from where, with their checksums."""
    if entry.terms == "account":
        first = f"register with the publisher ({entry.reference}), download these files,"
    elif all(source.kind in SUPPLIED for source in entry.sources):
        first = f"get these files from the publisher ({entry.reference}),"
    else:
        names = ", ".join(file.name for file in entry.files.values())
        return (
            "run it again, here or from another network (it goes on with what was downloaded), or set"
            f" GAUNTLET_DATA to a folder that has {names}"
        )
    folder = Path(os.environ.get("GAUNTLET_DATA", "FOLDER")) / entry.name
    files = "\n".join(f"      {_described(file)}" for file in entry.files.values())
    return f"{first} put them into {folder}/, with GAUNTLET_DATA={folder.parent}:\n{files}"


def _described(file: RawFile) -> str:
    facts = [f"{file.size} bytes"] if file.size else []
    facts += [f"{kind} {digest}" for kind in ("sha256", "md5") if (digest := getattr(file, kind))]
    return f"{file.name} ({', '.join(facts)})" if facts else file.name


def _why(error: Exception) -> str:
    """What a source answered: the problem, and the file and the member that it is about."""
    if not isinstance(error, GauntletError):
        return str(error)
    where = [Path(error.file).name] if error.file else []
    return ": ".join([*where, *([error.key] if error.key else []), error.problem])


def _build(entry: Common, found: Found, folder: Path) -> None:
    """Make the prepared set in the new folder ``folder``, and verify it."""
    if found.prepared:
        folder.mkdir()
        for file in entry.prepared_files:
            if not (found.prepared / file).is_file():
                raise Unavailable(f"{file} is missing")
            shutil.copyfile(found.prepared / file, folder / file)
    else:
        read = resolve("reader", found.reader or entry.reader)
        WRITE[entry.form](read(found.files, entry), entry, folder)
    if entry.prepared and (fault := prepared.verify(folder, entry.prepared)):
        raise Unavailable(f"{fault[0]}: its SHA-256 after preparation is not the registry's")


def attempts(entry: Common, kept: Path) -> Iterator[tuple[str, Callable[[Path], Found]]]:
    """What to try for a set, in order: a label, and a function of an empty scratch folder."""
    if given := os.environ.get("GAUNTLET_DATA"):
        yield f"GAUNTLET_DATA ({given})", lambda scratch: store.obtain(Path(given), entry, scratch)
    for source in entry.sources:
        if offline() and source.kind in NETWORK:
            yield source.label, _offline
        elif source.kind == "url":
            yield source.label, lambda scratch, source=source: url.obtain(source, entry, scratch, kept)
        else:
            yield source.label, lambda scratch, source=source: OBTAIN[source.kind](source, entry, scratch)


def _offline(scratch: Path) -> Found:
    raise Unavailable("left out, because GAUNTLET_OFFLINE=1")


def say(text: str) -> None:
    """One line of progress, on standard error."""
    print(text, file=sys.stderr, flush=True)
