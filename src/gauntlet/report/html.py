"""One self-contained HTML file: an overview, a page per study, data, environment, cost, and what moved."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gauntlet.core.files import write_text
from gauntlet.report.claims.board import RULE, numbers
from gauntlet.report.claims.judge import judge_study
from gauntlet.report.claims.words import evidence, p_value
from gauntlet.report.diagram import boxes
from gauntlet.report.figures import DPI
from gauntlet.report.measurements import Measurements, read
from gauntlet.report.pages import overview
from gauntlet.report.pages.captions import caption
from gauntlet.report.pages.cells import Cells
from gauntlet.report.pages.compare import compare, find_all
from gauntlet.report.pages.costs import cost, planned
from gauntlet.report.pages.datasets import datasets
from gauntlet.report.pages.environment import provenance
from gauntlet.report.sanity import sanity
from gauntlet.report.study import Study, load
from gauntlet.report.tables import make
from gauntlet.report.tables.render import EMPTY
from gauntlet.report.vocabulary import BLOCK, CELL, scale_label

#: A figure of the full print width (7 in) fills the text column (46 rem).
REM_PER_INCH = 46 / 7

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Source:
    """What the report says about one study.

    Args:
        study_file: config/studies/<study>.yaml.
        folder: gathered measurements (results or published).
        figures: folder with the drawn figures, ``<name>.png`` and ``.pdf``; a figure that is not
            there is named as not drawn.
        published: reference measurements to judge beside: a folder or several; ``folder`` itself is
            left out.
        planned: what the study was planned to take, and took, as rows of ``pages.costs.planned``.
        settings: folder of a job -> what determines its output.
    """

    study_file: Path
    folder: Path
    figures: Path
    published: Path | Sequence[Path] | None = None
    planned: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A study's measurements with its judged claims and the jobs they came from."""

    measurements: Measurements
    judged: dict[str, Any]
    cells: Cells

    @property
    def scale(self) -> str:
        return self.measurements.scale


