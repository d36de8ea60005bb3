"""A declared check -> the single comparisons it stands for, in one block of results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from gauntlet.report.claims.model import Check, Minus, Value

INHERITED = ("attack", "suite", "view", "detail", "eps", "steps", "fraction")


@dataclass(frozen=True)
class Selection:
    """One measurement of one method: a value per seed. ``attack`` is None until expanded."""

    method: str
    metric: str
    suite: str
    attack: str | None
    view: str
    detail: str
    eps: float | None
    steps: int | None
    fraction: float | None

    def as_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in (None, "")}


@dataclass(frozen=True)
class Comparison:
    check: Check
    value: Selection
    minus: Selection | None


def expand(check: Check, rivals: list[str] | None, attacks: list[str]) -> Iterator[Comparison]:
    """Every combination of the check's lists.

    Args:
        rivals: methods to subtract; None when the check names none of its own.
        attacks: what an absent ``attack`` stands for: all that the suite measured.
    """
    for metric in check.metric:
        for method in check.value.method:
            for attack in check.value.attack or attacks or [None]:
                value = _selection(check.value, method, metric, attack)
                if check.minus is None:
                    yield Comparison(check, value, None)
                    continue
                for rival in rivals if rivals is not None else [method]:
                    for other in check.minus.attack or [attack]:
                        yield Comparison(check, value, _subtracted(check.minus, value, rival, other))


def _selection(value: Value, method: str, metric: str, attack: str | None) -> Selection:
    rest = {key: getattr(value, key) for key in INHERITED if key != "attack"}
    return Selection(method=method, metric=metric, attack=attack, **rest)


def _subtracted(minus: Minus, value: Selection, method: str, attack: str | None) -> Selection:
    rest = {
        key: getattr(value, key) if getattr(minus, key) is None else getattr(minus, key)
        for key in INHERITED
        if key != "attack"
    }
    return Selection(method=method, metric=value.metric, attack=attack, **rest)


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
