"""Characters drawn from fonts: a class is a character; its images differ in the font and in a small jitter.

The roles of ``files`` name fonts. A role ``train_...`` or ``test_...`` is for that split alone, any other one
for both. A class is named by its character. Image i of a class and split is drawn with the i-th font that has
the character, from the first on again after the last, whatever the other classes are. All characters have one
size, as MNIST's have: otherwise an O would differ from an o by that alone.

The bytes depend on the fonts, on NumPy's ``SeedSequence`` (kept stable, which its distributions are not)
and on nothing else: see ``gauntlet.data.readers.outlines``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.core.seeds import stream
from gauntlet.data.readers.outlines import Font, Outline, fill
from gauntlet.data.registry import Entry

SEED = 0
BOX = 20 / 28  # the longer side of a character, as part of the image's
# The jitter is uniform. A square box touches the edge of the image when all of it is at its largest.
HALF_TURN = 0.0875  # |tan(angle / 2)|: 10 degrees
SCALE = (0.85, 1.1)
SHIFT = 1.25 / 28  # as part of the image's side

#: Two characters look alike when any two drawings of theirs, in whatever fonts, have a higher cosine.
ALIKE = 0.92


@register("reader", "glyphs")
def read(files: dict[str, Path], entry: Entry) -> dict[str, np.ndarray]:
    """Images uint8 (n, 1, H, H), white on black, and labels (n,), sorted by class.

    Raises:
        GauntletError: a file is not a TrueType font; a class is not one character, or no font of a split has
            it; two classes look alike.
    """

    def refuse(problem: str) -> GauntletError:
        return GauntletError(f"{entry.name}: {problem}", remedy="leave it out of the classes in the registry")

    for name in entry.classes:
        if len(name) != 1:
            raise refuse(f"the class {name!r} is not one character")
    size = entry.shape[-1]
    fonts = {role: outlines(path, entry.classes) for role, path in files.items()}
    for later, first in look_alikes(fonts.values(), entry.classes, size).items():
        raise refuse(f"the class {_name(later)} looks like {_name(first)}")
    arrays = {}
    for split, other in (("train", "test"), ("test", "train")):
        usable = [found for role, found in fonts.items() if not role.startswith(f"{other}_")]
        images, counts = [], entry.per_class(split)
        for character, count in zip(entry.classes, counts, strict=True):
            shapes = [found[character] for found in usable if character in found]
            if not shapes:
                raise refuse(f"no font for {split} has the class {_name(character)}")
            for index in range(count):
                place = _jitter(stream(SEED, "glyphs", split, character, index), size)
                images.append(fill(shapes[index % len(shapes)], *place, size))
        arrays[f"{split}_images"] = np.stack(images)[:, None]
        arrays[f"{split}_labels"] = np.repeat(np.arange(len(counts)), counts)
    return arrays


def outlines(path: Path, characters: Iterable[str]) -> dict[str, Outline]:
    """The outlines of those characters that a font has. Raises GauntletError as ``Font``."""
    font = Font(path)
    found = {character: font.outline(character) for character in characters}
    return {character: outline for character, outline in found.items() if outline is not None}


def look_alikes(fonts: Iterable[dict[str, Outline]], characters: list[str], size: int) -> dict[str, str]:
    """The characters that look like one before them: such as Greek capital alpha, like the Latin A.

    Args:
        fonts: what ``outlines`` gives for each font.
        characters: in the order in which they are kept.
        size: side of the images in pixels.

    Returns:
        For each character that is not kept, the first one kept that it looks like.
    """
    fonts = list(fonts)
    images = np.zeros((len(fonts), len(characters), size * size))  # float64: their products are exact
    for row, found in enumerate(fonts):
        for column, character in enumerate(characters):
            if character in found:
                upright = fill(found[character], np.eye(2) * (BOX * size), np.zeros(2), size)
                images[row, column] = upright.ravel()
    squares = (images * images).sum(2)
    alike = np.zeros((len(characters), len(characters)), bool)
    for one in range(len(fonts)):
        for two in range(one + 1):
            products = images[one] @ images[two].T
            alike |= products * products > ALIKE * ALIKE * squares[one][:, None] * squares[two]
    alike |= alike.T
    kept, dropped = [], {}
    for column, character in enumerate(characters):
        if same := [first for first in kept if alike[first, column]]:
            dropped[character] = characters[same[0]]
        else:
            kept.append(column)
    return dropped


def _jitter(sequence: np.random.SeedSequence, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (2, 2) and shift (2,) of one image, for ``fill``."""
    turn, scale, *shift = sequence.generate_state(4, np.uint32) / 2**32  # uniform in [0, 1)
    half = HALF_TURN * (2 * turn - 1)
    cosine, sine = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)  # no libm: it differs
    length = BOX * size * (SCALE[0] + (SCALE[1] - SCALE[0]) * scale)
    return length * np.array([[cosine, -sine], [sine, cosine]]), SHIFT * size * (2 * np.array(shift) - 1)


def _name(character: str) -> str:
    return f"{character} (U+{ord(character):04X})"
