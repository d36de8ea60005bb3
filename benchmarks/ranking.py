"""The attacks on ranks at the size of Stanford Online Products, against sorting whole rows of distances.

Ours finds targets by faiss, and sums hinges and ranks over blocks of the gallery. Queries and gallery are
unit vectors in 512 dimensions, five to a class; the queries are not in the gallery. An attack chooses its
targets once, needs the objective and its gradient at every step, and scores at its end.
"""

from __future__ import annotations

import functools
import math

from benchmarks import timing
from benchmarks.sides import Side

ATTACKS = {"ca_plus": "CA+", "ca_minus": "CA-", "qa_plus": "QA+", "qa_minus": "QA-", "tma": "TMA"}
#: What is timed of which attacks: what a second one does alike is left out.
WORK = {
    "targets": ("choosing targets", ("qa_minus",)),
    "objective": ("objective and gradient", tuple(ATTACKS)),
    "scores": ("scores", ("ca_plus", "qa_plus", "tma")),
}
SIZES, QUERIES, DIMENSION = (10_000, 60_000), 500, 512
SMALL = (500, 1000), 50, 16


def compare(gallery: int, queries: int, dimension: int, rounds: int, options) -> list[timing.Comparison]:
    settings = {"gallery": gallery, "queries": queries, "dimension": dimension, "threads": options.threads}
    settings["attacks"] = list(ATTACKS)
    sides = {side: Side("ranking_side", {**settings, "side": side}) for side in ("ours", "plain")}
    for side in sides.values():
        for name in ATTACKS:
            side.seconds(f"targets {name}")
    timed = [(work, name) for work, (_, names) in WORK.items() for name in names]
    programs = {
        (side, work, name): functools.partial(sides[side].seconds, f"{work} {name}")
        for work, name in timed
        for side in sides
    }
    seconds = timing.interleave(programs, rounds)
    for side in sides.values():
        side.close()
    what = f"{queries} queries in {gallery}"
    rows = []
    for work, name in timed:
        note = ""
        if work != "targets":
            found = [side.last[f"{work} {name}"]["found"] for side in sides.values()]
            for ours, plain in zip(*found, strict=True):
                assert math.isclose(ours, plain, rel_tol=1e-3, abs_tol=1e-5), (what, work, name, ours, plain)
        if work == "scores":
            note = f"{what}, {ATTACKS[name]}: mean score {found[0][0]:.5f} (ours), {found[1][0]:.5f} (plain)"
        ours, plain = (seconds[side, work, name] for side in sides)
        title = f"{what}: {WORK[work][0]}, {ATTACKS[name]}"
        rows.append(timing.Comparison(title, "gauntlet", "sorted rows", ours, plain, note))
    grown = [[side.megabytes] for side in sides.values()]
    note = "MB are the growth of the process's peak over its gallery"
    rows.append(timing.Comparison(f"{what}: all", "gauntlet", "sorted rows", *grown, note, unit="MB"))
    return rows


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--queries", type=int, default=0, help=f"perturbed at once (default {QUERIES})")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that it works")
    options = parser.parse_args()
    sizes, queries, dimension = SMALL if options.small else (SIZES, QUERIES, DIMENSION)
    rows = []
    for gallery in sizes:
        rows += compare(gallery, options.queries or queries, dimension, options.rounds or 2, options)
    timing.report("ranking", rows, options)


if __name__ == "__main__":
    main()
