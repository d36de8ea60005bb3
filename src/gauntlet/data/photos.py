"""Photos of a prepared set: encoded bytes that are memory-mapped, and how they become tensors.

Orientation tags are left alone, as in the papers' loaders. Grey, CMYK and palette files become RGB.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_json
from gauntlet.data.mapped import Mapped

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

#: What a file may be, whatever its name: some sets have a PNG or GIF called ``.jpg``.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP")

SPLITS = ("train", "test", "gallery", "validation", "reference")

#: The value of an attribute that the publisher does not give.
UNKNOWN = 255

#: The least scale at which a JPEG decodes, for a look at all of it.
LEAST = 8


class Crop(Protocol):
    """``crop(encoded, uniforms)`` -> uint8 (3, size, size); see ``gauntlet.data.crops``.

    Attributes:
        size: pixels, both sides.
        draws: how many ``uniforms`` in [0, 1) one photo takes, whatever its size; 0 for a fixed crop.
    """

    size: int
    draws: int

    def __call__(self, encoded: bytes, uniforms: np.ndarray | None = None) -> Tensor: ...


class Photos(Mapped):
    """One split: a file per photo, each with the label of its class."""

    kind = "images"

    @cached_property
    def attributes(self) -> np.ndarray | None:
        """uint8 (n, A), 1 for true, 0 for false and ``UNKNOWN``; columns as in the set's ``attribute_names``.

        None for a set without any.
        """
        return self._about("attributes")

    @cached_property
    def values(self) -> np.ndarray | None:
        """float32 (n, V), columns as in the set's ``value_names``; None for a set without any."""
        return self._about("values")

    def _about(self, kind: str) -> np.ndarray | None:
        path = self.folder / f"{self.split}_{kind}.npy"
        return np.load(path, allow_pickle=False) if path.exists() else None

    def view(self, row: int, crop: Crop, uniforms: np.ndarray | None = None) -> Tensor:
        """uint8 (3, size, size): photo ``row`` decoded, and cut by ``crop``.

        Args:
            uniforms: ``crop.draws`` numbers in [0, 1).

        Raises:
            GauntletError: it does not decode; names the set, the split, the row and the file.
        """
        try:
            return crop(self.encoded(row), uniforms)
        except (IndexError, MemoryError):
            raise
        except Exception as error:  # whatever a damaged file makes the decoder raise
            raise GauntletError(
                f"{self.dataset}: photo {row} of {self.split} ({self.names[row]}) does not decode "
                f"({type(error).__name__}: {error})",
                file=self.path,
                remedy=f"gauntlet data fetch {self.dataset} (replaces a damaged copy)",
            ) from error


@dataclass(frozen=True)
class PhotoSet:
    """A prepared set of photos.

    Attributes:
        name: its name in the registry.
        class_names: one per label.
        train, test: the official split. No label of a zero-shot set is in both. Where there is no
            split, all is in ``train``, and ``test`` is None.
        gallery: what the photos of ``test`` are searched in; None for a set that is searched in itself.
        validation: its part of the official split; None for a set without one.
        reference: what the photos of a class were made of, one per class; None for a set without such.
        attribute_names: of the columns of ``Photos.attributes``.
        value_names: of the columns of ``Photos.values``.
        peak: the pixel value of white.
        form: see ``registry.FORMS``.
    """

    name: str
    class_names: tuple[str, ...]
    train: Photos
    test: Photos | None = None
    gallery: Photos | None = None
    validation: Photos | None = None
    reference: Photos | None = None
    attribute_names: tuple[str, ...] = ()
    value_names: tuple[str, ...] = ()
    peak: int = 255
    form: ClassVar[str] = "photos"


def open_set(name: str, folder: Path) -> PhotoSet:
    """The set in a folder whose files have been verified."""
    facts = read_json(folder / "dataset.json")
    splits = {split: Photos(folder, name, split) for split in SPLITS if split in facts}
    return PhotoSet(
        name=name,
        class_names=tuple(facts["classes"]),
        attribute_names=tuple(facts.get("attributes", ())),
        value_names=tuple(facts.get("values", ())),
        **splits,
    )


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_image(encoded: bytes) -> Image:
    """The image, its header read; pixels follow on ``load``."""
    from PIL import Image

    return Image.open(io.BytesIO(encoded), formats=FORMATS)


def unreadable(encoded: bytes) -> str | None:
    """Why a file does not decode, or None. All of it is read, at an eighth of its size (half the time)."""
    try:
        with open_image(encoded) as image:
            image.draft(None, (max(1, image.width // LEAST), max(1, image.height // LEAST)))
            image.load()
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged file makes the decoder raise
        return f"{type(error).__name__}: {error}" if encoded else "it is empty"
    return None
