"""Hand-made tables of federated trials: two classes of 40 images, class 1 owned by client 3 alone."""

from __future__ import annotations

import pandas as pd

from gauntlet.core.files import write_json
from gauntlet.core.tables.every import COLUMNS
from gauntlet.report.derived import derive
from gauntlet.report.gather import write_tables
from gauntlet.report.measurements import MANIFEST, read
from gauntlet.report.vocabulary import CELL

WHERE = {"dataset": "digits", "setting": "exclusive-1", "architecture": "cnn2_bn"}
NAN = float("nan")


def trial(method="random", seed=0, hits=((50, 0),), picked=(), values=(), **where):
    """One trial: ``hits`` per round and class (of 100 images each), ``picked`` clients per round, and the
    clients' contributions in the order of ``picked`` (all four measures alike).

    Returns: table name -> list of rows.
    """
    cell = {**WHERE, "method": method, "seed": seed, **where}
    tables = {"rounds": [], "picks": [], "clients": [], "training": []}
    for round, counts in enumerate(hits, start=1):
        tables["training"].append(
            {**cell, "epoch": round - 1, "member": 0, "loss": 1.0 / round, "passes": float(round)}
        )
        for label, correct in enumerate(counts):
            tables["rounds"].append(
                {**cell, "round": round, "label": label, "total": 100, "correct": correct, "loss": 0.5}
            )
    for round, clients in enumerate(picked, start=1):
        gains = dict(zip(clients, values[round - 1] if values else [NAN] * len(clients), strict=True))
        for client in sorted({*clients, 3}):
            tables["picks"].append(
                {
                    **cell,
                    "round": round,
                    "client": client,
                    "picked": client in clients,
                    "used": client in clients,
                    "samples": 50 if client == 3 else 10,
                    "weight": 0.25,
                    "loss": NAN,
                    **dict.fromkeys(
                        ["shapley_accuracy", "shapley_loss", "influence_accuracy", "influence_loss"],
                        gains.get(client, NAN),
                    ),
                }
            )
    for client in range(4):
        for label in range(2):
            owned = {0: 10, 1: 40 if client == 3 else 0}[label]
            tables["clients"].append(
                {**cell, "client": client, "label": label, "samples": owned, "maverick": client == 3}
            )
    return tables


def gathered(*trials):
    """The tables of several trials, as derived functions get them."""
    tables = {}
    for name in ("rounds", "picks", "clients", "training"):
        rows = [row for each in trials for row in each[name]]
        tables[name] = pd.DataFrame(rows, columns=[*CELL, *COLUMNS[name]])
    tables["scores"] = pd.DataFrame(columns=[*CELL, *COLUMNS["scores"]])
    return tables


def write(folder, study, trials, seconds=None):
    """Gathered measurements of these trials in ``folder``, with the study's derived scores.

    Args:
        seconds: method -> seed -> the server's seconds per round; none when absent.
    """
    frames = gathered(*trials)
    frames["clients"].loc[frames["clients"]["setting"] == "iid", "maverick"] = False
    frames["scores"], metrics = derive(frames, study.derived)
    cells = []
    for kind in frames["clients"][CELL].drop_duplicates().to_dict("records"):
        per_seed = {"federator_seconds": (seconds or {}).get(kind["method"], {})}
        cells.append({**kind, "block": "0-9", "train": {"cost": {"per_seed": per_seed}}})
    manifest = {
        "study": study.study,
        "scale": "mini",
        "derived": metrics,
        "tables": write_tables(folder, frames),
        "cells": cells,
        "environments": [],
        "missing": [],
    }
    write_json(folder / MANIFEST, manifest)
    return read(folder)


def value(rows, metric, method="random", seed=0):
    """The one value of a metric."""
    found = rows[(rows["metric"] == metric) & (rows["method"] == method) & (rows["seed"] == seed)]
    assert len(found) == 1, (metric, method, seed, len(found))
    return found["value"].item()
