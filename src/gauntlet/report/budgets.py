"""What every attack was allowed: norm, budget, steps and restarts."""

from __future__ import annotations

from typing import NamedTuple

from gauntlet.report.measurements import Measurements, where
from gauntlet.report.vocabulary import CELL, NORMS, attack_label


class Budget(NamedTuple):
    """``norm`` is empty and ``restarts`` 0 where the measurements do not say; ``eps`` 0 is no bound."""

    norm: str
    eps: float
    steps: int
    restarts: int

    @property
    def size(self) -> str:
        """``L∞ ε 0.1``"""
        eps = f"{self.eps:g}"
        if len(eps) > 6:  # of a photo, whose pixels are whole numbers up to 255
            eps = f"{self.eps * 255:.3g}/255"
        return f"{NORMS.get(self.norm, self.norm)} ε {eps}".strip() if self.eps else ""

    def text(self) -> str:
        """``L∞ ε 0.1, 20 steps, 3 restarts``"""
        counts = [(self.steps, "step", 0), (self.restarts, "restart", 1)]
        shown = [f"{n} {word}{'' if n == 1 else 's'}" for n, word, least in counts if n > least]
        return ", ".join(part for part in (self.size, *shown) if part)


def budgets(
    measurements: Measurements, block: tuple[str, str, str], suite: str = "main"
) -> dict[str, list[Budget]]:
    """Attack -> its budgets in a suite of a block, over all methods; clean scores have none."""
    rows = where(measurements.scores, block, suite=suite)
    rows = rows.loc[rows["attack"] != "clean", [*CELL, "attack", "eps", "steps"]].drop_duplicates()
    found: dict[str, list[Budget]] = {}
    for *cell, attack, eps, steps in rows.itertuples(index=False, name=None):
        known = measurements.attacks(*cell).get(attack, {})
        budget = Budget(known.get("norm", ""), eps, steps, known.get("restarts") or 0)
        if budget not in (of_attack := found.setdefault(attack, [])):
            of_attack.append(budget)
    return found


def norm(measurements: Measurements, block: tuple[str, str, str], suite: str) -> str:
    """The norm that all attacks of a suite have in a block; empty where it is not known."""
    found = budgets(measurements, block, suite).values()
    norms = {budget.norm for of_attack in found for budget in of_attack}
    return norms.pop() if len(norms) == 1 else ""


def note(measurements: Measurements, block: tuple[str, str, str], attacks: list[str]) -> str:
    """What these attacks were allowed in suite ``main`` of a block, in words.

    ``L∞ ε 0.1, 20 steps: shift; margin. L2 ε 1.5, 20 steps: ... Worst attack: of those with L∞ ε 0.1.``
    """
    found, labels = budgets(measurements, block), {}
    for attack in attacks:
        for budget in found.get(attack, []):
            if attack != "worst" and (text := budget.text()):
                labels.setdefault(text, []).append(attack_label(attack))
    parts = [f"{text}: {'; '.join(of_text)}." for text, of_text in labels.items()]
    if "worst" in attacks and (sizes := dict.fromkeys(b.size for b in found.get("worst", []) if b.eps)):
        parts.append(f"{attack_label('worst').capitalize()}: of those with {' or '.join(sizes)}.")
    return " ".join(parts)
