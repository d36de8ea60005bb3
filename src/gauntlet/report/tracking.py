"""Tracking: MLflow receives a copy of the measurement files, each trial exactly once.

Jobs never talk to the tracker. This ingests what they wrote: one experiment per study, one run per
trial. A run gets ``gauntlet.complete=yes`` last of all, so one that a crash left half-written is known
and made anew; a second ingest of the same files changes nothing.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gauntlet.core.errors import GauntletError

DEFAULT_URI = "sqlite:///mlflow.db"

#: Settings of the MLflow client where the user made none. Its own would wait minutes for a dead server.
CLIENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
LOCK_SECONDS = 900


class Drawn(NamedTuple):
    """What is drawn of a study: its title, the folder of its figures and tables, and its part of
    ``claims.json``, key -> verdict."""

    title: str
    folder: Path
    claims: Mapping[str, Any]


def track(
    study: str,
    scale: str,
    cells: list[dict],
    *,
    reused: Sequence[dict] = (),
    drawn: Drawn | None = None,
    uri: str | None = None,
) -> dict[str, Any]:
    """Bring the tracker up to date with the files of ``cells``.

    A trial whose run is complete and has the same payload is left alone; one that is incomplete, doubled
    or made of other bytes is deleted and logged anew; one whose jobs are not done is passed over. The same
    holds for the runs of cells, and for that of the study.

    Args:
        study: the experiment's name.
        scale: added to the tag ``gauntlet.scale`` (a trial can belong to several scales).
        cells: see `gauntlet.report.trials.open_cell`.
        reused: trainings whose weights other trials load (``gauntlet.registered.rows``): their models are
            registered, and those that are no trial's become runs too.
        drawn: the study's figures, tables and verdicts, if they are to be logged.
        uri: the store; else ``MLFLOW_TRACKING_URI``, else ``sqlite:///mlflow.db`` in the working directory.

    Returns:
        ``{"study", "scale", "uri", "new", "kept", "replaced", "removed", "unfinished"}``: counts of
        trials (``removed``: surplus runs), and the store without its password; ``models``: versions that are
        new; ``experiment``, and ``runs``: trial -> its run, for links.

    Raises:
        GauntletError: the store does not answer or refuses; what was ingested so far stays.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    shown = re.sub(r"//[^/@]*@", "//***@", uri)
    for key, value in CLIENT.items():
        os.environ.setdefault(key, value)
    with _lock(uri):
        from mlflow.exceptions import MlflowException
        from requests import RequestException

        from gauntlet.report.mlflow_ingest import Ingest
        from gauntlet.report.mlflow_models import register
        from gauntlet.report.mlflow_study import log

        for logger in ("mlflow", "alembic"):
            logging.getLogger(logger).setLevel(logging.WARNING)
        try:
            ingest = Ingest(study, scale, uri, _database(uri))
            own = {cell["steps"].get("train") for cell in cells}
            counts = ingest.run([*cells, *(row for row in reused if row["steps"]["train"] not in own)])
            models = sum(register(ingest, row) for row in reused)
            if drawn:
                log(ingest, drawn)
        except (MlflowException, RequestException) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0].replace(uri, shown)
            raise GauntletError(
                f"tracking store {shown} failed: {first[:300]}",
                remedy="start the server, or unset MLFLOW_TRACKING_URI to use the embedded store, then run "
                "`track` again: it goes on where it stopped; the measurements are not affected",
            ) from error
    found = {"models": models, "experiment": ingest.experiment, "runs": ingest.runs}
    return {"study": study, "scale": scale, "uri": shown, **counts, **found}


def _database(uri: str) -> Path | None:
    """The file of an embedded store, None for any other."""
    return Path(uri.removeprefix("sqlite:///")).resolve() if uri.startswith("sqlite:///") else None


@contextmanager
def _lock(uri: str) -> Iterator[None]:
    """One `track` at a time: per database file, or per working directory for a server."""
    from filelock import FileLock, Timeout

    database = _database(uri)
    path = database.with_name(database.name + "-lock") if database else Path(".gauntlet", "track.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=LOCK_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise GauntletError(
            f"another `track` has held the store for {LOCK_SECONDS // 60} minutes",
            file=path,
            remedy="wait for it, or end it",
        ) from error
    except OSError as error:
        raise GauntletError(
            f"cannot lock the tracking store ({error.strerror})",
            file=path,
            remedy="make the folder writable, or set MLFLOW_TRACKING_URI",
        ) from error
    try:
        yield
    finally:
        lock.release()
