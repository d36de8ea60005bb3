"""What figures, tables and verdicts were made from: a sidecar beside the file that holds their numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gauntlet.core.files import sha256_file
from gauntlet.core.provenance import Recorder
from gauntlet.report.measurements import Measurements


def record(step: str, name: str, measurements: Measurements, paths: Iterable[Path]) -> None:
    """Write the sidecar of a figure or table beside its CSV.

    Args:
        step: the step of the command line (``study figure``).
        name: the figure's or table's key in its study.
        paths: the files that were written; one is the CSV. The sidecar has all their hashes in ``outputs``.
    """
    config = {"study": measurements.study, "scale": measurements.scale, "name": name}
    outputs = {path.name: sha256_file(path) for path in paths}
    (csv,) = (path for path in paths if path.suffix == ".csv")
    Recorder(step, config, verified=measurements.files).write(csv, outputs=outputs)


def record_claims(out: str | Path, judged: Iterable[Measurements]) -> None:
    """Write the sidecar of ``claims.json``; ``config.folders`` says where each study's measurements were."""
    judged = list(judged)
    folders = {measurements.study: measurements.folder.as_posix() for measurements in judged}
    files = {file: digest for measurements in judged for file, digest in measurements.files.items()}
    Recorder("claims", {"folders": folders}, verified=files).write(out)
