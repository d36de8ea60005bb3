"""Judge the checks of a claim in one block: every comparison, with what lacks and what is flagged."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from gauntlet.report.claims import evidence, words
from gauntlet.report.claims.comparisons import Comparison, Selection, expand, per_seed
from gauntlet.report.claims.model import Check
from gauntlet.report.claims.place import Place
from gauntlet.report.claims.power import detectable
from gauntlet.report.claims.statistics import (
    FAILS,
    HOLDS,
    NOT_MEASURED,
    UNDECIDED,
    Reach,
    decide,
    decide_reach,
    t_interval,
)
from gauntlet.report.measurements import Measurements
from gauntlet.report.study import Study
from gauntlet.report.vocabulary import BLOCK


class Block:
    """One dataset, setting and architecture, in which checks are judged."""

    def __init__(self, study: Study, measurements: Measurements, block: tuple[str, str, str]):
        self.study, self.measurements, self.block = study, measurements, block
        self.setting = block[BLOCK.index("setting")]
        self.place = Place(measurements, block)

    def details(self, check: Check) -> list[dict[str, Any]]:
        """One entry per comparison that the check stands for."""
        numbers = self.place.numbers
        suite = numbers[(numbers["suite"] == check.value.suite) & numbers["method"].isin(check.value.method)]
        attacks = sorted(set(suite["attack"]))
        rivals = None
        if check.baseline and check.baseline.method:
            methods = check.baseline.method
            planned = {*self.study.methods_at(self.measurements.scale), *numbers["method"]}
            rivals = methods.each or [method for method in methods.present if method in planned]
            if not rivals:
                value = Selection(check.value.method[0], check.metric[0])
                names = ", ".join(self.study.label(method) for method in methods.present)
                return [self._entry(Comparison(check, value, None), missing=[f"any of {names}"])]
        # Where nothing is attacked, an attack need not be named.
        attacks = [] if attacks == ["clean"] else attacks
        return [self._judge(comparison) for comparison in expand(check, self.setting, rivals, attacks)]

    def _judge(self, comparison: Comparison) -> dict[str, Any]:
        sides = [side for side in (comparison.value, comparison.baseline) if side is not None]
        places = [self._place_of(side) for side in sides]
        series = [per_seed(place.numbers, side) for side, place in zip(sides, places, strict=True)]
        missing = self._missing(sides, places, series)
        if not missing and comparison.check.over:
            zero = [seed for seed, value in series[1].items() if value == 0]
            missing = [f"{self._number(sides[1])} other than 0, seed {words.listed(zero)}"] if zero else []
        if missing:
            planned = all(place.planned(side.method) for side, place in zip(sides, places, strict=True))
            return self._entry(comparison, missing=missing, planned=planned)
        effects = comparison.effects(series[0], series[-1])
        check, bound = comparison.check, comparison.check.is_
        tests = evidence.paired_tests(effects.tolist(), bound.side, bound.margin)
        if check.reached:
            times = [self._times(*each, check.reached) for each in zip(sides, places, strict=True)]
            interval, decision = decide_reach(*times, bound.side, bound.margin)
        else:
            interval = t_interval(effects.tolist())
            decision = decide(interval, bound.side, bound.margin)
            if check.test != "t" and tests:
                decision = evidence.decide_by(tests[check.test], interval.n)
        flags = [
            {**flag, "bars": decision.verdict in _doubtful(bound.side, is_value=side is comparison.value)}
            for side, place in zip(sides, places, strict=True)
            for flag in self._flags(side, place)
        ]
        flagged = words.unique(words.flag(flag, self.study, self.setting) for flag in flags)
        doubted = any(flag["bars"] for flag in flags)
        return self._entry(
            comparison,
            verdict=UNDECIDED if doubted else decision.verdict,
            effect=interval.mean,
            ci=None if interval.half_width is None else [interval.low, interval.high],
            smallest_effect=decision.smallest,
            detectable=detectable(interval, bound.side, bound.margin) if check.test == "t" else None,
            tests=tests,
            bootstrap=evidence.bootstrap(effects.tolist()),
            seeds=interval.n,
            effects={str(seed): value for seed, value in effects.items()},
            flags=flags,
            flagged=flagged,
            doubted=doubted,
            reason=f"flagged: {', '.join(flagged)}" if doubted else decision.reason,
        )

    def _times(self, side: Selection, place: Place, reached: str) -> list[Reach]:
        """The rounds to reach of every seed, ascending, with those that the horizon cut off."""
        rounds = per_seed(place.numbers, side)
        arrived = per_seed(place.numbers, replace(side, metric=reached)).reindex(rounds.index)
        if arrived.isna().any():
            raise ValueError(f"{reached} is not measured for every seed of {side.method}")
        return [Reach(rounds[seed], not arrived[seed]) for seed in rounds.index]

    def _place_of(self, side: Selection) -> Place:
        """Where a side of a comparison was measured: here, or in another setting."""
        if side.setting in (None, self.setting):
            return self.place
        dataset, _, architecture = self.block
        return Place(self.measurements, (dataset, side.setting, architecture))

    def _missing(self, sides: list[Selection], places: list[Place], series: list) -> list[str]:
        """What lacks for the comparison, in words. Seeds are expected on both sides, and those that
        failed are expected too: leaving them out would bias the verdict."""
        gaps = []
        lost = [place.lost_seeds(side.method) for side, place in zip(sides, places, strict=True)]
        expected = {seed for values in series for seed in values.index}.union(*lost)
        for side, place, values in zip(sides, places, series, strict=True):
            label = words.name(side, self.study, self.setting)
            if values.empty:
                gaps.append(self._number(side) if place.ran(side.method) else label)
                continue
            finite = {seed for seed, value in values.items() if math.isfinite(value)}
            if absent := sorted(expected - set(values.index)):
                gaps.append(f"{label}, seed {words.listed(absent)}")
            if broken := sorted(set(values.index) - finite):
                gaps.append(f"finite {self._number(side)}, seed {words.listed(broken)}")
        return gaps

    def _number(self, side: Selection) -> str:
        return f"{words.measure(side, self.study)} of {words.name(side, self.study, self.setting)}"

    def _flags(self, side: Selection, place: Place) -> list[dict[str, Any]]:
        setting = self.setting if side.setting is None else side.setting
        return [
            {"method": side.method, "setting": setting, "attack": attack, "check": check}
            for check, attack in place.failed_checks(side)
        ]

    def _entry(self, comparison: Comparison, **judged: Any) -> dict[str, Any]:
        check, bound = comparison.check, comparison.check.is_
        what = words.describe(comparison, self.study, self.setting)
        baseline = comparison.baseline.as_dict() if comparison.baseline else None
        missing = judged.pop("missing", [])
        return {
            **dict(zip(BLOCK, self.block, strict=True)),
            "what": f"{what} ({self.study.block_label(*self.block)})",
            "label": check.label,
            "value": comparison.value.as_dict(),
            "minus": baseline if check.minus else None,
            "over": baseline if check.over else None,
            "gate": check.gate,
            "side": bound.side,
            "margin": bound.margin,
            "missing": missing,
            "planned": True,
            "verdict": NOT_MEASURED if missing else None,
            "effect": None,
            "ci": None,
            "smallest_effect": None,
            "detectable": None,
            "test": check.test,
            "tests": {},
            "bootstrap": None,
            "seeds": 0,
            "effects": {},
            "flags": [],
            "flagged": [],
            "doubted": False,
            "reason": "",
            **judged,
        }


def _doubtful(side: str, *, is_value: bool) -> set[str]:
    """The verdicts that a flag on ``value``, or on what it is compared with, takes away. A flagged attack may
    be too weak, so the true score may be lower: the true effect may be smaller when ``value`` is flagged, and
    larger when what it is compared with is."""
    if side == "within":  # an effect that is too large can make or break a tie
        return {HOLDS, FAILS}
    return {HOLDS} if (side == "above") == is_value else {FAILS}
