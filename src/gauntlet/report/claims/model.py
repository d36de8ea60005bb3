"""How a claim is declared in a study's YAML. See docs/claims.md for the language with examples.

A check compares one number per seed with a margin::

    metric: f1
    value: {method: none, attack: joint_pair}
    minus: {method: none, attack: clean}      # optional; inherits what it does not say from value
    is: {below: -0.1}

``over`` in place of ``minus`` divides. Lists (of metrics, attacks, methods, settings) expand to every
combination, and each must pass.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gauntlet.core.config import Strict


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _compared(value: Any) -> Any:
    return {"each": _listed(value)} if isinstance(value, str | list) else value


#: What decides a check: the t interval, or a test on signs (``evidence``).
Test = Literal["t", "wilcoxon", "permutation"]
#: Over a study's claims (``correction``).
Correction = Literal["holm", "bh", "none"]

Names = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]


class Methods(Strict):
    """Methods to compare with: every one of ``each``, or those of ``present`` that were run."""

    each: list[str] = Field(default_factory=list)
    present: list[str] = Field(
        default_factory=list, description="the paper's rivals; the absent ones are named"
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Methods:
        if bool(self.each) == bool(self.present):
            raise ValueError("give either a list of methods or {present: [...]}")
        return self


Compared = Annotated[Methods, BeforeValidator(_compared)]


class Value(Strict):
    """Which measurement: one value per seed."""

    method: Names
    setting: Names | None = Field(None, description="ask only there; in every setting when absent")
    attack: Names | None = Field(None, description="an attack, clean or worst; in other suites all if absent")
    suite: str = Field("main", description="main, eps, steps, fraction, transfer or cost")
    view: Literal["ensemble", "member"] = "ensemble"
    detail: str = Field(
        "", description="suite transfer: i->j, or the mean over off_diagonal or diagonal, or their gap"
    )
    eps: float | None = None
    steps: int | None = None
    fraction: float | None = None


class Baseline(Strict):
    """What is subtracted or divided by, seed by seed; absent keys are those of ``value``."""

    method: Compared | None = None
    setting: Names | None = None
    attack: Names | None = None
    suite: str | None = None
    view: Literal["ensemble", "member"] | None = None
    detail: str | None = None
    eps: float | None = None
    steps: int | None = None
    fraction: float | None = None


class Margin(Strict):
    """``above: m``, ``below: m``, or ``within: m`` (a tie: between -m and m)."""

    above: float | None = None
    below: float | None = None
    within: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Margin:
        if sum(side is not None for side in (self.above, self.below, self.within)) != 1:
            raise ValueError("give exactly one of above, below, within")
        return self

    @property
    def side(self) -> str:
        return next(side for side in ("above", "below", "within") if getattr(self, side) is not None)

    @property
    def margin(self) -> float:
        return getattr(self, self.side)


class Check(Strict):
    metric: Names
    value: Value
    minus: Baseline | None = None
    over: Baseline | None = None
    is_: Margin = Field(alias="is")
    reached: str = Field(
        "", description="for rounds to reach a level: the metric that is 0 where a run did not (censored)"
    )
    test: Test = Field("t", description="what decides; the others are reported beside it")
    gate: bool = Field(True, description="false: reported, but the verdict does not depend on it")
    label: str = ""

    @model_validator(mode="after")
    def _one_baseline(self) -> Check:
        if self.minus and self.over:
            raise ValueError("give minus or over, not both")
        if self.over and self.is_.side == "within":
            raise ValueError("a ratio is above or below; within is for differences")
        if self.reached and not self.minus:
            raise ValueError("reached is for differences of rounds: give minus")
        if self.reached and self.test != "t":
            raise ValueError("rounds to reach a level are judged by the t interval: leave test out")
        return self

    @property
    def baseline(self) -> Baseline | None:
        return self.minus or self.over


class Scope(Strict):
    """Where the claim is made; everything that was run when absent."""

    dataset: Names | None = None
    setting: Names | None = None
    architecture: Names | None = None


class Claim(Strict):
    statement: str
    paper: str = Field(description="what the paper says, and how well we know that")
    scope: Scope = Scope()
    checks: Annotated[list[Check], Field(min_length=1)]
    note: str = ""

    @model_validator(mode="after")
    def _something_gates(self) -> Claim:
        if not any(check.gate for check in self.checks):
            raise ValueError("at least one check must gate the verdict")
        return self
