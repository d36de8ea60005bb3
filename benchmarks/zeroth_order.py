"""An estimated gradient with ten directions in one call against ten estimates with one direction each.

The ten ask twenty values per point, the one eleven: the value at the point itself is shared.
"""

from __future__ import annotations

import torch

from benchmarks import timing
from benchmarks.problem import synchronize
from benchmarks.theft import Pair
from gauntlet.stealing.zeroth_order import estimate

DIRECTIONS, BATCH, EPS = 10, 64, 1e-3


def compare(case: str, rounds: int, options) -> timing.Comparison:
    pair = Pair(case, options.device)
    target, substitute = pair.target, pair.substitute.eval()
    points = torch.rand(BATCH, *pair.shape).to(options.device)
    settings = {"eps": EPS, "generator": torch.Generator().manual_seed(0)}

    def apart(x: torch.Tensor) -> torch.Tensor:
        return (substitute(x) - target(x)).abs().mean(1)

    def together() -> None:
        synchronize(estimate(apart, points, directions=DIRECTIONS, **settings)[0])

    def one_by_one() -> None:
        synchronize(sum(estimate(apart, points, directions=1, **settings)[0] for _ in range(DIRECTIONS)))

    seconds = timing.interleave({"together": together, "apart": one_by_one}, rounds)
    what = f"{DIRECTIONS} directions, batch {BATCH}, {case}"
    return timing.Comparison(what, "one call", "ten calls", seconds["together"], seconds["apart"])


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [compare(case, options.rounds or 15, options) for case in Pair.small]
    timing.report("zeroth_order", rows, options)


if __name__ == "__main__":
    main()
