"""Outlines of TrueType fonts, and their pixels: the same bytes on every machine.

FreeType hints and rasterises differently from version to version. So the outlines are read as they lie in
the file, in the font's own units, and are filled here. Until its points are rounded an outline is plain
arithmetic, one operation at a time, and from then on the arithmetic is of integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gauntlet.core.errors import GauntletError

CURVE = 8  # straight pieces of a curve: 20 pixels high, none is off by more than a fiftieth of a pixel
LINES = 8  # scan lines in a pixel, and samples on each
GRID = 64  # places between two samples where a point may lie


@dataclass(frozen=True)
class Outline:
    """The closed contours of a glyph. What is inside has a winding number other than 0.

    Attributes:
        points: float64 (n, 2), x to the right and y down. The box around all of them has its centre at 0, and
            its longer side is 1.
        next: int64 (n,), the row of the point that follows on the same contour.
    """

    points: np.ndarray
    next: np.ndarray


class Font:
    """The outlines of a TrueType font.

    Raises:
        GauntletError: the file is not a TrueType font.
    """

    def __init__(self, path: Path):
        from fontTools.ttLib import TTFont, TTLibError

        try:
            font = TTFont(path)
            self._names, self._glyphs, _ = font.getBestCmap(), font.getGlyphSet(), font["glyf"]
        except (TTLibError, KeyError) as error:
            raise GauntletError(
                f"not a TrueType font ({error})", file=path, remedy="get the file again"
            ) from error

    @cached_property
    def _missing(self) -> Outline | None:
        """What the font draws for a character that it does not have: "tofu"."""
        return self._outline(".notdef")

    def outline(self, character: str) -> Outline | None:
        """The outline of a character; None when the font does not have it, or it is blank."""
        found = self._outline(self._names.get(ord(character), ".notdef"))
        if found and self._missing and np.array_equal(found.points, self._missing.points):
            return None
        return found

    def _outline(self, glyph: str) -> Outline | None:
        contours = _contours(self._glyphs, glyph)
        if not contours:
            return None
        points = np.array([point for contour in contours for point in contour], np.float64)
        low, high = points.min(0), points.max(0)
        if not (high - low).any():
            return None
        ends = np.cumsum([len(contour) for contour in contours])
        following = np.arange(1, len(points) + 1)
        following[ends - 1] = [0, *ends[:-1]]
        return Outline((points - (low + high) / 2) / (high - low).max() * (1, -1), following)


def _contours(glyphs, glyph: str) -> list[list[tuple[float, float]]]:
    """The contours of a glyph as polygons, in font units."""
    from fontTools.pens.basePen import BasePen

    class Pen(BasePen):  # fontTools resolves composite glyphs, and splits splines into single curves
        def __init__(self):
            super().__init__(glyphs)
            self.contours = []

        def _moveTo(self, point):
            self.contours.append([point])

        def _lineTo(self, point):
            self.contours[-1].append(point)

        def _qCurveToOne(self, control, end):
            start = self._getCurrentPoint()
            for step in range(1, CURVE + 1):
                t = step / CURVE
                a, b, c = (1 - t) * (1 - t), 2 * t * (1 - t), t * t
                self.contours[-1].append(
                    tuple(a * p + b * q + c * r for p, q, r in zip(start, control, end, strict=True))
                )

    pen = Pen()
    glyphs[glyph].draw(pen)
    return pen.contours


def fill(outline: Outline, matrix: np.ndarray, shift: np.ndarray, size: int) -> np.ndarray:
    """Draw an outline, white on black.

    Args:
        matrix: float64 (2, 2), from the outline's units to pixels: p -> matrix p + shift.
        shift: float64 (2,), where the outline's centre goes, from the centre of the image, in pixels.
        size: side of the image in pixels.

    Returns:
        uint8 (size, size): the share of a pixel's samples that are inside, 255 for all of them. What lies
        outside of the image is cut off.
    """
    x, y = outline.points.T
    unit = LINES * GRID
    moved = [row[0] * x + row[1] * y + (offset + size / 2) for row, offset in zip(matrix, shift, strict=True)]
    start = np.rint(np.stack(moved, 1) * unit).astype(np.int64)
    end = start[outline.next]
    down = start[:, 1] <= end[:, 1]
    top, bottom = np.where(down[:, None], start, end), np.where(down[:, None], end, start)

    # Lines and samples lie in the middle of their steps. An edge crosses the lines first, ..., last - 1.
    side = size * LINES
    first, last = (np.clip((ends[:, 1] + GRID // 2 - 1) // GRID, 0, side) for ends in (top, bottom))
    count = last - first
    edge = np.repeat(np.arange(len(start)), count)
    line = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    (x0, y0), (x1, y1) = top[edge].T, bottom[edge].T
    crossing = x0 + (GRID * line + GRID // 2 - y0) * (x1 - x0) // (y1 - y0)
    sample = np.clip((crossing + GRID // 2 - 1) // GRID, 0, side)

    turns = np.zeros((side, side + 1), np.int16)
    np.add.at(turns, (line, sample), np.where(down, 1, -1)[edge].astype(np.int16))
    inside = np.cumsum(turns[:, :side], 1, dtype=np.int16) != 0
    covered = inside.reshape(size, LINES, size, LINES).sum((1, 3))
    return ((covered * 255 + LINES * LINES // 2) // (LINES * LINES)).astype(np.uint8)
