"""One self-contained HTML file: verdicts, figures, tables, holes, cost and provenance of all studies."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gauntlet.core.files import write_text
from gauntlet.report import sections
from gauntlet.report.claims.board import RULE, numbers
from gauntlet.report.claims.judge import judge_study
from gauntlet.report.claims.words import evidence, p_value
from gauntlet.report.figures import DPI
from gauntlet.report.measurements import Measurements, read
from gauntlet.report.sanity import sanity
from gauntlet.report.study import Study, load
from gauntlet.report.tables import make
from gauntlet.report.tables.layout import Table
from gauntlet.report.tables.render import EMPTY
from gauntlet.report.vocabulary import BLOCK, scale_label

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
        planned: what the study was planned to take, and took, as rows of ``sections.planned``.
    """

    study_file: Path
    folder: Path
    figures: Path
    published: Path | Sequence[Path] | None = None
    planned: Sequence[Mapping[str, Any]] = ()


def build(sources: Iterable[Source], out: str | Path) -> Path:
    """Write the report (``paper_figures/index.html``); links to PDFs are relative to it.

    Raises:
        GauntletError: a study or its measurements are not readable.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    out = Path(out)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "numbers": numbers, "signed": _signed, "label": _css_class, "evidence": evidence, "p_value": p_value
    }  # fmt: skip
    page = environment.get_template("report.html").render(
        rule=RULE, studies=[_study(source, out) for source in sources]
    )
    write_text(out, page)
    return out


def _study(source: Source, out: Path) -> dict[str, Any]:
    study, measurements = load(source.study_file), read(source.folder)
    claims = judge_study(source.study_file, source.folder)["claims"]
    references = [(read(folder), judge_study(source.study_file, folder)) for folder in _references(source)]

    def tables(of: Measurements) -> list[Table]:
        return [make(study, name, of, file=source.study_file) for name in study.tables]

    return {
        "key": study.study,
        "declared": study,
        "scale": measurements.scale,
        "scale_label": scale_label(measurements.scale),
        "where": [study.block_label(*block) for block in measurements.blocks],
        "methods": study.methods_at(measurements.scale),
        "claims": claims,
        "references": [judged for _, judged in references],
        "figures": [_figure(study, name, measurements, source, out) for name in study.figures],
        "tables": tables(measurements),
        "published_runs": [
            {
                "scale": other.scale,
                "scale_label": scale_label(other.scale),
                # What a published run did not measure is left out.
                "tables": [table for table in tables(other) if table.blocks],
                "sanity": sanity(study, other, judged["claims"]),
            }
            for other, judged in references
            if other.scale != measurements.scale
        ],
        "sanity": sanity(study, measurements, claims),
        "holes": [
            {
                **hole,
                "label": study.label(hole["method"]),
                "where": study.block_label(*(hole[key] for key in BLOCK)),
            }
            for hole in measurements.missing
        ],
        "cost": sections.cost(study, measurements),
        "planned": sections.planned(source.planned),
        "provenance": sections.provenance(measurements),
    }


def _references(source: Source) -> list[Path]:
    published = source.published
    folders = [] if published is None else [published] if isinstance(published, str | Path) else published
    return [Path(folder) for folder in folders if Path(folder).resolve() != Path(source.folder).resolve()]


def _figure(study: Study, name: str, measurements: Measurements, source: Source, out: Path) -> dict[str, Any]:
    png, pdf = (Path(source.figures) / f"{name}.{kind}" for kind in ("png", "pdf"))
    csv = png.with_suffix(".csv")
    data, width = None, 0.0
    if png.is_file():
        image = png.read_bytes()
        data = "data:image/png;base64," + base64.b64encode(image).decode()
        pixels = int.from_bytes(image[16:20], "big")  # PNG header
        width = round(pixels / DPI * REM_PER_INCH, 1)
    return {
        "name": name,
        "data": data,
        "width": width,
        "pdf": Path(os.path.relpath(pdf, out.parent)).as_posix(),
        "csv": Path(os.path.relpath(csv, out.parent)).as_posix(),
        "caption": study.figures[name].caption,
        "drawn": sections.drawn(study, study.figures[name], measurements, csv) if csv.is_file() else "",
    }


def _signed(value: float | None) -> str:
    return EMPTY if value is None else f"{value:+.3f}"


def _css_class(verdict: str) -> str:
    return verdict.replace(" ", "-")
