"""Tables: one file each, a function from measurements to a ``Table``; written as CSV, Markdown, LaTeX.

A table function is registered under its file's name, takes ``(measurements, study, **options)`` like
a figure function, and returns a ``Table`` (``layout.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.files import write_text
from gauntlet.core.registry import resolve
from gauntlet.report.figures import check_options
from gauntlet.report.measurements import Measurements, read
from gauntlet.report.provenance.drawn import record
from gauntlet.report.study import Study, load
from gauntlet.report.tables import render

#: What the files of this folder register.
KIND = "table"


def make(study: Study, name: str, measurements: Measurements, *, file: str | Path = ""):
    """The ``Table`` called ``name`` in the study. Raises GauntletError for an unknown name or option."""
    if name not in study.tables:
        raise GauntletError(
            f"no table {name!r}", file=file, key="tables", remedy=did_you_mean(name, study.tables)
        )
    entry = study.tables[name]
    function = resolve("table", entry.table)
    check_options(function, entry.options, file=file, key=f"tables.{name}.options")
    return replace(function(measurements, study, **entry.options), caption=entry.caption)


def write(study_file: str | Path, name: str, folder: str | Path, stem: str | Path) -> list[Path]:
    """Write one table of a study from the measurements in ``folder``: CSV, Markdown, LaTeX and a sidecar."""
    return _write(load(study_file), name, read(folder), stem, study_file)


def write_all(study_file: str | Path, names: Iterable[str], folder: str | Path, out: str | Path) -> None:
    """Write tables of a study into the folder ``out``; its measurements are read once."""
    study, measurements = load(study_file), read(folder)
    for name in names:
        _write(study, name, measurements, Path(out) / name, study_file)


def _write(study: Study, name: str, measurements: Measurements, stem: str | Path, file: str | Path):
    table = make(study, name, measurements, file=file)
    texts = {"csv": render.csv(table), "md": render.markdown(table), "tex": render.latex(table)}
    written = [Path(f"{stem}.{extension}") for extension in texts]
    for path, text in zip(written, texts.values(), strict=True):
        write_text(path, text)
    record("study table", name, measurements, written)
    return written
