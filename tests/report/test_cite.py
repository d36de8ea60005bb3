"""CITATION.cff and the studies cite the same papers."""

import re

import pytest
import yaml
from synthetic import REPOSITORY

from gauntlet.core.errors import GauntletError
from gauntlet.report.provenance.cite import bibtex
from gauntlet.report.study import load

STUDIES = sorted(path.stem for path in (REPOSITORY / "config/studies").glob("*.yaml"))
CITATION = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def plain(text: str) -> str:
    return re.sub(r"[{}]", "", text)


def test_the_citation_has_what_the_format_requires():
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    for reference in CITATION["references"]:
        assert {"authors", "title", "type"} <= set(reference)
        assert reference["type"] in ("article", "conference-paper")


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_has_its_paper_in_the_citation_with_title_authors_and_year(study):
    paper = load(f"config/studies/{study}.yaml").paper
    (reference,) = (
        entry
        for entry in CITATION["references"]
        if entry["identifiers"][0]["value"] == f"arXiv:{paper.arxiv}"
    )
    assert study in reference["identifiers"][0]["description"]
    assert plain(re.search(r"title\s*= \{(.*)\},", paper.bibtex)[1]) == reference["title"]
    names = [f"{author['given-names']} {author['family-names']}" for author in reference["authors"]]
    assert ", ".join(names) == paper.authors
    assert reference["year"] == paper.year


def test_entries_are_those_of_the_software_and_of_the_papers_that_are_asked_for():
    def keys(text: str) -> list[str]:
        return re.findall(r"^@\w+\{([\w]+),$", text, re.M)

    assert keys(bibtex(["eat", "mega"])) == ["gauntlet", "ke2025eat", "hong2022mega"]
    everything = bibtex()
    assert len(set(keys(everything))) == len(STUDIES) + 1
    assert everything.count("{") == everything.count("}")
    assert "version = {0.1.0}" in everything
    with pytest.raises(GauntletError, match="did you mean 'eat'"):
        bibtex(["eatt"])
