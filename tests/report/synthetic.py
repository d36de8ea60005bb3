"""Synthetic measurements with a known truth, in the format that jobs write."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from gauntlet.core.files import sha256_file, write_parquet, write_sealed
from gauntlet.core.provenance import sidecar_path
from gauntlet.report.gather import gather

REPOSITORY = Path(__file__).parents[2]
EAT = REPOSITORY / "config/studies/eat.yaml"
METRICS = ["recall@1", "recall@2", "recall@4", "recall@8", "map@r", "nmi", "ami", "f1"]
ATTACKS = ["shift", "centre", "joint_pair"]
#: The settings of the evaluation, as far as the report reads them.
EVALUATE = {"attacks": ATTACKS, "eps": 0.1, "steps": 20, "restarts": 3, "sweep_attack": "joint_pair"}
#: The same with attacks by label, one of them in another norm.
QUERIES = {
    "attacks": {
        "nearest_positive": {"norm": "linf"},
        "nearest_positive_long": {"norm": "linf", "steps": 50, "restarts": 3},
        "nearest_positive_cw": {"norm": "linf"},
        "nearest_positive_l2": {"norm": "l2", "eps": 1.5},
    },
    "eps": 0.1,
    "steps": 20,
    "restarts": 1,
    "sweep_attack": "nearest_positive",
}
SEEDS = 5
STEPS = {"train": ("training", "spread"), "attack": ("scores", "examples", "projections", "sanity")}
TABLES = [name for names in STEPS.values() for name in names]

#: Robustness of each method: attacked score = clean * this (at the headline budget).
ROBUST = {
    "none": 0.1, "mixup": 0.14, "at": 0.72, "trades": 0.7, "eat": 0.8, "eat_no_split": 0.8, "eat_own": 0.79,
    "at_x3": 0.8, "none_x3": 0.12,
}  # fmt: skip
CLEAN = {"none": 0.93, "mixup": 0.92, "none_x3": 0.94}
MEMBERS = {"eat": 3, "eat_no_split": 3, "eat_own": 3, "at_x3": 3, "none_x3": 3}
STRENGTH = {"clean": 0.0, "shift": 1.0, "centre": 0.9, "joint_pair": 1.1}
DIFFICULTY = {"fashion-mnist": 1.0, "digits": 0.94}


def _budgets(evaluate: dict) -> dict[str, tuple[str, float, int]]:
    """Attack -> norm, eps, steps."""
    attacks = evaluate["attacks"]
    entries = {name: {} for name in attacks} if isinstance(attacks, list) else attacks
    whole = {"norm": "linf", **{key: evaluate[key] for key in ("eps", "steps")}}
    return {name: tuple({**whole, **entry}[key] for key in whole) for name, entry in entries.items()}


def _scores(
    method: str, dataset: str, seeds: range, rng: np.random.Generator, evaluate: dict
) -> pd.DataFrame:
    clean, robust = CLEAN.get(method, 0.9) * DIFFICULTY.get(dataset, 0.9), ROBUST.get(method, 0.7)
    budgets, swept = _budgets(evaluate), evaluate["sweep_attack"]
    headline = [name for name, budget in budgets.items() if budget[:2] == ("linf", evaluate["eps"])]
    budgets |= {"clean": ("", 0.0, 0), "worst": ("linf", evaluate["eps"], evaluate["steps"])}
    rows = []

    def level(strength: float, metric: str) -> float:
        base = clean * (1 - METRICS.index(metric) * 0.01) * (0.75 if metric in ("nmi", "ami", "f1") else 1)
        return base * max(1 - (1 - robust) * strength, 0.02)

    for seed in seeds:
        shared = rng.normal(0, 0.02)
        for view in ["ensemble", "member"] if method in MEMBERS else ["ensemble"]:
            loss = 0.02 if view == "member" else 0.0
            for metric in METRICS:
                values = {}
                for attack in ["clean", *_budgets(evaluate)]:
                    noise = shared + rng.normal(0, 0.006) - loss
                    values[attack] = float(np.clip(level(STRENGTH.get(attack, 1.0), metric) + noise, 0, 1))
                values["worst"] = min(values[attack] for attack in headline)
                for attack, value in values.items():
                    of = (*budgets[attack][1:], 1.0 * (attack != "clean"))
                    rows.append((seed, "main", attack, *of, view, "", metric, value))
        for metric in ["recall@1", "nmi", "f1"]:
            for eps in (0.02, 0.05, 0.1, 0.2):
                value = level(min(eps / 0.1, 1.4), metric) + shared / 2
                rows.append((seed, "eps", swept, eps, 20, 1.0, "ensemble", "", metric, value))
            for steps in (1, 5, 20, 50):
                value = level(1.1 * (1 - np.exp(-steps / 6)), metric) + shared / 2
                rows.append((seed, "steps", swept, 0.1, steps, 1.0, "ensemble", "", metric, value))
            for fraction in (0.1, 0.25, 0.5, 1.0):
                value = level(1.1 * fraction, metric) + shared / 2
                rows.append((seed, "fraction", swept, 0.1, 20, fraction, "ensemble", "", metric, value))
        for i in range(MEMBERS.get(method, 0)):
            for j in range(MEMBERS[method]):
                value = 0.5 + 0.2 * (i != j) * (1 if method == "eat" else 0.5) + rng.normal(0, 0.01)
                rows.append((seed, "transfer", swept, 0.1, 20, 1.0, "member", f"{i}->{j}", "recall@1", value))
        if method in MEMBERS:
            rows.append(
                (seed, "transfer", swept, 0.1, 0, 1.0, "ensemble", "", "gradient_cosine", 0.3 + shared)
            )
    names = ["seed", "suite", "attack", "eps", "steps", "fraction", "view", "detail", "metric", "value"]
    return pd.DataFrame(rows, columns=names)


def _write(path: Path, table: pd.DataFrame, **extra) -> None:
    write_parquet(path, table)
    sidecar = {
        "step": "test",
        "sha256": sha256_file(path),
        "commit": "0" * 40,
        "data_version": "d" * 32,
        "device": "cpu",
        "seconds": 12.5,
        "started": "2026-01-01T00:00:00Z",
        "environment": {"python": "3.11.2", "platform": "Linux", "libraries": {"torch": "2.11.0"}},
        "host": "secret-host",
        **extra,
    }
    write_sealed(sidecar_path(path), sidecar)


def write_cell(
    folder: Path,
    dataset: str,
    method: str,
    seeds: range,
    edit=None,
    flagged=False,
    setting="",
    evaluate=EVALUATE,
) -> dict:
    """One cell's job folders; ``edit(scores, method, dataset)`` may change its scores."""
    attacks = list(_budgets(evaluate))
    stream = np.random.SeedSequence([len(dataset), *method.encode(), seeds.start, *setting.encode()])
    rng = np.random.default_rng(stream)
    read = {"inputs": {f"data/{dataset}/train_images.npy": "1" * 64}}
    train = folder / dataset / setting / method / f"seeds-{seeds.start}-{seeds.stop - 1}"
    attack = train / "attack-1"
    scores = _scores(method, dataset, seeds, rng, evaluate)
    if edit is not None:
        scores = edit(scores, method, dataset)
    _write(attack / "scores.parquet", scores, config={"evaluate": evaluate}, **read)
    count = 60
    labels = np.arange(count) % 5 * 2
    examples = [
        pd.DataFrame(
            {
                "seed": seed,
                "attack": name,
                "index": np.arange(count),
                "label": labels,
                "hit": rng.random(count) < 0.6,
                "cluster": labels // 2,
            }
        )
        for seed in seeds
        for name in ["clean", *attacks]
    ]
    _write(attack / "examples.parquet", pd.concat(examples), **read)
    projections = [pd.DataFrame({"seed": pd.Series(dtype="int64"), "attack": pd.Series(dtype="str")})]
    columns = ["seed", "attack", "index", "label", "x", "y"]
    if seeds.start == 0:
        spread = {"clean": 1.0, evaluate["sweep_attack"]: 1.0 + 6 * (1 - ROBUST.get(method, 0.7))}
        angle = labels / 10 * 2 * np.pi
        projections = [
            pd.DataFrame(
                {
                    "seed": 0,
                    "attack": name,
                    "index": np.arange(count),
                    "label": labels,
                    "x": 8 * np.cos(angle) + rng.normal(0, width, count),
                    "y": 8 * np.sin(angle) + rng.normal(0, width, count),
                }
            )
            for name, width in spread.items()
        ]
    _write(attack / "projections.parquet", pd.concat(projections).reindex(columns=columns), **read)
    checks = ["more_steps", "bigger_eps", "unbounded", "transfer", "random_noise"]
    sanity = [
        (seed, name, check, "recall@1", 0.1, 0.2, not (flagged and check == "unbounded" and seed == 0))
        for seed in seeds
        for name in attacks
        for check in checks
    ]
    names = ["seed", "attack", "check", "metric", "value", "bound", "passed"]
    _write(attack / "sanity.parquet", pd.DataFrame(sanity, columns=names), **read)
    members = MEMBERS.get(method, 1)
    steps = 1 if method in ("none", "mixup", "none_x3") else 6
    training = [
        (seed, epoch, member, 2.0 / (epoch + 1), float((epoch + 1) * steps * members))
        for seed in seeds
        for epoch in range(3)
        for member in range(members)
    ]
    _write(
        train / "training.parquet",
        pd.DataFrame(training, columns=["seed", "epoch", "member", "loss", "passes"]),
        **read,
        cost={
            "per_seed": {
                "seconds_per_epoch": {str(seed): members + seed / 10 for seed in seeds},
                "passes_per_image": {str(seed): 3.0 * steps * members for seed in seeds},
            }
        },
    )
    distances = [
        (seed, epoch, member, 0.5 + 0.3 * epoch * ROBUST.get(method, 0.7) + 0.01 * seed)
        for seed in seeds
        for epoch in range(3)
        for member in range(members)
    ]
    _write(
        train / "spread.parquet",
        pd.DataFrame(distances, columns=["seed", "epoch", "member", "distance"]),
        **read,
    )
    block = f"{seeds.start}-{seeds.stop - 1}"
    steps = {"train": train, "attack": attack}
    return {
        "dataset": dataset,
        "setting": setting,
        "architecture": "conv",
        "method": method,
        "block": block,
        "steps": {step: str(steps[step]) for step in STEPS},
        "tables": {name: f"{steps[step]}/{name}.parquet" for step, names in STEPS.items() for name in names},
    }


def build(
    folder: Path,
    *,
    methods=tuple(ROBUST),
    datasets=("fashion-mnist", "digits"),
    settings=("",),
    seeds: int = SEEDS,
    edit=None,
    flagged=(),
    skip=lambda method, dataset: False,
    missing=(),
    scale: str = "mini",
    study: str = "eat",
    derived=None,
    evaluate=EVALUATE,
) -> Path:
    """Write the cells and gather them; returns the gathered folder."""
    cells = [
        write_cell(folder / "jobs", dataset, method, range(seeds), edit, method in flagged, setting, evaluate)
        for dataset in datasets
        for setting in settings
        for method in methods
        if not skip(method, dataset)
    ]
    return gather(
        cells, folder / "studies" / study / scale, study, scale, list(missing), tables=TABLES, derived=derived
    )


def png(value: int) -> str:
    """A grey image of 4 x 4 pixels, as tables keep it."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
