"""A ``Table`` as CSV, Markdown or LaTeX."""

from __future__ import annotations

import csv as csv_module
import io
import math

from gauntlet.report.tables.layout import Cell, Table
from gauntlet.report.vocabulary import scale_label

#: Characters that LaTeX reads otherwise.
LATEX = {
    "&": "\\&",
    "%": "\\%",
    "_": "\\_",
    "#": "\\#",
    "$": "\\$",
    "{": "\\{",
    "}": "\\}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "\\": "\\textbackslash{}",
    "\N{MULTIPLICATION SIGN}": "$\\times$",
    "\N{EN DASH}": "--",
    "\N{MINUS SIGN}": "$-$",
    "\N{INFINITY}": "$_\\infty$",
    "\N{GREEK SMALL LETTER EPSILON}": "$\\varepsilon$",
}

EMPTY = "\N{EN DASH}"


def csv(table: Table) -> str:
    """One row per block and row; every column as mean, half-width of the interval and seeds."""
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\n")
    heads = ["block", *table.heads]
    for group, name in table.columns:
        title = f"{group} {name}".strip()
        heads += [title, f"{title} ±", f"{title} seeds"]
    writer.writerow(heads)
    for block, rows in table.blocks.items():
        for row in rows:
            numbers = [number for cell in row.cells for number in _numbers(cell)]
            writer.writerow([block, *row.keys, *numbers])
    return out.getvalue()


def _numbers(cell: Cell | None) -> list:
    if cell is None:
        return ["", "", ""]
    half = "" if cell.half_width is None or math.isnan(cell.half_width) else repr(cell.half_width)
    return [repr(cell.mean), half, cell.seeds]


def markdown(table: Table) -> str:
    """A table per block, with the columns that it has."""
    parts = [table.caption, f"*{_footer(table)}*"] if table.caption else [f"*{_footer(table)}*"]
    for part in table.parts():
        titles = [*part.heads, *(f"{group} {name}".strip() for group, name in part.columns)]
        for block, rows in part.blocks.items():
            lines = [f"**{block}**", ""]
            if note := part.notes.get(block):
                lines += [note, ""]
            lines += [_line(titles), _line(["---"] * len(part.heads) + ["---:"] * len(part.columns))]
            lines += [_line([*row.keys, *_texts(part, row.cells)]) for row in rows]
            parts.append("\n".join(lines))
    if not table.blocks:
        parts.append("Nothing was measured.")
    return "\n\n".join(parts) + "\n"


def latex(table: Table) -> str:
    """A ``booktabs`` tabular for neighbouring blocks with the same columns, a line per block; ``\\input``
    it inside a table environment."""
    head = ["% needs \\usepackage{booktabs}", f"% {_footer(table)}"]
    return "\n".join([*head, "\n\n\\medskip\n".join(map(_tabular, table.parts()))]) + "\n"


def _tabular(table: Table) -> str:
    width = len(table.heads) + len(table.columns)
    lines = [f"\\begin{{tabular}}{{{'l' * len(table.heads)}{'r' * len(table.columns)}}}", "\\toprule"]
    if any(group for group, _ in table.columns):
        at, spans, rules = len(table.heads) + 1, [], []
        for group, span in table.groups():
            spans.append(f"\\multicolumn{{{span}}}{{c}}{{{_escape(group)}}}")
            if group:
                rules.append(f"\\cmidrule(lr){{{at}-{at + span - 1}}}")
            at += span
        lines += [" & ".join([""] * len(table.heads) + spans) + " \\\\", " ".join(rules)]
    names = [_escape(name) for name in (*table.heads, *(name for _, name in table.columns))]
    lines.append(" & ".join(names) + " \\\\")
    for block, rows in table.blocks.items():
        lines += ["\\midrule", f"\\multicolumn{{{width}}}{{l}}{{\\textit{{{_escape(block)}}}}} \\\\"]
        if note := table.notes.get(block):
            box = f"\\parbox{{0.9\\linewidth}}{{\\footnotesize {_escape(note)}}}"
            lines.append(f"\\multicolumn{{{width}}}{{l}}{{{box}}} \\\\")
        for row in rows:
            cells = _texts(table, row.cells, " $\\pm$ ", "--")
            lines.append(" & ".join([*map(_escape, row.keys), *cells]) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"])


def _texts(table: Table, cells, plus_minus: str = " ± ", empty: str = EMPTY) -> list[str]:
    return [
        empty if cell is None else cell.text(digits, plus_minus)
        for cell, digits in zip(cells, table.digits, strict=True)
    ]


def _line(fields: list[str]) -> str:
    return "| " + " | ".join(field.replace("|", "\\|") for field in fields) + " |"


def _footer(table: Table) -> str:
    return f"{table.note} {scale_label(table.scale).capitalize()}."


def _escape(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