def build(sources: Iterable[Source], out: str | Path, *, against: str | Path | None = None) -> Path:
    """Write the report (``paper_figures/index.html``); links to PDFs are relative to it.

    Args:
        against: a copy of an earlier run to compare with, beside the published one.

    Raises:
        GauntletError: a study or its measurements are not readable, or ``against`` has none of them.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    out, sources = Path(out), list(sources)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "numbers": numbers,
        "signed": _signed,
        "evidence": evidence,
        "p_value": p_value,
        "label": _css_class,
        "megabytes": _megabytes,
        "duration": _duration,
    }
    studies = [_study(source, out) for source in sources]
    earlier = find_all(against, {study["key"]: study["scale"] for study in studies}) if against else {}
    for study, source in zip(studies, sources, strict=True):
        study["comparisons"] = _comparisons(study, source, earlier.get(study["key"]))
    used: dict[str, list[str]] = {}
    for study in studies:
        for dataset in dict.fromkeys(block[0] for block in study["run"].measurements.blocks):
            used.setdefault(dataset, []).append(study["key"])
    page = environment.get_template("report.html").render(
        rule=RULE,
        studies=studies,
        datasets=datasets(out.parent / "datasets", used),
        verdicts=overview.VERDICTS,
        against=against,
    )
    write_text(out, page)
    return out


def _study(source: Source, out: Path) -> dict[str, Any]:
    study = load(source.study_file)
    run = _run(source, study, source.folder)
    references = [_run(source, study, folder) for folder in _references(source)]
    measurements = run.measurements
    return {
        "key": study.study,
        "declared": study,
        "run": run,
        "scale": measurements.scale,
        "scale_label": scale_label(measurements.scale),
        "where": [study.block_label(*block) for block in measurements.blocks],
        "claims": run.judged["claims"],
        "tally": overview.tally(run.judged["claims"]),
        "published": {
            key: overview.published(key, [reference.judged for reference in references])
            for key in study.claims
        },
        "seeds": overview.seeds(run.judged["claims"]),
        "diagrams": [boxes(study.steps, across=across) for across in (True, False)] if study.steps else [],
        "figures": [_figure(study, name, run, source, out) for name in study.figures],
        "runs": [_shown(source, study, run)]
        # A published run at this scale stands beside this one on the page that compares.
        + [_shown(source, study, other) for other in references if other.scale != measurements.scale],
        "references": references,
        "holes": [
            {
                **hole,
                "label": study.label(hole["method"]),
                "where": study.block_label(*(hole[key] for key in BLOCK)),
            }
            for hole in measurements.missing
        ],
        "cost": cost(study, measurements),
        "planned": planned(source.planned),
        "provenance": provenance(measurements),
    }


def _run(source: Source, study: Study, folder: Path) -> Run:
    measurements = read(folder)
    return Run(
        measurements, judge_study(source.study_file, folder), Cells(study, measurements, source.settings)
    )


def _shown(source: Source, study: Study, run: Run) -> dict[str, Any]:
    """A run's tables, sanity suite and jobs, as a study's page shows them."""
    tables = [make(study, name, run.measurements, file=source.study_file) for name in study.tables]
    return {
        "scale": run.scale,
        "scale_label": scale_label(run.scale),
        # What a published run did not measure is left out.
        "tables": [table for table in tables if table.blocks or run.measurements.folder == source.folder],
        "sanity": sanity(study, run.measurements, run.judged["claims"]),
        "cells": run.cells,
    }


def _references(source: Source) -> list[Path]:
    published = source.published
    folders = [] if published is None else [published] if isinstance(published, str | Path) else published
    return [Path(folder) for folder in folders if Path(folder).resolve() != Path(source.folder).resolve()]


def _comparisons(study: dict[str, Any], source: Source, earlier: Path | None) -> list[dict[str, Any]]:
    """This run against the published one at its scale, and against an earlier one."""
    run, declared = study["run"], study["declared"]
    others = [("the published run", other) for other in study["references"] if other.scale == run.scale]
    if earlier:
        others.append(("the earlier run", _run(source, declared, earlier)))
    return [
        {
            "name": name,
            **compare(
                declared, run.measurements, other.measurements, study["claims"], other.judged["claims"]
            ),
        }
        for name, other in others
    ]


def _figure(study: Study, name: str, run: Run, source: Source, out: Path) -> dict[str, Any]:
    import pandas as pd

    png, pdf = (Path(source.figures) / f"{name}.{kind}" for kind in ("png", "pdf"))
    csv, entry = png.with_suffix(".csv"), study.figures[name]
    data, width = None, 0.0
    if png.is_file():
        image = png.read_bytes()
        data = "data:image/png;base64," + base64.b64encode(image).decode()
        pixels = int.from_bytes(image[16:20], "big")  # PNG header
        width = round(pixels / DPI * REM_PER_INCH, 1)
    drawn, sources = "", []
    if csv.is_file():
        frame = pd.read_csv(csv, dtype=dict.fromkeys(CELL, "str"), keep_default_na=False, na_values=[""])
        names = [name for name in CELL if name in frame.columns]
        frame[names] = frame[names].fillna("")
        drawn = caption(study, entry, run.measurements, frame)
        if set(CELL) <= set(frame.columns):
            sources = run.cells.links(frame[CELL].drop_duplicates().itertuples(index=False, name=None))
    return {
        "name": name,
        "data": data,
        "width": width,
        "pdf": Path(os.path.relpath(pdf, out.parent)).as_posix(),
        "csv": Path(os.path.relpath(csv, out.parent)).as_posix(),
        "caption": entry.caption,
        "drawn": drawn,
        "sources": sources,
    }


def _signed(value: float | None) -> str:
    return EMPTY if value is None else f"{value:+.3f}"


def _css_class(verdict: str) -> str:
    return verdict.replace(" ", "-")


def _megabytes(size: int | None) -> str:
    return EMPTY if size is None else f"{size / 1e6:,.1f} MB"


def _duration(seconds: float) -> str:
    """``45 s``, ``12.5 min`` or ``3.1 h``"""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
