"""Selecting the clients of a round among 10,000: every method that needs no feedback from training."""

from __future__ import annotations

import time

import numpy as np

from benchmarks import timing
from gauntlet.core.registry import names, resolve
from gauntlet.core.seeds import numpy_generator
from gauntlet.selection.base import Federation, Selection

CLIENTS, SELECTED, CLASSES = 10_000, 50, 10
IMAGES = 60  # of a client
ROUNDS = 20  # per measurement
#: Options that make a method do without feedback.
OPTIONS = {"svb": {"svb_mode": "released"}}


class Asked(Exception):
    """The method asked for the model's losses."""


def probe(clients: np.ndarray, images: int | None) -> np.ndarray:
    raise Asked


def federation() -> Federation:
    """Every client has class mixes of its own; the last one stands for a Maverick."""
    rng = np.random.default_rng(0)
    histograms = rng.multinomial(IMAGES, rng.dirichlet(np.full(CLASSES, 0.5), CLIENTS))
    return Federation(histograms, SELECTED, rounds=200, mavericks=(CLIENTS - 1,))


def methods(known: Federation) -> dict[str, Selection]:
    """Those that never ask."""
    found = {}
    for name in names("selection"):
        selection = resolve("selection", name)(**OPTIONS.get(name, {}))
        selection.begin(known)
        try:
            selection.select(1, np.full((2, CLIENTS), 0.5), probe)
        except Asked:
            continue
        if not selection.needs:
            found[", ".join([name, *OPTIONS.get(name, {}).values()])] = selection
    return found


def rounds_of(selection: Selection):
    """A program that selects for some rounds and reports the seconds of one."""
    uniforms = [1 - numpy_generator(0, "selection", t).random((2, CLIENTS)) for t in range(1, ROUNDS + 1)]

    def run() -> float:
        started = time.perf_counter()
        for round, drawn in enumerate(uniforms, 1):
            selection.select(round, drawn, probe)
        return (time.perf_counter() - started) / ROUNDS

    return run


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    found = methods(federation())
    programs = {name: rounds_of(selection) for name, selection in found.items()}
    seconds = timing.interleave(programs, options.rounds or 5)
    rows = [
        timing.Comparison(f"{SELECTED} of {CLIENTS}", name, "random", seconds[name], seconds["random"])
        for name in found
        if name != "random"
    ]
    timing.report("selection", rows, options)


if __name__ == "__main__":
    main()
