"""Preparing each set that comes with a package, against the least that a reader of it has to do.

Both sides begin with the publisher's files on the disk. Ours is ``gauntlet data fetch`` from such a folder:
the files are hashed, read and checked, the prepared form is written, flushed and hashed again. The peer
parses the same files with the usual library and saves the arrays: scikit-learn's digits, pandas for the table
of MNIST, torchvision's FashionMNIST; for the drawn characters Pillow draws as many with FreeType, unturned.

The files are obtained once, from the sets' own sources (``GAUNTLET_DATA`` first). A set that no source serves
is left out, with a line that says so.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import timing
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, registry
from gauntlet.data.sources import Unavailable

SETS = ("digits", "mnist-5k", "fashion-mnist", "glyphs", "glyphs-fonts")
SMALL = ("digits",)


def collect(entry: registry.Entry, folder: Path, scratch: Path) -> dict[str, Path]:
    """The publisher's files by role, below ``folder``. Raises Unavailable when no source has them."""
    reasons = []
    for label, attempt in fetch.attempts(entry, scratch / "kept"):
        place = scratch / entry.name
        place.mkdir()
        try:
            if found := attempt(place).files:
                folder.mkdir(parents=True)
                return {
                    role: Path(shutil.copyfile(path, folder / entry.files[role].name))
                    for role, path in found.items()
                }
            reasons.append(f"{label}: only the prepared set")
        except (Unavailable, GauntletError) as error:
            reasons.append(f"{label}: {error}")
        finally:
            shutil.rmtree(place)
    raise Unavailable("; ".join(reasons))


def digits(files: dict[str, Path], into: Path) -> None:
    from sklearn.datasets import load_digits

    found = load_digits()
    np.save(into / "images.npy", found.images.astype(np.uint8))
    np.save(into / "labels.npy", found.target)


def table(files: dict[str, Path], into: Path) -> None:
    import pandas as pd

    values = pd.read_csv(files["table"], header=None, dtype=np.uint8).to_numpy()
    np.save(into / "images.npy", values[:, :-1])
    np.save(into / "labels.npy", values[:, -1])


def idx(files: dict[str, Path], into: Path) -> None:
    from torchvision.datasets import FashionMNIST

    raw = into / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for path in files.values():
        (raw / path.name).symlink_to(path)
    for train in (True, False):
        found = FashionMNIST(into, train=train)
        np.save(into / f"images-{train}.npy", found.data.numpy())
        np.save(into / f"labels-{train}.npy", found.targets.numpy())


def characters(entry: registry.Entry, files: dict[str, Path], into: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    fonts = [ImageFont.truetype(path, 20) for path in files.values()]
    for split in ("train", "test"):
        images = np.zeros((entry.examples(split), 28, 28), np.uint8)
        for row in range(len(images)):
            image = Image.new("L", (28, 28))
            name = entry.classes[row * len(entry.classes) // len(images)]
            ImageDraw.Draw(image).text((14, 14), name, 255, fonts[row % len(fonts)], anchor="mm")
            images[row] = np.asarray(image)
        np.save(into / f"images-{split}.npy", images)


def peer(entry: registry.Entry, files: dict[str, Path]) -> tuple[str, Callable[[Path], None]]:
    """The peer's name, and what it does in an empty folder."""
    known = {
        "digits": ("scikit-learn", digits),
        "mnist-5k": ("pandas", table),
        "fashion-mnist": ("torchvision", idx),
    }
    if entry.name in known:
        name, run = known[entry.name]
        return name, lambda into: run(files, into)
    return "Pillow", lambda into: characters(entry, files, into)


def compare(name: str, root: Path, rounds: int) -> timing.Comparison:
    entry = registry.entry(name)
    store = root / "store"
    os.environ["GAUNTLET_DATA"] = str(store)
    files = {role: store / name / file.name for role, file in entry.files.items()}
    peer_name, run = peer(entry, files)

    def ours() -> None:
        shutil.rmtree(root / "ours", ignore_errors=True)
        fetch.obtain(entry, root / "ours" / name)

    def theirs() -> None:
        shutil.rmtree(root / "theirs", ignore_errors=True)
        (root / "theirs").mkdir()
        run(root / "theirs")

    seconds = timing.interleave({"ours": ours, "theirs": theirs}, rounds)
    size = sum(path.stat().st_size for path in (root / "ours" / name).iterdir()) / 1e6
    note = f"{name}: {entry.examples('train')} + {entry.examples('test')} images, {size:.1f} MB prepared"
    return timing.Comparison(name, "gauntlet", peer_name, seconds["ours"], seconds["theirs"], note)


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--small", action="store_true", help="the digits alone, to see that it works")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = []
        for name in SMALL if options.small else SETS:
            try:
                collect(registry.entry(name), root / "store" / name, root)
                names.append(name)
            except Unavailable as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
        for name in names:
            rows.append(compare(name, root, options.rounds or 3))
    timing.report("data_prepare", rows, options)


if __name__ == "__main__":
    main()
