"""How to cite the project and the papers of its studies, as BibTeX."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from gauntlet.core.config import load_yaml
from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.report.study import STUDIES, load

CITATION = Path("CITATION.cff")


def bibtex(studies: Collection[str] = ()) -> str:
    """The entry of this software, from ``CITATION.cff``, and those of the studies' papers; all when empty.

    Raises:
        GauntletError: an unknown study, or one whose ``paper`` has no ``bibtex``.
    """
    known = sorted(path.stem for path in STUDIES.glob("*.yaml"))
    entries = [_software(load_yaml(CITATION))]
    for name in studies or known:
        if name not in known:
            raise GauntletError(f"no study {name!r}", remedy=did_you_mean(name, known))
        study = load(STUDIES / f"{name}.yaml")
        if study.paper.bibtex:
            entries.append(study.paper.bibtex.strip())
        elif studies:
            raise GauntletError(
                "the paper's BibTeX is not there",
                file=STUDIES / f"{name}.yaml",
                key="paper.bibtex",
                remedy="add it",
            )
    return "\n\n".join(entries)


def authors(citation: dict[str, Any]) -> list[str]:
    """The names of the authors in a CITATION.cff, ``Family, Given`` for persons."""
    return [
        author.get("name")
        or ", ".join(author[part] for part in ("family-names", "given-names") if part in author)
        for author in citation["authors"]
    ]


def _software(citation: dict[str, Any]) -> str:
    names = " and ".join(f"{{{name}}}" if "," not in name else name for name in authors(citation))
    date = str(citation["date-released"])
    return (
        f"@software{{gauntlet,\n  title   = {{{citation['title']}}},\n  author  = {{{names}}},\n"
        f"  version = {{{citation['version']}}},\n  date    = {{{date}}},\n  year    = {{{date[:4]}}}\n}}"
    )
