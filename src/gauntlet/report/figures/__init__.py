"""Figures: one file each, a function from measurements to a Figure and the numbers it draws.

A figure function is registered under its file's name and takes
``(measurements, study, **options)``; its keyword parameters are the options that a study's YAML may
give. It returns ``(matplotlib Figure, DataFrame)``: the frame holds every drawn number. A list of Figures of
one width is a figure of several pages.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.files import atomic
from gauntlet.core.registry import resolve
from gauntlet.report.measurements import Measurements, read
from gauntlet.report.provenance.drawn import record
from gauntlet.report.study import Study, load

#: What the files of this folder register.
KIND = "figure"

#: Fixed metadata: no dates and no versions, so that the same numbers give the same bytes.
METADATA = {
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
DPI = 200


def draw(study_file: str | Path, name: str, folder: str | Path, stem: str | Path) -> list[Path]:
    """Draw one figure of a study from the measurements in ``folder``.

    Args:
        name: a key of the study's ``figures``.
        stem: output path without extension (``paper_figures/eat/budget``).

    Returns: the files written: ``.pdf``, ``.png`` (200 dpi) and ``.csv`` (the numbers drawn), which has a
        sidecar.

    Raises:
        GauntletError: no such figure or option, or the measurements were altered.
    """
    return _draw(load(study_file), name, read(folder), stem, study_file)


def draw_all(study_file: str | Path, names: Iterable[str], folder: str | Path, out: str | Path) -> None:
    """Draw figures of a study into the folder ``out``; its measurements are read once. Raises as ``draw``."""
    study, measurements = load(study_file), read(folder)
    for name in names:
        _draw(study, name, measurements, Path(out) / name, study_file)


def _draw(study: Study, name: str, measurements: Measurements, stem: str | Path, file: str | Path):
    from gauntlet.report import style

    with style.context():
        figure, frame = make(study, name, measurements, file=file)
        paths = save(figure, frame, stem)
    record("study figure", name, measurements, paths)
    return paths


def make(study: Study, name: str, measurements: Measurements, *, file: str | Path = ""):
    """The Figure and DataFrame called ``name`` in the study, unsaved. Raises as ``draw`` does."""
    if name not in study.figures:
        raise GauntletError(
            f"no figure {name!r}", file=file, key="figures", remedy=did_you_mean(name, study.figures)
        )
    entry = study.figures[name]
    function = resolve("figure", entry.figure)
    check_options(function, entry.options, file=file, key=f"figures.{name}.options")
    return function(measurements, study, **entry.options)


def save(figure, frame, stem: str | Path) -> list[Path]:
    """Write a figure: its pages are pages of the PDF, and lie below each other in the PNG."""
    from matplotlib import pyplot as plt
    from matplotlib.backends.backend_pdf import PdfPages

    pdf, png, csv = (Path(f"{stem}.{extension}") for extension in ("pdf", "png", "csv"))
    pages = figure if isinstance(figure, list) else [figure]
    try:
        for page in pages:
            _freeze(page)
        with atomic(pdf) as temporary, PdfPages(temporary, metadata=METADATA["pdf"]) as book:
            for page in pages:
                page.savefig(book, format="pdf", dpi=DPI)
        with atomic(png) as temporary:
            _stack(pages, temporary)
    finally:
        for page in pages:
            plt.close(page)
    with atomic(csv) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
    return [pdf, png, csv]


def _stack(pages: list, path: Path) -> None:
    import numpy as np
    from PIL import Image

    if len(pages) == 1:
        return pages[0].savefig(path, format="png", dpi=DPI, metadata=METADATA["png"])
    for page in pages:
        page.canvas.draw()
    Image.fromarray(np.vstack([np.asarray(page.canvas.buffer_rgba()) for page in pages])).save(path, "PNG")


def _freeze(figure) -> None:
    """Lay the panels out once and round their places: the solver repeats only up to rounding errors."""
    figure.set_dpi(DPI)
    figure.draw_without_rendering()
    places = [[round(edge, 5) for edge in axis.get_position(original=True).bounds] for axis in figure.axes]
    figure.set_layout_engine("none")
    for axis, place in zip(figure.axes, places, strict=True):
        axis.set_position(place)


def check_options(function, options: dict[str, Any], *, file: str | Path, key: str) -> None:
    """Raises GauntletError for an option that the registered function does not take."""
    known = list(inspect.signature(function).parameters)[2:]
    for option in options:
        if option not in known:
            raise GauntletError(
                f"unknown option {option!r}",
                file=file,
                key=f"{key}.{option}",
                remedy=did_you_mean(option, known),
            )
