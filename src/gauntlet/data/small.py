"""Photos as images of one size, and an attribute of theirs as what is to be told.

Networks of some studies take images of one size that fit into memory. Of a set of photos, only those that are
drawn are decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.data.dataset import Dataset, Split
from gauntlet.data.photos import UNKNOWN

if TYPE_CHECKING:
    from gauntlet.data.photos import Photos, PhotoSet


class Decoded:
    """Some photos of a split as if they were an array uint8 (n, 3, size, size): the square in their centre.

    Args:
        photos: the split.
        rows: (n,) which of them.
        size: pixels of a side. The short side is resized to it, and of the long one the middle is kept.
    """

    def __init__(self, photos: Photos, rows: np.ndarray, size: int):
        self.photos, self.rows, self.size = photos, rows, size

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """uint8 (len(places), 3, size, size). Raises GauntletError for a photo that does not decode."""
        from gauntlet.data.crops import CentreCrop
        from gauntlet.data.prefetch import batches

        crop = CentreCrop(self.size, side=self.size)
        (found,) = batches(self.photos, [self.rows[np.asarray(places)]], crop)
        return found.numpy()


@dataclass(frozen=True)
class Described(Split):
    """A split of photos of which more is known.

    Attributes:
        attributes: by name, int64 (n,) of 0 and 1.
    """

    attributes: dict[str, np.ndarray]


def view(found: Dataset | PhotoSet, size: int | None, task: str | None, private: list[str]) -> Dataset:
    """A set whose images have one size. One of arrays is returned as it is.

    Args:
        size: of the photos, see ``Decoded``.
        task: the attribute that is the label, 0 or 1; None: the photo's class is.
        private: other attributes of the photos. Photos without a known value of any of these, or of ``task``,
            are left out.

    Returns:
        The set; with photos its splits are ``Described``, and there is none for validation.

    Raises:
        GauntletError: photos without a size, an attribute that the set does not have, or no photo left.
    """
    wanted = [*([task] if task else []), *private]
    if found.form != "photos":
        if wanted:
            raise GauntletError(f"{found.name} has no attributes", key="data", remedy="leave them out")
        return found
    if size is None:
        raise GauntletError(
            f"the photos of {found.name} have many sizes", key="data.photo_size", remedy="give one, in pixels"
        )
    for name in wanted:
        if name not in found.attribute_names:
            known = found.attribute_names
            remedy = did_you_mean(name, known) if known else "leave it out"
            raise GauntletError(f"{found.name} has no attribute {name!r}", key="data", remedy=remedy)

    def described(photos: Photos | None) -> Described | None:
        if photos is None:
            return None
        columns = [found.attribute_names.index(name) for name in wanted]
        values = photos.attributes[:, columns] if wanted else np.empty((len(photos), 0), dtype=np.uint8)
        rows = np.flatnonzero((values != UNKNOWN).all(axis=1))
        if not len(rows):
            raise GauntletError(
                f"no photo of {found.name}, {photos.split}, has all of {', '.join(wanted)}",
                key="data.private",
                remedy="name fewer attributes",
            )
        of_photo = {name: values[rows, i].astype(np.int64) for i, name in enumerate(wanted)}
        labels = of_photo.pop(task) if task else np.asarray(photos.labels)[rows]
        return Described(Decoded(photos, rows, size), labels, of_photo)

    return Dataset(
        name=found.name,
        class_names=(f"not {task}", task) if task else found.class_names,
        peak=found.peak,
        train=described(found.train),
        test=described(found.test),
    )
