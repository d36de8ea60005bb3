"""The joint pair attack, whose objective is linear in the images, against its plain formula, which makes the
matrix of all pairs: time and memory of whole attacks on a small network. At the largest size alone, against
the size of one such matrix.
"""

from __future__ import annotations

from benchmarks import timing
from benchmarks.sides import Side

SIZES, ALONE, STEPS = (2000, 5000), 10_000, 10
SMALL = (200, 300), 400, 2


def play(sizes: dict[str, int], steps: int, rounds: int, options) -> tuple[dict, dict]:
    """Seconds of every round by side, and the sides."""
    settings = {"steps": steps, "threads": options.threads}
    sides = {
        side: Side("joint_pair_side", {**settings, "side": side, "images": images})
        for side, images in sizes.items()
    }
    programs = {name: lambda side=side: side.seconds("attack") for name, side in sides.items()}
    seconds = timing.interleave(programs, rounds)
    for side in sides.values():
        side.close()
    return seconds, sides


def compare(images: int, steps: int, rounds: int, options) -> list[timing.Comparison]:
    seconds, sides = play({"ours": images, "plain": images}, steps, rounds, options)
    what = f"{images} images, PGD-{steps}"
    reached = [side.last["attack"]["reached"] for side in sides.values()]
    note = f"{what}: objective reached {reached[0]:.5f} (ours), {reached[1]:.5f} (plain)"
    names = what, "gauntlet", "matrix of all pairs"
    grown = [[side.megabytes] for side in sides.values()]
    return [
        timing.Comparison(*names, seconds["ours"], seconds["plain"], note),
        timing.Comparison(*names, *grown, unit="MB"),
    ]


def alone(images: int, steps: int, options) -> timing.Comparison:
    """Memory of the attack where the plain formula, which has several such matrices, is not tried."""
    seconds, sides = play({"ours": images}, steps, 1, options)
    return timing.Comparison(
        f"{images} images, PGD-{steps}",
        "gauntlet",
        f"one float32 matrix {images} x {images}, computed",
        [sides["ours"].megabytes],
        [images * images * 4 / 2**20],
        f"{images} images, PGD-{steps}: {min(seconds['ours']):.1f} s (ours alone). MB are the growth of the "
        "process's peak during the attack, activations of a batch of 1000 images included",
        unit="MB",
    )


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that it works")
    options = parser.parse_args()
    sizes, largest, steps = SMALL if options.small else (SIZES, ALONE, STEPS)
    rows = []
    for images in sizes:
        rows += compare(images, steps, options.rounds or 3, options)
    rows.append(alone(largest, steps, options))
    timing.report("joint_pair", rows, options)


if __name__ == "__main__":
    main()
