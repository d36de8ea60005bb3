"""A method as boxes with arrows between them: inline SVG in the colours of the page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from xml.sax.saxutils import escape

from gauntlet.report.study import Step

#: In units of the drawing, which are pixels at its natural size.
BOX, GAP, PADDING, LINE, CHARACTERS = 262, 42, 14, 18, 31


def boxes(steps: Sequence[Step], *, across: bool) -> str:
    """The steps from left to right (``across``) or from top to bottom, for narrow screens and columns."""
    texts = [textwrap.wrap(step.does, CHARACTERS) for step in steps]
    height = 2 * PADDING + LINE * (1 + max(map(len, texts)))
    stride = (BOX if across else height) + GAP
    long = len(steps) * stride - GAP
    size = (long, height) if across else (BOX, long)
    parts = []
    for number, (step, lines) in enumerate(zip(steps, texts, strict=True)):
        x, y = (number * stride, 0) if across else (0, number * stride)
        parts.append(f'<rect x="{x + 1}" y="{y + 1}" width="{BOX - 2}" height="{height - 2}" rx="6"/>')
        parts.append(_line(x, y, 0, f"{number + 1}. {step.name}", "name"))
        parts += [_line(x, y, at, line) for at, line in enumerate(lines, 1)]
        if number:
            start = (x - GAP + 6, height / 2) if across else (BOX / 2, y - GAP + 6)
            parts.append(_arrow(*start, across))
    names = escape("; ".join(f"{step.name}: {step.does}" for step in steps), {'"': "&quot;"})
    kind = "across" if across else "down"
    head = f'<svg class="steps {kind}" viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" role="img"'
    return f'{head} aria-label="{names}">{"".join(parts)}</svg>'


def _line(x: float, y: float, number: int, text: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x + PADDING}" y="{y + PADDING + LINE * number + 12}"{style}>{escape(text)}</text>'


def _arrow(x: float, y: float, across: bool) -> str:
    long = GAP - 12
    if across:
        return f'<path d="M{x} {y}h{long}m-7 -5l7 5l-7 5"/>'
    return f'<path d="M{x} {y}v{long}m-5 -7l5 7l5 -7"/>'
