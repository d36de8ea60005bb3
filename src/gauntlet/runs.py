"""Carry a study's weights and measurements from one clone to another, through DVC.

``runs/<study>/<scale>.dvc`` pins a folder that mirrors the study's part of ``results/``, with what Snakemake
recorded of each output. So in the other clone Snakemake knows these outputs as if it had made them: it makes
none of them again, until their settings or code change.
"""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import atomic, read_json, sha256_file, write_json
from gauntlet.core.lock import alone
from gauntlet.core.provenance import read_sidecar, sidecar_path
from gauntlet.data.sources import Unavailable, dvc
from gauntlet.plan import Plan

RESULTS, RUNS = Path("results"), Path("runs")
METADATA = Path(".snakemake/metadata")
#: In the pinned folder: what Snakemake recorded of the outputs, by output.
RECORDS = "snakemake.json"


def push(plan: Plan, study: str) -> tuple[Path, int]:
    """Add what there is of a study's outputs to DVC and push it. Returns the pin to commit, and their number.

    Raises:
        GauntletError: nothing is there; an output differs from its provenance file; DVC's reason.
    """
    pin, outputs = _pin(plan, study), list(_outputs(plan, study, RESULTS))
    if not outputs:
        raise GauntletError(
            f"there are no results of {study}", file=RESULTS, remedy=f"snakemake --config study={study}"
        )
    for path in outputs:
        _check(path)
    pinned = pin.with_suffix("")
    with _dvc():
        with atomic(pinned) as temporary:
            for path in outputs:
                _copy(path, temporary / path.relative_to(RESULTS))
            records = {str(path): read_json(_record(path)) for path in outputs if _record(path).is_file()}
            write_json(temporary / RECORDS, records)
        dvc.run("add", str(pinned))
        shutil.rmtree(pinned)  # DVC's cache has it
        dvc.run("push", str(pin))
    return pin, len(outputs)


def pull(plan: Plan, study: str) -> int:
    """Bring the pinned outputs that ``results/`` lacks and this configuration has. Returns how many.

    Raises:
        GauntletError: there is no pin; DVC's reason; an output differs from its provenance file, and none is
            brought then.
    """
    pin = _pin(plan, study)
    if not pin.is_file():
        raise GauntletError(
            "there is no such pin",
            file=pin,
            remedy=f"in the clone with the results: gauntlet study push {study}",
        )
    pinned = pin.with_suffix("")
    with _dvc():
        try:
            dvc.run("pull", "--force", str(pin))
            found = list(_outputs(plan, study, pinned))
            for path in found:
                _check(path)
            records = read_json(pinned / RECORDS)
            wanted = [(path, RESULTS / path.relative_to(pinned)) for path in found]
            wanted = [(path, output) for path, output in wanted if not output.is_file()]
            now = time.time_ns()  # one time for all: none is older than what it was made from
            for path, output in wanted:
                if (record := records.get(str(output))) is not None:
                    write_json(_record(output), record)  # first: an output without it is never made again
                _copy(path, output, now)
        finally:
            shutil.rmtree(pinned, ignore_errors=True)
    return len(wanted)


def _pin(plan: Plan, study: str) -> Path:
    """What DVC pins the study's outputs by. The folder itself exists only while it is filled or emptied."""
    return RUNS / study / f"{plan.part(study).scale}.dvc"


def _outputs(plan: Plan, study: str, root: Path) -> Iterator[Path]:
    """The study's outputs below ``root`` that have provenance files."""
    own = Plan(plan.scale, {study: plan.part(study)})
    folders = [cell.train_folder for cell in own.trained().values()]
    folders += [made for cell in own.cells() for made in cell.steps.values()]
    for made in dict.fromkeys(folders):
        for path in sorted((root / made.relative_to(RESULTS)).glob("*")):
            if sidecar_path(path).is_file():
                yield path


def _check(path: Path) -> None:
    if sha256_file(path) != read_sidecar(path)["sha256"]:
        raise GauntletError(
            "this output is altered: its SHA-256 is not that of its provenance file",
            file=path,
            remedy="in the clone that made it, delete it and run snakemake, then push again",
        )


def _copy(path: Path, target: Path, stamp: int | None = None) -> None:
    """The output, and its provenance file before it; of this time in nanoseconds, if one is given."""
    for source, copy in ((sidecar_path(path), sidecar_path(target)), (path, target)):
        with atomic(copy) as temporary:
            shutil.copyfile(source, temporary)
            if stamp is not None:
                os.utime(temporary, ns=(stamp, stamp))


def _record(output: Path) -> Path:
    """Where Snakemake records how it made ``output`` (its persistence in files, record format 6)."""
    name = base64.urlsafe_b64encode(str(output).encode()).decode()
    parts = [name[start : start + 254] for start in range(0, len(name), 254)]
    return METADATA.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


@contextmanager
def _dvc() -> Iterator[None]:
    """Alone with DVC; its reason becomes the user's error."""
    if not Path(".dvc").is_dir():
        raise GauntletError(
            "there is no such folder", file=".dvc", remedy="work in a clone of the repository"
        )
    with alone(dvc.LOCK):
        try:
            yield
        except Unavailable as error:
            raise GauntletError(str(error), file=".dvc/config", remedy="docs/data.md, DVC") from error
