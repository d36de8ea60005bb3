"""Archives and datasets made by hand, from the descriptions of their formats."""

import gzip
import hashlib
import io
import itertools
import struct
import tarfile
import zipfile
from dataclasses import dataclass, field

import numpy as np

from gauntlet.core.config import parse
from gauntlet.data.registry import FORMS, Common, Entry, PhotoEntry


def idx(array: np.ndarray) -> bytes:
    """An unsigned-byte IDX file, written from the format's description."""
    shape = array.shape
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + array.tobytes()


def tar(*members: tuple[tarfile.TarInfo | str, bytes], mode: str = "w:xz") -> bytes:
    """A tar archive; a plain name stands for a regular file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for info, content in members:
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def deb(data: bytes, suffix: str = "xz") -> bytes:
    """A Debian package: an ar archive of debian-binary, control.tar and data.tar (deb(5), ar(5))."""
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", tar(("control", b"x"))),
        (f"data.tar.{suffix}", data),
    ]
    out = b"!<arch>\n"
    for name, content in members:
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        assert len(header) == 60
        out += header + content + b"\n" * (len(content) % 2)
    return out


def wheel(package: str, version: str, *members: tuple[str, bytes]) -> bytes:
    """A pure Python wheel with some more files in it (the binary distribution format)."""
    info = f"{package}-{version}.dist-info"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (
            *members,
            (f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode()),
            (f"{info}/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            (f"{info}/RECORD", b""),
        ):
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def ten_classes(*sources: dict, **given) -> Entry:
    """A registry entry of a toy dataset with ten classes.

    Args:
        sources: DVC when there are none.
        given: the fields ``reader``, ``shape``, ``counts`` and ``files``, and others that differ.
    """
    fields = {
        "name": "toy",
        "title": "Toy",
        "reference": "handmade",
        "licence": "none",
        "terms": "fetch-only",
        "folder": "datasets/toy",
        "classes": [str(label) for label in range(10)],
        "peak": 255,
        "sources": list(sources) or [{"kind": "dvc"}],
        **given,
    }
    return parse(Entry, fields, file="toy.yaml")


def zipped(*members: tuple[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive of regular files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=kind)
    return out.getvalue()


def photo(number: int, size: tuple[int, int] = (20, 16), mode: str = "RGB", kind: str = "JPEG") -> bytes:
    """An encoded picture of ``size`` (width, height); every number gives another."""
    from PIL import Image

    random = np.random.default_rng(number)
    made = "RGB" if mode == "P" else mode
    channels = len(Image.new(made, (1, 1)).getbands())
    coarse = random.integers(0, 256, (5, 6, channels), np.uint8)
    picture = Image.fromarray(coarse if channels > 1 else coarse[..., 0], made).resize(size, Image.BICUBIC)
    picture = picture.convert(mode)
    out = io.BytesIO()
    picture.save(out, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return out.getvalue()


def photo_entry(*sources: dict, **given) -> PhotoEntry:
    """A registry entry of a toy set of photos.

    Args:
        sources: DVC when there are none.
        given: the fields ``reader``, ``counts`` and ``files``, and others that differ.
    """
    fields = {
        "name": "toy",
        "title": "Toy",
        "reference": "handmade",
        "licence": "none",
        "terms": "fetch-only",
        "folder": "datasets/toy",
        "form": "photos",
        "zero_shot": True,
        "sources": list(sources) or [{"kind": "dvc"}],
        **given,
    }
    return parse(PhotoEntry, fields, file="toy.yaml")


def totals(**splits: tuple[int, int]) -> dict:
    """Counts of photos: (images, classes) of each split."""
    return {split: {"images": images, "classes": classes} for split, (images, classes) in splits.items()}


def packed(folder, split: str) -> list[tuple[str, int, bytes]]:
    """Name, label and bytes of every prepared photo of a split, read without the code under test."""
    content = (folder / f"{split}_images.bin").read_bytes()
    offsets = np.load(folder / f"{split}_offsets.npy")
    labels = np.load(folder / f"{split}_labels.npy")
    names = (folder / f"{split}_names.txt").read_text().splitlines()
    assert offsets.dtype == np.int64
    assert (offsets[0], offsets[-1]) == (0, len(content))
    assert len(offsets) - 1 == len(labels) == len(names)
    parts = [content[a:b] for a, b in itertools.pairwise(offsets)]
    return list(zip(names, labels.tolist(), parts, strict=True))


def facts(content: bytes) -> dict:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@dataclass
class Toy:
    """Two classes of 4x3 images in IDX files: the raw files by name, and a registry entry."""

    files: dict[str, bytes]
    fields: dict
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def entry(self, *sources: dict) -> Entry:
        return parse(Entry, {**self.fields, "sources": list(sources)}, file="toy.yaml")

    def gz(self) -> dict[str, bytes]:
        return {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in self.files.items()}


def toy_entry(form: str, *sources: dict, **given) -> Common:
    """A registry entry of a toy set of any form.

    Args:
        sources: DVC when there are none.
        given: the fields ``reader``, ``classes``, ``counts`` and ``files``, and others that the form has.
    """
    fields = {
        "name": "toy",
        "title": "Toy",
        "reference": "handmade",
        "licence": "none",
        "terms": "fetch-only",
        "folder": "datasets/toy",
        "form": form,
        "sources": list(sources) or [{"kind": "dvc"}],
        **given,
    }
    return parse(FORMS[form], fields, file="toy.yaml")
