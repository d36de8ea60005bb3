"""The prepared form of photos: the publisher's encoded files of a split, one after the other.

A split is four files: ``<split>_images.bin``, the encoded bytes; ``<split>_offsets.npy``, int64 (n + 1,),
where each photo begins and the last one ends; ``<split>_labels.npy``, unsigned (n,), indices into the
classes; ``<split>_names.txt``, a line for each photo, for messages. ``dataset.json`` has the class names. So
a job maps a few files instead of opening 120,000, nothing is encoded anew, and hashes pin every byte.

A set with attributes has a fifth file per split, ``<split>_attributes.npy``, uint8 (n, A): 1 for true, 0 for
false, ``photos.UNKNOWN``; one with values, ``<split>_values.npy``, float32 (n, V). Their names are in
``dataset.json``; the split ``reference`` has neither.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.data.extract import stream_members
from gauntlet.data.photos import UNKNOWN, cores, unreadable
from gauntlet.data.prepared import refused
from gauntlet.data.registry import PhotoEntry

#: Photos and the like compress badly: what an archive may unpack to, in times its own size.
UNPACKED = 4
BLOCK = 256  # photos that one task decodes
REPORT = 5  # seconds between two lines of progress


class Listed(NamedTuple):
    """One photo of the official index: the archive, its path in there, and its label."""

    archive: Path
    member: str
    label: int


@dataclass(frozen=True)
class Album:
    """What a reader of photos returns: the official index, and nothing of the photos yet.

    Attributes:
        classes: one name per label.
        splits: the photos of each split, in the official order.
        attributes: of each split, uint8 (n, A), 0, 1 or ``UNKNOWN``, columns as the entry names them; empty
            for a set without any.
        values: of each split, float32 (n, V), finite, columns as the entry names them; empty for a set
            without any.
        by_content: sort them by label and then by the SHA-256 of their bytes, and call them by it: for a set
            whose sources number the photos differently.
    """

    classes: list[str]
    splits: dict[str, list[Listed]]
    attributes: dict[str, np.ndarray] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    by_content: bool = False


@dataclass
class Spool:
    """The files of a split as they come, and where each is."""

    path: Path
    file: BinaryIO
    starts: np.ndarray
    sizes: np.ndarray
    digests: list[bytes]


def check(album: Album, entry: PhotoEntry) -> None:
    """Compare an index with the registry, before any photo is read.

    Raises:
        GauntletError: the first difference: splits, images or classes per split, attributes or values, a
            photo listed twice, or a class of the training photos among the others although it is zero-shot.
    """

    if list(album.splits) != list(entry.splits):
        raise refused(entry, f"the splits are {', '.join(album.splits)}, not {', '.join(entry.splits)}")
    present = {split: {photo.label for photo in photos} for split, photos in album.splits.items()}
    for split, total in entry.splits.items():
        if (found := len(album.splits[split])) != total.images:
            raise refused(entry, f"{found} {split} images are listed, not {total.images}")
        if not present[split] <= set(range(len(album.classes))):
            raise refused(entry, f"{split} labels are outside 0 to {len(album.classes) - 1}")
        if (found := len(present[split])) != total.classes:
            raise refused(entry, f"{found} {split} classes are listed, not {total.classes}")
    for kind, dtype in (("attributes", np.uint8), ("values", np.float32)):
        names, given = getattr(entry, kind), getattr(album, kind)
        described = entry.described if names else []
        if list(given) != described:
            raise refused(entry, f"{kind} are given for the splits {list(given)}, not {described}")
        for split, found in given.items():
            shape = (entry.splits[split].images, len(names))
            if found.dtype != dtype or found.shape != shape:
                raise refused(
                    entry, f"{split} {kind} are {found.dtype} {found.shape}, not {np.dtype(dtype)} {shape}"
                )
    for split, found in album.attributes.items():
        if not np.isin(found, (0, 1, UNKNOWN)).all():
            raise refused(entry, f"a {split} attribute is {found[~np.isin(found, (0, 1, UNKNOWN))][0]}")
    for split, found in album.values.items():
        if not np.isfinite(found).all():
            raise refused(entry, f"a {split} value is {found[~np.isfinite(found)][0]}")
    if unused := set(range(len(album.classes))) - set().union(*present.values()):
        raise refused(entry, f"no image of the class {album.classes[min(unused)]!r} is listed")
    if entry.zero_shot:
        for split in [split for split in present if split not in ("train", "reference")]:
            if shared := present["train"] & present[split]:
                name = album.classes[min(shared)]
                raise refused(
                    entry, f"the class {name!r} is in train and in {split}, but the set is zero-shot"
                )
    seen: set[tuple[Path, str]] = set()
    for photos in album.splits.values():
        for archive, member, _ in photos:
            if (archive, member) in seen:
                raise refused(entry, f"{member} is listed twice")
            seen.add((archive, member))


def write(album: Album, entry: PhotoEntry, folder: Path) -> None:
    """Write the prepared form into the new folder ``folder``, and decode every photo once.

    Every archive is read once, from its beginning to its end, with one photo in memory at a time.

    Raises:
        GauntletError: as ``check``; a listed photo is not in its archive, or does not decode; a
            hostile or damaged archive.
    """
    check(album, entry)
    folder.mkdir()
    spools = collect(album.splits, folder, digests=album.by_content)
    for split, photos in album.splits.items():
        spool = spools[split]
        _decode_all(photos, spool)
        order = range(len(photos))
        names = [photo.member for photo in photos]
        if album.by_content:
            order = sorted(order, key=lambda row: (photos[row].label, spool.digests[row]))
            names = [f"{photos[row].label}/{spool.digests[row].hex()}" for row in range(len(photos))]
        arrange(spool, order, folder / f"{split}_images.bin")
        labels = np.array([photos[row].label for row in order])
        save_index(
            folder, split, spool.sizes[order], labels, len(album.classes), [names[row] for row in order]
        )
        for kind in ("attributes", "values"):
            if split in (given := getattr(album, kind)):
                np.save(folder / f"{split}_{kind}.npy", given[split][order], allow_pickle=False)
    facts = {
        "name": entry.name,
        "form": entry.form,
        "classes": album.classes,
        **{kind: names for kind in ("attributes", "values") if (names := getattr(entry, kind))},
        **{split: total.model_dump() for split, total in entry.splits.items()},
    }
    (folder / "dataset.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def save_index(
    folder: Path, split: str, sizes: np.ndarray, labels: np.ndarray, classes: int, names: list[str]
) -> None:
    """Write where each file of a split is, its label and its name; see ``mapped.Mapped``.

    Args:
        sizes: bytes of each file (n,).
        labels: (n,), 0 to ``classes`` - 1.
    """
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    labels = labels.astype(np.min_scalar_type(classes - 1))
    np.save(folder / f"{split}_offsets.npy", offsets, allow_pickle=False)
    np.save(folder / f"{split}_labels.npy", labels, allow_pickle=False)
    (folder / f"{split}_names.txt").write_bytes("".join(f"{name}\n" for name in names).encode())


def collect(splits: dict[str, list[Listed]], folder: Path, *, digests: bool = False) -> dict[str, Spool]:
    """Append every listed file to its split's spool, in the order in which the archives have them.

    Args:
        splits: the files of each split.
        folder: where the spools go.
        digests: keep the SHA-256 of each file.

    Raises:
        GauntletError: a file is not in its archive; a hostile or damaged archive.
    """
    places: dict[Path, dict[str, tuple[str, int]]] = {}
    for split, listed in splits.items():
        for row, photo in enumerate(listed):
            places.setdefault(photo.archive, {})[photo.member] = (split, row)
    total, done, reported = sum(map(len, places.values())), 0, time.monotonic()
    with ExitStack() as stack:
        spools = {}
        for split, listed in splits.items():
            path = folder / f"{split}.spool"
            file = stack.enter_context(open(path, "xb"))
            n = len(listed)
            spools[split] = Spool(path, file, np.zeros(n, np.int64), np.zeros(n, np.int64), [b""] * n)
        for archive, wanted in places.items():
            limit = UNPACKED * archive.stat().st_size
            for member, content in stream_members(archive, wanted, limit=limit):
                split, row = wanted[member]
                spool = spools[split]
                spool.starts[row], spool.sizes[row] = spool.file.tell(), len(content)
                if digests:
                    spool.digests[row] = hashlib.sha256(content).digest()
                spool.file.write(content)
                done += 1
                if time.monotonic() - reported > REPORT:
                    reported = time.monotonic()
                    print(f"    {done} of {total} files", file=sys.stderr, flush=True)
    return spools


def _decode_all(photos: list[Listed], spool: Spool) -> None:
    """Raise GauntletError for the first photo that cannot be decoded."""
    content = np.memmap(spool.path, np.uint8, "r") if spool.sizes.any() else np.zeros(0, np.uint8)

    def first_fault(rows: range) -> tuple[int, str] | None:
        for row in rows:
            start = spool.starts[row]
            if problem := unreadable(content[start : start + spool.sizes[row]].tobytes()):
                return row, problem
        return None

    blocks = [range(low, min(low + BLOCK, len(photos))) for low in range(0, len(photos), BLOCK)]
    with ThreadPoolExecutor(cores()) as pool:  # decoding releases the interpreter
        for fault in pool.map(first_fault, blocks):
            if fault:
                pool.shutdown(cancel_futures=True)
                row, problem = fault
                raise GauntletError(
                    f"it does not decode ({problem})",
                    file=photos[row].archive,
                    key=photos[row].member,
                    remedy="fetch the archive again",
                )


def arrange(spool: Spool, order: Iterable[int], path: Path) -> None:
    """Write the files of the spool to ``path`` in the order of the rows, and remove the spool.

    When they are in this order already, nothing is copied.
    """
    order = np.asarray(order)
    if (np.diff(spool.starts[order]) > 0).all():
        spool.path.rename(path)
        return
    content = np.memmap(spool.path, np.uint8, "r")
    with open(path, "xb") as out:
        for row in order:
            start = spool.starts[row]
            out.write(content[start : start + spool.sizes[row]])
    del content
    spool.path.unlink()
