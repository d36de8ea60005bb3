"""A declared check -> the single comparisons it stands for, in one block of results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from gauntlet.report.claims.model import Baseline, Check, Value

#: Keys of a baseline that are those of the value unless given; others are expanded.
INHERITED = ("suite", "view", "detail", "eps", "steps", "fraction")


@dataclass(frozen=True)
class Selection:
    """One measurement of one method: a value per seed.

    ``setting`` is None for that of the block, and ``attack`` for rows as they are.
    """

    method: str
    metric: str
    setting: str | None = None
    suite: str = "main"
    attack: str | None = None
    view: str = "ensemble"
    detail: str = ""
    eps: float | None = None
    steps: int | None = None
    fraction: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in (None, "")}


@dataclass(frozen=True)
class Comparison:
    check: Check
    value: Selection
    baseline: Selection | None

    def effects(self, values, others):
        """Per seed: the value, or its difference from the baseline's, or their ratio."""
        if self.baseline is None:
            return values
        return values / others if self.check.over else values - others


def expand(check: Check, setting: str, rivals: list[str] | None, attacks: list[str]) -> Iterator[Comparison]:
    """Every combination of the check's lists in one block.

    Args:
        setting: that of the block.
        rivals: methods to compare with; None when the check names none of its own.
        attacks: what an absent ``attack`` stands for: all that the suite measured.
    """
    named = setting if check.value.setting else None
    for metric in check.metric:
        for method in check.value.method:
            for attack in check.value.attack or attacks or [None]:
                value = _selection(check.value, method, metric, named, attack)
                if check.baseline is None:
                    yield Comparison(check, value, None)
                    continue
                for rival in rivals if rivals is not None else [method]:
                    for place in check.baseline.setting or [named]:
                        for other in check.baseline.attack or [attack]:
                            yield Comparison(
                                check, value, _baseline(check.baseline, value, rival, place, other)
                            )


def _selection(value: Value, method: str, metric: str, setting: str | None, attack: str | None) -> Selection:
    rest = {key: getattr(value, key) for key in INHERITED}
    return Selection(method=method, metric=metric, setting=setting, attack=attack, **rest)


def _baseline(
    baseline: Baseline, value: Selection, method: str, setting: str | None, attack: str | None
) -> Selection:
    rest = {
        key: getattr(value, key) if getattr(baseline, key) is None else getattr(baseline, key)
        for key in INHERITED
    }
    return Selection(method=method, metric=value.metric, setting=setting, attack=attack, **rest)


def per_seed(scores, selection: Selection):
    """The selected values of one block: pandas Series seed -> value, empty when not measured.

    ``detail: off_diagonal`` (``diagonal``) is the mean over the transfers ``i->j`` with i != j (i = j), and
    ``gap`` the first less the second: what an attack loses when it is transferred.

    Raises:
        ValueError: more than one row per seed; names the columns that differ.
    """
    rows = scores[
        (scores["method"] == selection.method)
        & (scores["metric"] == selection.metric)
        & (scores["suite"] == selection.suite)
    ]
    if selection.suite != "transfer":  # transfers are between members: the view says nothing
        rows = rows[rows["view"] == selection.view]
    if selection.attack is not None:
        rows = rows[rows["attack"] == selection.attack]
    for key in ("eps", "steps", "fraction"):
        if (wanted := getattr(selection, key)) is not None:
            rows = rows[(rows[key] - wanted).abs() < 1e-9]
    if selection.detail in ("off_diagonal", "diagonal", "gap"):
        _one_row(rows, ["seed", "detail"])
        same = rows["detail"].map(lambda pair: len(set(pair.split("->"))) == 1).astype(bool)
        own, others = (rows[chosen].groupby("seed")["value"].mean() for chosen in (same, ~same))
        return {"diagonal": own, "off_diagonal": others, "gap": others - own}[selection.detail]
    if selection.detail:
        rows = rows[rows["detail"] == selection.detail]
    _one_row(rows, ["seed"])
    return rows.set_index("seed")["value"].sort_index()


def _one_row(rows, keys: list[str]) -> None:
    if rows.duplicated(keys).any():
        columns = ("attack", "eps", "steps", "fraction", "detail")
        vary = [column for column in columns if column not in keys and rows[column].nunique() > 1]
        raise ValueError(f"several rows per seed; choose one value of {', '.join(vary) or 'the suite'}")
