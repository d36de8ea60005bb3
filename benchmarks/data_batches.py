"""Shuffled batches of Fashion-MNIST: the prepared form against torchvision's dataset and ``DataLoader``.

Both sides give float32 batches in [0, 1]. Ours is what trainings do: the set is opened (which hashes its
files), its images are put on the device once, and batches are rows of them. The peer reads the published
files by ``FashionMNIST`` with ``ToTensor`` in a ``DataLoader`` without workers, and with two, which stay.
"""

from __future__ import annotations

import functools
import struct
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import timing
from benchmarks.sides import Side
from gauntlet.data import registry

BATCH, WORKERS = 128, 2
SIDES = {"gauntlet": None, "torchvision": 0, f"torchvision, {WORKERS} workers": WORKERS}
WORK = {"first": "opening and the first epoch", "later": "a later epoch"}


def publish(prepared: Path, root: Path) -> None:
    """The prepared training images as the published IDX files, where torchvision looks for them."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for split, name in (("train", "train"), ("test", "t10k")):
        images = np.load(prepared / f"{split}_images.npy")
        labels = np.load(prepared / f"{split}_labels.npy")
        n, _, height, width = images.shape
        (raw / f"{name}-images-idx3-ubyte").write_bytes(
            struct.pack(">4I", 2051, n, height, width) + images.tobytes()
        )
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, n) + labels.tobytes())


def compare(root: Path, images: int, rounds: int, threads: int) -> list[timing.Comparison]:
    settings = {"root": str(root), "images": images, "batch": BATCH, "threads": threads}
    sides = {
        name: Side("data_batches_side", {**settings, "workers": workers}) for name, workers in SIDES.items()
    }
    for side in sides.values():
        side.seconds("first")  # a round may begin with a later epoch
    programs = {
        (name, work): functools.partial(side.seconds, work) for work in WORK for name, side in sides.items()
    }
    seconds = timing.interleave(programs, rounds)
    means = [side.last["later"]["mean"] for side in sides.values()]
    assert max(means) - min(means) < 1e-5, means
    rows = []
    for work, what in WORK.items():
        best = {name: f"{images / min(seconds[name, work]):,.0f} ({name})" for name in sides}
        note = f"{what}, images per second at best: {', '.join(best.values())}"
        for name in list(sides)[1:]:
            ours, theirs = seconds["gauntlet", work], seconds[name, work]
            rows.append(timing.Comparison(what, "gauntlet", name, ours, theirs, note))
    grown = [[sides[name].megabytes] for name in ("gauntlet", "torchvision")]
    note = (
        "MB are the growth of the process's peak since its imports; workers are not counted, so not compared"
    )
    rows.append(timing.Comparison("memory", "gauntlet", "torchvision", *grown, note, unit="MB"))
    for side in sides.values():
        side.close()
    return rows


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--images", type=int, default=60_000, help="of an epoch (default 60,000)")
    parser.add_argument("--small", action="store_true", help="2,000 images, to see that it works")
    options = parser.parse_args()
    prepared = registry.folder("fashion-mnist")
    if not (prepared / "dataset.json").is_file():
        raise SystemExit("first: gauntlet data fetch fashion-mnist")
    with tempfile.TemporaryDirectory() as root:
        publish(prepared, Path(root))
        images = 2000 if options.small else options.images
        rows = compare(Path(root), images, options.rounds or 5, options.threads)
    timing.report("data_batches", rows, options, processes=WORKERS)


if __name__ == "__main__":
    main()
