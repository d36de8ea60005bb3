"""Verifying a prepared set by ``gauntlet.data.prepared.verify`` against plain ``sha256sum --check``.

The set is four files of random bytes, as large together as ``--gigabytes`` says, in a temporary folder below
``--folder``. They are read once before the first round, so that both sides find in memory what fits there.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import timing
from gauntlet.data import prepared

FILES, BLOCK = 4, 1 << 24


def make(folder: Path, gigabytes: float) -> None:
    random = np.random.default_rng(0)
    for number in range(FILES):
        with open(folder / f"{number}.bin", "wb") as file:
            for _ in range(max(1, round(gigabytes * 1e9 / FILES / BLOCK))):
                file.write(random.bytes(BLOCK))


def compare(folder: Path, rounds: int) -> timing.Comparison:
    hashes = prepared.hashes(folder, sorted(path.name for path in folder.iterdir()))
    (folder / "SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in hashes.items()))
    size = sum((folder / name).stat().st_size for name in hashes) / 1e9

    def ours() -> None:
        assert prepared.verify(folder, hashes) is None

    def peer() -> None:
        subprocess.run(["sha256sum", "--check", "--quiet", "SUMS"], cwd=folder, check=True)

    seconds = timing.interleave({"ours": ours, "peer": peer}, rounds, warmup=0)
    best = {side: size / min(values) for side, values in seconds.items()}
    note = f"{size:.2f} GB: {best['ours']:.2f} GB/s (ours), {best['peer']:.2f} (sha256sum), at best"
    return timing.Comparison(
        f"{size:.2f} GB in {FILES} files", "gauntlet", "sha256sum", seconds["ours"], seconds["peer"], note
    )


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--gigabytes", type=float, default=10.0, help="size of the set (default 10)")
    parser.add_argument("--folder", type=Path, help="where the set is made (default: the temporary folder)")
    parser.add_argument("--small", action="store_true", help="0.1 GB, to see that it works")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        make(Path(folder), 0.1 if options.small else options.gigabytes)
        row = compare(Path(folder), options.rounds or 3)
    timing.report("data_verify", [row], options)


if __name__ == "__main__":
    main()
