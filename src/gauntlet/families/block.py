"""The frame of every job: a block of seeds, one after the other, resumed where it was killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from gauntlet.core import processes
from gauntlet.core.config import Strict
from gauntlet.core.devices import describe
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256_file, write_rows
from gauntlet.core.provenance import Recorder
from gauntlet.core.resume import Resume
from gauntlet.families import weights

D, M, T = TypeVar("D"), TypeVar("M"), TypeVar("T")


class Identity(Strict, Generic[D, M, T]):
    """What determines a trained cell, apart from its seeds, with a family's own data, method and recipe."""

    family: str
    dataset: str
    architecture: str
    data: D
    method: M
    train: T


@dataclass(frozen=True)
class Trained:
    """What one seed leaves: weights by name, rows by table, and facts for the sidecar."""

    weights: Mapping[str, Tensor]
    rows: Mapping[str, list[dict[str, Any]]]
    facts: Mapping[str, Any] = field(default_factory=dict)


def train_block(
    recorder: Recorder,
    fit: Callable[[int, Resume], Trained],
    *,
    identity: dict[str, Any],
    seeds: list[int],
    out: str | Path,
    state: str | Path | None,
    every: float | None,
    code: str,
    device: Any,
    columns: Mapping[str, Mapping[str, str]],
    tables: Iterable[str],
    inputs: Any = None,
) -> None:
    """Train all seeds, then write ``out/model.safetensors`` and the ``tables``, with sidecars.

    Args:
        recorder: of the job, begun before anything was read.
        fit: trains one seed to its end, from the state that ``Resume`` holds if there is one.
        identity: everything that determines the weights, apart from the seed.
        state: folder of the resume states, one file per seed; None keeps none. Finished seeds stay there
            until the outputs are written, so that a killed block goes on where it was.
        every: seconds between saved states; None reads GAUNTLET_STATE_SECONDS, else 20.
        code: digest of the code that trains; another's state is refused.
        columns: table -> its columns and their types.
        inputs: digests of files that the training reads, beside the dataset; another's state is refused.
    """
    every = float(os.environ.get("GAUNTLET_STATE_SECONDS", "20")) if every is None else every
    done: dict[int, Trained] = {}
    resumes = []
    for seed in seeds:
        path = None if state is None else Path(state) / f"seed-{seed}.state"
        key = {"identity": identity, "seed": seed, "code": code, **({"inputs": inputs} if inputs else {})}
        with Resume(path, key, every) as resume:
            done[seed] = fit(seed, resume)
        resumes.append(resume)
    if not processes.leader():
        return
    out = Path(out)
    model = out / "model.safetensors"
    weights.save(model, {seed: trained.weights for seed, trained in done.items()})
    files = {name: out / f"{name}.parquet" for name in tables}
    for name, path in files.items():
        write_rows(path, [row for trained in done.values() for row in trained.rows[name]], columns[name])
    facts = {str(seed): dict(trained.facts) for seed, trained in done.items()}
    names = dict.fromkeys(name for of_seed in facts.values() for name in of_seed)
    cost = {name: {seed: of_seed[name] for seed, of_seed in facts.items()} for name in names}
    recorder.write(model, *files.values(), device=describe(device), code=code, cost={"per_seed": cost})
    for resume in resumes:
        resume.clear()


def trained(*paths: str | Path, what: str = "model") -> list[Path]:
    """Weights that a job reads, of a ``what``. Raises GauntletError where one is absent."""
    found = [Path(path) for path in paths]
    for path in found:
        if not path.is_file():
            raise GauntletError("no such file", file=path, remedy=f"train the {what} first")
    return found


def attack_block(
    recorder: Recorder,
    measure: Callable[[int], dict[str, Any]],
    *,
    config: dict[str, Any],
    weights: Iterable[Path],
    out: str | Path,
    state: str | Path | None,
    code: str,
    device: Any,
    columns: Mapping[str, Mapping[str, str]],
    tables: Iterable[str],
    cost: Callable[[Mapping[int, Mapping[str, Any]]], dict[str, Any]] | None = None,
) -> None:
    """Measure all seeds, then write the ``tables`` to ``out``, with sidecars.

    Args:
        recorder: of the job, begun before anything was read.
        measure: seed -> rows by table, and whatever ``cost`` reads. JSON-like: it is kept in the state.
        config: ``identity``, ``evaluate`` and ``seeds``: everything that determines the rows, but for
        weights: the files that are attacked, and
        code: the digest of the code that attacks. Another's state is refused.
        state: folder of the resume state; None keeps none. A killed job goes on with the next seed.
        columns: table -> its columns and their types.
        cost: what the sidecars say of the cost, from what was measured of each seed.
    """
    out, names = Path(out), list(tables)
    key = {**config, "weights": [sha256_file(path) for path in weights], "code": code}
    path = None if state is None else Path(state) / f"evaluate-{out.name}.state"
    done: dict[int, dict[str, Any]] = {}
    with Resume(path, key, every=0.0) as resume:
        done.update((resume.load() or {}).get("done", {}))
        for seed in config["seeds"]:
            if seed not in done:
                done[seed] = measure(seed)
            resume.checkpoint(lambda: {"done": done})
    files = [out / f"{name}.parquet" for name in names]
    for name, file in zip(names, files, strict=True):
        rows = [row for seed in config["seeds"] for row in done[seed][name]]
        write_rows(file, rows, columns[name])
    recorder.write(*files, device=describe(device), code=code, **({"cost": cost(done)} if cost else {}))
    resume.clear()
