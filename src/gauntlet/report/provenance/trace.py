"""From a figure, a table, a claim or a number to the trials behind it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.provenance import read_sidecar, sidecar_path
from gauntlet.core.tables.every import COLUMNS
from gauntlet.report.claims.judge import judge_study
from gauntlet.report.measurements import MANIFEST, Measurements, read
from gauntlet.report.provenance.chain import Chain, data_behind, job_commands, job_files, trials_behind
from gauntlet.report.provenance.rows import behind, cells_of, choose
from gauntlet.report.study import STUDIES, Study, load
from gauntlet.report.vocabulary import CELL

#: What is drawn, and where gathered measurements are, in the order of looking.
DRAWN = Path("paper_figures")
ROOTS = (Path("results/studies"), Path("published"))
SCALES = ("mini", "desk", "paper", "smoke")

#: The numbers behind a drawn row are looked up for so many rows.
FEW = 20

#: (study, scale) -> the rows of its plan; see ``chain.trials_behind``.
Rows = Callable[[str, str], Sequence[Mapping[str, Any]]]

#: Cells -> the seeds that are meant; None for all.
Wanted = dict[tuple[str, ...], set[int] | None]


class Asked(NamedTuple):
    """What a target stands for."""

    kind: str
    found: list[dict[str, Any]]
    wanted: Wanted
    notes: list[str]
    commands: list[str]  #: after those of the jobs, without ``--config``
    files: list[str]  #: what Snakemake is asked for; those of the jobs when empty


def trace(
    target: str,
    where: Mapping[str, str] | None = None,
    *,
    folder: str | Path | None = None,
    config: str | Path | None = None,
    rows: Rows = lambda study, scale: (),
) -> Chain:
    """What is behind ``target``. Paths are relative to the repository's root, the working directory.

    Args:
        target: a drawn file (``paper_figures/eat/budget.pdf`` or ``eat/budget``; ``eat/budget:12`` is line 12
            of its CSV), a claim (``EAT-2``), or a study (``eat``), whose scores are chosen by ``where``.
        where: column -> value: which rows of the CSV or of the study's scores (of another table with
            ``table``) are meant; of a claim, which trials.
        folder: gathered measurements; when absent those that the file was made from, else this machine's,
            else the published ones, at the first of ``SCALES`` that is there.
        config: the scale file that the commands name; ``config/<scale>.yaml`` when absent.
        rows: the study's plan, for configurations that no sidecar on this machine has.

    Raises:
        GauntletError: there is no such figure, claim, study, column or row, or the figure is not drawn yet;
            the measurements were altered.
    """
    where = dict(where or {})
    name, line = _line(target)
    study, key, ask = _find(name)
    if line and ask is not _drawn:
        raise GauntletError(f"{name} has no lines", remedy="lines are those of a figure's CSV: eat/budget:12")
    measurements = read(folder or _folder(study, key if ask is _drawn else None))
    asked = ask(study, key, line, where, measurements)
    found = trials_behind(measurements, asked.wanted, rows(study.study, measurements.scale))
    config = str(config or f"config/{measurements.scale}.yaml")
    notes = list(asked.notes)
    if not all(job.inputs for entry in found for job in entry.jobs):
        notes.append(
            "The inputs of some jobs were not recorded; the commands may lack trainings that they need."
        )
    if not all(entry.config for entry in found):
        notes.append(
            f"{config} does not have all of these trials; name the scale file that they were run with."
        )
    files = asked.files or job_files(found)
    return Chain(
        target=" ".join([target, *(f"{column}={value}" for column, value in where.items())]),
        kind=asked.kind,
        study=study.study,
        scale=measurements.scale,
        folder=measurements.folder.as_posix(),
        files=measurements.files,
        found=asked.found,
        trials=found,
        data=data_behind(found),
        notes=notes,
        commands=[*job_commands(found, config), *(f"{each} --config {config}" for each in asked.commands)],
        snakemake=f"snakemake --cores all --configfile {config} -- {' '.join(files)}",
    )


def _line(target: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(.+):(\d+)", target)
    return (match[1], int(match[2])) if match else (target, None)


def _find(name: str) -> tuple[Study, str, Callable[..., Asked]]:
    """The study and the key in it that ``name`` means, and what follows it."""
    files = {file.stem: file for file in sorted(STUDIES.glob("*.yaml"))}
    if name in files:
        return load(files[name]), "", _numbers
    path = Path(name)
    stem = re.sub(r"\.(csv|pdf|png|md|tex)$", "", path.name)
    if path.parent.name in files:
        study = load(files[path.parent.name])
        if stem in {**study.figures, **study.tables}:
            return study, stem, _drawn
    declared = {key: load(file) for key, file in files.items()}
    for study in declared.values():
        if (key := name.upper()) in study.claims:
            return study, key, _claim
    known = [*declared, *(key for study in declared.values() for key in study.claims)]
    known += [f"{key}/{each}" for key, study in declared.items() for each in (*study.figures, *study.tables)]
    spelling = {entry.lower(): entry for entry in known}
    close = difflib.get_close_matches(f"{path.parent.name}/{stem}".strip("/").lower(), spelling, n=3)
    nearest = f"did you mean {' or '.join(spelling[entry] for entry in close)}? " if close else ""
    raise GauntletError(
        f"no figure, table, claim or study is called {name!r}",
        remedy=f"{nearest}`gauntlet trace --help` shows what can be asked for",
    )


def _folder(study: Study, drawn: str | None) -> Path:
    """Where the measurements are that a drawn file, or else the judged claims, were made from."""
    csv = _csv(study, drawn) if drawn else None
    payload = csv or DRAWN / "claims.json"
    if sidecar_path(payload).is_file():
        inputs = [Path(file) for file in read_sidecar(payload)["inputs"]]
        for file in inputs:
            if file.name == MANIFEST and file.parent.parent.name == study.study and file.is_file():
                return file.parent
    for root in ROOTS:
        for scale in SCALES:
            if (folder := root / study.study / scale).joinpath(MANIFEST).is_file():
                return folder
    raise GauntletError(
        f"there are no measurements of {study.study} here",
        file=ROOTS[0] / study.study,
        remedy=f"gauntlet reproduce --study {study.study}",
    )


def _csv(study: Study, name: str) -> Path:
    csv = DRAWN / study.study / f"{name}.csv"
    if not csv.is_file():
        kind = "figure" if name in study.figures else "table"
        raise GauntletError(
            f"this {kind} is not drawn yet",
            file=csv,
            remedy=f"snakemake {csv}, which runs what it needs; published measurements are drawn with"
            " --config source=published",
        )
    return csv


# ---- what a target stands for ----------------------------------------------------------------------


def _numbers(study: Study, key: str, line: None, where: dict[str, str], measurements: Measurements) -> Asked:
    table = where.get("table", "scores")
    if table not in COLUMNS:
        raise GauntletError(f"no table {table!r}", key="table", remedy=did_you_mean(table, COLUMNS))
    frame = measurements.numbers if table == "scores" else getattr(measurements, table)
    columns = {column: value for column, value in where.items() if column != "table"}
    rows = choose(frame, columns, f"table {table} of {measurements.folder}")
    return Asked("number", rows.to_dict("records"), cells_of(rows, study, measurements), [], [], [])


def _claim(study: Study, key: str, line: None, where: dict[str, str], measurements: Measurements) -> Asked:
    import pandas as pd

    judged = judge_study(STUDIES / f"{study.study}.yaml", measurements.folder)["claims"][key]
    trials = [
        (
            detail["dataset"],
            side.get("setting", detail["setting"]),
            detail["architecture"],
            side["method"],
            int(seed),
        )
        for detail in judged["details"]
        for side in (detail["value"], detail["minus"], detail["over"])
        if side
        for seed in detail["effects"]
    ]
    rows = choose(pd.DataFrame(trials, columns=[*CELL, "seed"]), where, key)
    verdict = {name: value for name, value in judged.items() if name != "details"}
    return Asked(
        "claim",
        [verdict, *judged["details"]],
        cells_of(rows, study, measurements),
        [],
        [f"gauntlet study gather {study.study}", "gauntlet claims"],
        [f"{DRAWN}/claims.json"],
    )


def _drawn(
    study: Study, name: str, line: int | None, where: dict[str, str], measurements: Measurements
) -> Asked:
    import pandas as pd

    kind, csv = "figure" if name in study.figures else "table", _csv(study, name)
    frame = pd.read_csv(csv)
    named = [column for column in frame.columns if frame[column].dtype.kind not in "biuf" or column in CELL]
    frame[named] = frame[named].astype("object").where(frame[named].notna(), "")
    if line is not None:
        if not 2 <= line <= len(frame) + 1:
            raise GauntletError(
                f"there is no row in line {line}", file=csv, remedy=f"rows are lines 2 to {len(frame) + 1}"
            )
        frame = frame.iloc[[line - 2]]
    rows = choose(frame, where, str(csv))
    found = rows.to_dict("records")
    if len(found) <= FEW:
        found = [{**row, "measured": behind(row, measurements.scores)} for row in found]
    return Asked(
        kind,
        found,
        cells_of(rows, study, measurements),
        _unlike(csv, measurements),
        [f"gauntlet study gather {study.study}", f"gauntlet study {kind} {study.study} {name}"],
        [str(csv.with_suffix(".pdf") if kind == "figure" else csv)],
    )


def _unlike(csv: Path, measurements: Measurements) -> list[str]:
    """What does not fit between a drawn file and the measurements."""
    if not sidecar_path(csv).is_file():
        return [f"{csv} has no sidecar: what it was drawn from was not recorded."]
    if read_sidecar(csv)["inputs"] != measurements.files:
        return [f"{csv} was drawn from other measurements than those now in {measurements.folder}."]
    return []
