"""A study: one paper's declaration, ``config/studies/<study>.yaml``. See docs/add-a-study.md.

Imports no pandas, torch or matplotlib: the workflow reads studies while parsing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.registry import names
from gauntlet.report.claims.model import Claim, Correction
from gauntlet.report.vocabulary import ARCHITECTURES, ATTACKS, DATASETS, METRICS, SCALES, attack_label

Scale = Literal["smoke", "mini", "desk", "paper"]

#: Where studies are declared, relative to the repository's root.
STUDIES = Path("config/studies")


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


class Finding(Strict):
    """Where the authors' released code differs from their paper."""

    what: str
    paper: str
    release: str
    changes: str = Field(description="what the difference does to the results")


class Step(Strict):
    """One box of the drawing of what the paper does."""

    name: str = Field(max_length=32)
    does: str = Field(max_length=150)


class MethodEntry(Strict):
    """A row of the paper's tables. All keys but these two are the family's, and the plan checks them."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    label: str
    from_: Scale = Field("smoke", alias="from", description="run at this scale and larger ones")


class Drawn(Strict):
    """A figure or a table."""

    options: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments of the figure's or table's function"
    )

    @property
    def methods(self) -> list[str]:
        """The methods that the options name, in ``methods`` or as keys of ``panels``; empty for all."""
        named = list(self.options.get("methods", []))
        for panel in self.options.get("panels", {}).values():
            named += panel
        return list(dict.fromkeys(named))

    @field_validator("options")
    @classmethod
    def _methods_can_be_read(cls, options: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(options.get("methods", []), list):
            raise ValueError("methods: give a list")
        panels = options.get("panels", {})
        if not isinstance(panels, dict) or not all(isinstance(panel, dict) for panel in panels.values()):
            raise ValueError("panels: give each method its number, by panel")
        return options


class FigureEntry(Drawn):
    figure: str = Field(description="a file in src/gauntlet/report/figures/")
    caption: str


class TableEntry(Drawn):
    table: str = Field(description="a file in src/gauntlet/report/tables/")
    caption: str = ""


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
    steps: list[Step] = Field(
        default_factory=list, max_length=4, description="the paper's method, drawn as boxes in this order"
    )
    reconstructed: list[Choice] = Field(default_factory=list)
    fidelity: list[Finding] = Field(default_factory=list)
    methods: Annotated[dict[str, MethodEntry], Field(min_length=1)]
    settings: dict[Annotated[str, Field(pattern="^[a-z0-9-]+$")], str] = Field(
        default_factory=dict,
        description="settings that the same methods run under, and their names; a grid says which is its own",
    )
    metrics: dict[str, str] = Field(
        default_factory=dict,
        description="metrics of this study alone (derived scores, costs), and their names",
    )
    attacks: dict[Annotated[str, Field(pattern="^[a-z0-9_]+$")], str] = Field(
        default_factory=dict,
        description="attacks of this study alone, and their names; figures draw them in this order",
    )
    derived: dict[str, DerivedEntry] = Field(
        default_factory=dict, description="scores that are computed from the gathered tables, in this order"
    )
    figures: dict[str, FigureEntry] = Field(default_factory=dict)
    tables: dict[str, TableEntry] = Field(default_factory=dict)
    claims: dict[str, Claim] = Field(default_factory=dict)
    correction: Correction = Field("holm", description="for the number of claims that are judged")

    def methods_at(self, scale: str) -> dict[str, MethodEntry]:
        """The methods that are run at a scale, in the order of declaration."""
        order = list(SCALES)
        return {
            key: entry
            for key, entry in self.methods.items()
            if order.index(entry.from_) <= order.index(scale)
        }

    def label(self, method: str) -> str:
        return self.methods[method].label if method in self.methods else method

    def metric_label(self, metric: str) -> str:
        return self.metrics.get(metric) or METRICS.get(metric, metric)

    def attack_label(self, attack: str) -> str:
        return self.attacks.get(attack) or attack_label(attack)

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
            for method in getattr(entry, "methods", []):
                _known(method, study.methods, "method", path, f"{section}.{key}.options")
    for key in study.figures.keys() & study.tables.keys():
        raise GauntletError(
            "a figure has this name too, and both write a .csv", file=path, key=f"tables.{key}",
            remedy="give the table another name",
        )  # fmt: skip
    for key, claim in study.claims.items():
        _check_claim(study, claim, path, f"claims.{key}")
    return study


def _check_claim(study: Study, claim: Claim, path: Path, key: str) -> None:
    """Every method, metric, attack and setting that a claim names exists."""
    known = {
        "metric": {**METRICS, **study.metrics},
        "method": study.methods,
        "attack": {*ATTACKS, *names("attack"), *study.attacks},
        "setting": study.settings,
    }

    def check_all(what: str, given: list[str] | None, where: str) -> None:
        for name in given or []:
            _known(name, known[what], what, path, where)

    check_all("setting", claim.scope.setting, f"{key}.scope.setting")
    for index, check in enumerate(claim.checks):
        at = f"{key}.checks.{index}"
        check_all("metric", check.metric, f"{at}.metric")
        check_all("metric", [check.reached] if check.reached else None, f"{at}.reached")
        for what in ("method", "attack", "setting"):
            check_all(what, getattr(check.value, what), f"{at}.value.{what}")
        if claim.scope.setting:
            for setting in check.value.setting or []:
                _known(setting, claim.scope.setting, "setting of the scope", path, f"{at}.value.setting")
        if (baseline := check.baseline) is None:
            continue
        side = f"{at}.{'over' if check.over else 'minus'}"
        for what in ("attack", "setting"):
            check_all(what, getattr(baseline, what), f"{side}.{what}")
        if baseline.method is not None:
            check_all("method", baseline.method.each, f"{side}.method")
            check_all("method", baseline.method.present, f"{side}.method.present")


def check_attacks(study: Study, path: str | Path) -> None:
    """Every check of a study whose models are attacked says which attack its scores are under.

    Raises:
        GauntletError: one of suite ``main`` does not.
    """
    for key, claim in study.claims.items():
        for index, check in enumerate(claim.checks):
            if check.value.suite == "main" and not check.value.attack:
                raise GauntletError(
                    "name the attack",
                    file=path,
                    key=f"claims.{key}.checks.{index}.value.attack",
                    remedy="give one of the attacks, clean, or worst",
                )


def _known(name: str, known, what: str, path: Path, key: str) -> None:
    if name not in known:
        raise GauntletError(f"unknown {what} {name!r}", file=path, key=key, remedy=did_you_mean(name, known))
