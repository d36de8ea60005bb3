"""A study: one paper's declaration, ``config/studies/<study>.yaml``. See docs/add-a-study.md.

Imports no pandas, torch or matplotlib: the workflow reads studies while parsing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.registry import names
from gauntlet.report.claims.model import Claim
from gauntlet.report.vocabulary import ARCHITECTURES, ATTACKS, DATASETS, METRICS, SCALES

Scale = Literal["smoke", "mini", "desk", "paper"]


class Paper(Strict):
    authors: str
    venue: str = ""
    arxiv: str = ""
    year: int
    url: str = ""
    bibtex: str = ""


class Choice(Strict):
    """Something that the paper leaves open, or that could not be read."""

    what: str
    choice: str
    why: str


class MethodEntry(Strict):
    """A row of the paper's tables. All keys but these two are the family's, and the plan checks them."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    label: str
    from_: Scale = Field("smoke", alias="from", description="run at this scale and larger ones")


class FigureEntry(Strict):
    figure: str = Field(description="a file in src/gauntlet/report/figures/")
    caption: str
    options: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments of the figure function"
    )


class TableEntry(Strict):
    table: str = Field(description="a file in src/gauntlet/report/tables/")
    caption: str = ""
    options: dict[str, Any] = Field(default_factory=dict)


class DerivedEntry(Strict):
    derived: str = Field(description="a file in src/gauntlet/report/derived/")
    options: dict[str, Any] = Field(default_factory=dict)


class Study(Strict):
    study: str = Field(pattern="^[a-z][a-z0-9_-]*$")
    family: str
    title: str
    paper: Paper
    summary: str
    threat_model: Annotated[list[str], Field(min_length=1)]
    reconstructed: list[Choice] = Field(default_factory=list)
    methods: Annotated[dict[str, MethodEntry], Field(min_length=1)]
    settings: dict[Annotated[str, Field(pattern="^[a-z0-9-]+$")], str] = Field(
        default_factory=dict,
        description="settings that the same methods run under, and their names; a grid says which is its own",
    )
    metrics: dict[str, str] = Field(
        default_factory=dict,
        description="metrics of this study alone (derived scores, costs), and their names",
    )
    absent: dict[str, str] = Field(
        default_factory=dict, description="the paper's methods that are not implemented, and names"
    )
    derived: dict[str, DerivedEntry] = Field(
        default_factory=dict, description="scores that are computed from the gathered tables, in this order"
    )
    figures: dict[str, FigureEntry] = Field(default_factory=dict)
    tables: dict[str, TableEntry] = Field(default_factory=dict)
    claims: dict[str, Claim] = Field(default_factory=dict)

    def methods_at(self, scale: str) -> dict[str, MethodEntry]:
        """The methods that are run at a scale, in the order of declaration."""
        order = list(SCALES)
        return {
            key: entry
            for key, entry in self.methods.items()
            if order.index(entry.from_) <= order.index(scale)
        }

    def label(self, method: str) -> str:
        if method in self.methods:
            return self.methods[method].label
        return self.absent.get(method, method)

    def metric_label(self, metric: str) -> str:
        return self.metrics.get(metric) or METRICS.get(metric, metric)

    def block_label(self, dataset: str, setting: str, architecture: str) -> str:
        """``Fashion-MNIST, one exclusive Maverick, conv net``"""
        parts = (
            DATASETS.get(dataset, dataset),
            self.settings.get(setting, setting),
            ARCHITECTURES.get(architecture, architecture),
        )
        return ", ".join(part for part in parts if part)


def load(path: str | Path) -> Study:
    """Read and check a study. Raises GauntletError naming the file and the key."""
    path = Path(path)
    study = parse(Study, load_yaml(path), file=path)
    if study.study != path.stem:
        raise GauntletError(
            f"the study is called {study.study!r}", file=path, key="study", remedy=f"name it {path.stem!r}"
        )
    for section, kind in (("derived", "derived"), ("figures", "figure"), ("tables", "table")):
        for key, entry in getattr(study, section).items():
            _known(getattr(entry, kind), names(kind), kind, path, f"{section}.{key}.{kind}")
    for key, claim in study.claims.items():
        _check_claim(study, claim, path, f"claims.{key}")
    return study


def _check_claim(study: Study, claim: Claim, path: Path, key: str) -> None:
    """Every method, metric and attack that a claim names exists."""
    attacks = {*ATTACKS, *names("attack")}
    for index, check in enumerate(claim.checks):
        at = f"{key}.checks.{index}"
        for metric in check.metric:
            _known(metric, {**METRICS, **study.metrics}, "metric", path, f"{at}.metric")
        for method in check.value.method:
            _known(method, study.methods, "method", path, f"{at}.value.method")
        for attack in check.value.attack or []:
            _known(attack, attacks, "attack", path, f"{at}.value.attack")
        if check.minus is None:
            continue
        for attack in check.minus.attack or []:
            _known(attack, attacks, "attack", path, f"{at}.minus.attack")
        if check.minus.method is not None:
            for method in check.minus.method.each:
                _known(method, study.methods, "method", path, f"{at}.minus.method")
            for method in check.minus.method.present:
                _known(method, [*study.methods, *study.absent], "method", path, f"{at}.minus.method.present")


def _known(name: str, known, what: str, path: Path, key: str) -> None:
    if name not in known:
        raise GauntletError(f"unknown {what} {name!r}", file=path, key=key, remedy=did_you_mean(name, known))
