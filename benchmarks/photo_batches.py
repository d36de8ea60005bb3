"""Batches of random crops from JPEG photos: ``gauntlet.data.prefetch`` against torchvision's plain loader.

Both sides read the same photos in the same order with the same number of workers: threads here; processes
of a ``DataLoader`` over an ``ImageFolder`` there, which stay alive between the rounds. Both give uint8
batches of 224 x 224. One thread for torch in each worker.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks import timing
from gauntlet.data.crops import CentreCrop, RandomCrop
from gauntlet.data.photos import Photos
from gauntlet.data.prefetch import batches

BATCH = 60
#: What the sets have: CUB-200-2011 about 500 x 375, the largest of Cars196 and SOP several times that.
SIZES = ((500, 375), (1600, 1200))
KINDS = 32  # different photos; a folder has several copies of each


def picture(width: int, height: int, number: int) -> Image.Image:
    """Shapes of all scales and a grain, so that a JPEG of it is about as large as a photo's."""
    random = np.random.default_rng(number)
    total = np.zeros((height, width, 3))
    for scale in (4, 8, 16, 32, 64, 128):
        coarse = random.normal(size=(scale * 3 // 4, scale, 3)).astype(np.float32)
        layers = [Image.fromarray(coarse[..., c]).resize((width, height), Image.BICUBIC) for c in range(3)]
        total += np.stack([np.asarray(layer) for layer in layers], axis=2) / scale**0.7
    pixels = 128 + 90 * total + random.normal(0, 3, (height, width, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def make(root: Path, width: int, height: int, count: int) -> int:
    """The same photos as a folder per class and packed; the mean size of a file."""
    packed, files = root / "packed", root / "folder" / "one"
    for folder in (packed, files):
        folder.mkdir(parents=True)
    encoded = []
    for number in range(min(KINDS, count)):
        picture(width, height, number).save(files / "new.jpg", quality=90)
        encoded.append((files / "new.jpg").read_bytes())
    (files / "new.jpg").unlink()
    encoded = [encoded[row % len(encoded)] for row in range(count)]
    for row, content in enumerate(encoded):
        (files / f"{row:05}.jpg").write_bytes(content)
    (packed / "train_images.bin").write_bytes(b"".join(encoded))
    np.save(packed / "train_offsets.npy", np.cumsum([0, *map(len, encoded)]))
    np.save(packed / "train_labels.npy", np.zeros(count, np.uint8))
    return sum(map(len, encoded)) // count


def ours(photos: Photos, crop, workers: int) -> Callable[[], float]:
    groups = np.arange(len(photos)).reshape(-1, BATCH)

    def run() -> float:
        started = time.perf_counter()
        for batch in batches(photos, groups, crop, workers=workers):
            assert batch.shape == (BATCH, 3, 224, 224)
        return time.perf_counter() - started

    return run


def theirs(folder: Path, chain: list, workers: int) -> Callable[[], float]:
    images = ImageFolder(folder, transforms.Compose([*chain, transforms.PILToTensor()]))
    loader = DataLoader(images, BATCH, num_workers=workers, persistent_workers=workers > 0)

    def run() -> float:
        started = time.perf_counter()
        for batch, _ in loader:
            assert batch.shape == (BATCH, 3, 224, 224)
        return time.perf_counter() - started

    return run


def compare(width: int, height: int, count: int, workers: int, rounds: int) -> list[timing.Comparison]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        size = make(Path(folder), width, height, count)
        photos = Photos(Path(folder) / "packed", "benchmark", "train")
        training = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
        testing = [transforms.Resize(256), transforms.CenterCrop(224)]
        for what, crop, chain in (
            ("random crops", RandomCrop(), training),
            ("centre crops", CentreCrop(), testing),
        ):
            programs = {
                "ours": ours(photos, crop, workers),
                "theirs": theirs(Path(folder) / "folder", chain, workers),
            }
            seconds = timing.interleave(programs, rounds)
            best = {side: count / min(values) for side, values in seconds.items()}
            rows.append(
                timing.Comparison(
                    f"{what}, {width} x {height}",
                    f"gauntlet, {workers} threads",
                    f"torchvision, {workers} processes",
                    seconds["ours"],
                    seconds["theirs"],
                    f"{what}, {count} photos of {width} x {height} ({size / 1000:.0f} kB): "
                    f"{best['ours']:.0f} photos/s (ours), {best['theirs']:.0f} (torchvision), at best",
                )
            )
    return rows


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--photos", type=int, default=600, help="of the smaller size; a fifth of the larger")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for (width, height), share in zip(SIZES, (1, 5), strict=True):
        count = max(1, options.photos // share // BATCH) * BATCH
        rows += compare(width, height, count, options.workers, options.rounds or 5)
    timing.report("photo_batches", rows, options, processes=options.workers)


if __name__ == "__main__":
    main()
