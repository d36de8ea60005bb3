"""Attack the captured updates of one cell, and compare what is found with the clients' images.

An attack on a batch cannot know its order: every image is compared with the reconstruction that is matched
to it so that the sum of squared errors is least.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gauntlet import data
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.provenance import Recorder
from gauntlet.core.seeds import torch_generator
from gauntlet.core.tables import attacks, inversion
from gauntlet.families import tables, weights
from gauntlet.families.block import attack_block, trained
from gauntlet.families.federated import world
from gauntlet.families.federated.evaluation import Evaluator
from gauntlet.families.inversion.captured import Captured
from gauntlet.families.inversion.settings import TABLES, Attack, Data, Evaluate, Train, evaluate_methods
from gauntlet.families.png import as_png
from gauntlet.inversion.base import make
from gauntlet.inversion.engine import Reconstruction, invert
from gauntlet.metrics import images as closeness
from gauntlet.metrics import lpips

COLUMNS = {**attacks.COLUMNS, **inversion.COLUMNS}

#: What is measured of every image.
CLOSENESS = {"psnr": closeness.psnr, "ssim": closeness.ssim, "mse": closeness.mse}


def run(
    identity: dict[str, Any],
    evaluate: dict[str, Any],
    seeds: list[int],
    model: Path,
    out: Path,
    device: torch.device | str,
    data_folder: Path | None = None,
    state: Path | None = None,
) -> None:
    """Attack all seeds; write ``out/{scores,reconstructions,pictures}.parquet`` with sidecars.

    Args:
        identity: what determined the federation (``train.Identity``).
        evaluate: the attacks (``settings.Evaluate``).
        seeds: the block of seeds that ``model`` holds.
        model: the file with the captured updates.
        out: folder of the outputs.
        device: where to attack.
        data_folder: the prepared dataset's own folder; the registry's when None.
        state: folder of the resume state; None keeps none. A killed job goes on with the next seed.

    Raises:
        GauntletError: bad settings, an unknown attack or option, absent or damaged updates.
    """
    settings = parse(Evaluate, evaluate, file="evaluate")
    (model,), device = trained(model), torch.device(device)
    config = {"identity": identity, "evaluate": evaluate, "seeds": seeds}
    recorder = Recorder("inversion attack", config, [model], **data.provenance(identity["dataset"]))
    dataset = data.load(identity["dataset"], data_folder)
    attack_block(
        recorder,
        lambda seed: Trial(identity, model, dataset, settings, seed, device).measure(),
        config=config,
        weights=[model],
        out=out,
        state=state,
        code=code_digest(__name__, methods=evaluate_methods(identity, settings.model_dump(mode="json"))),
        device=device,
        columns=COLUMNS,
        tables=TABLES["attack"],
        cost=lambda done: {"per_seed": _costs(done)},
    )


def _costs(done: dict[int, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """``<metric>@<attack>`` -> seed -> number."""
    found: dict[str, dict[str, float]] = {}
    for seed, measured in done.items():
        for name, value in measured["costs"].items():
            found.setdefault(name, {})[str(seed)] = value
    return found


class Trial:
    """All measurements of one seed, as rows of the tables.

    Stream ``inversion`` of the seed, then the target and the restart: the first images of every attack.
    """

    def __init__(
        self,
        identity: dict[str, Any],
        model: Path,
        dataset,
        settings: Evaluate,
        seed: int,
        device: torch.device,
    ):
        self.settings, self.seed, self.train = settings, seed, Train(**identity["train"])
        self.world = world.build(dataset, Data(**identity["data"]), seed, device)
        self.captured = Captured(weights.read(model, seed), self.train.observe)
        self.shape = tuple(self.world.train.pixels.shape[1:])
        self.net = self.world.network(identity["architecture"], seed, "init").eval()
        self.names = [name for name, _ in self.net.named_parameters()]
        self.targets = self.captured.targets[: settings.targets]
        self.closeness = dict(CLOSENESS)
        if settings.lpips:
            lpips.require(min(self.shape[1:]))  # before hours of attacks
            self.closeness["lpips"] = lpips.lpips
        self.rows: dict[str, Any] = {name: [] for name in TABLES["attack"]}
        self.costs: dict[str, float] = {}

    def measure(self) -> dict[str, Any]:
        """The rows of every table, and ``costs``."""
        for target in self.targets[: self.settings.shown]:
            rows = self.captured.rows(target)
            self.show("original", target, self.world.train.pixels[rows], self.world.train.labels[rows])
        for label, attack in self.settings.attacks.items():
            self.attack(label, attack)
        test = Evaluator(self.net, self.world.test, self.world.classes)
        self.score("clean", "accuracy", float(test(self.captured.model()).accuracy[0]))
        return {**self.rows, "costs": self.costs}

    def attack(self, label: str, attack: Attack) -> None:
        """One attack on all targets, those with equally many images together."""
        sizes = {target: len(self.captured.rows(target)) for target in self.targets}
        found, seconds = [], 0.0
        for size in sorted(set(sizes.values())):
            targets = [target for target in self.targets if sizes[target] == size]
            result = self.invert(attack, targets)
            seconds += result.seconds
            found += [self.compare(label, target, result, at) for at, target in enumerate(targets)]
        every = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
        for name in self.closeness:
            self.score(label, name, float(every[name].mean()))
        self.score(label, "best_psnr", float(np.mean([each["psnr"].max() for each in found])))
        self.score(label, "label_accuracy", float(every["right"].mean()))
        self.costs[f"iteration_seconds@{label}"] = seconds / len(self.targets)
        print(
            f"seed {self.seed} {label} psnr {every['psnr'].mean():.2f} dB ssim {every['ssim'].mean():.3f} "
            f"{1000 * self.costs[f'iteration_seconds@{label}']:.1f} ms per iteration and target",
            file=sys.stderr,
        )

    def invert(self, attack: Attack, targets: list[int]) -> Reconstruction:
        settings, train = self.settings, self.train
        restarts = attack.restarts or settings.restarts
        observations = []
        for target in targets:
            known = self.order(target, attack) if attack.labels else None
            observations.append(
                [
                    self.captured.observation(
                        target,
                        round,
                        self.names,
                        images=len(self.captured.rows(target)),
                        batch=self.batch(target),
                        epochs=train.epochs,
                        lr=train.lr,
                        labels=known,
                    )
                    for round in self.captured.rounds[: attack.rounds]
                ]
            )
        return invert(
            self.net,
            observations,
            self.shape,
            make(attack.inversion, attack.options),
            iterations=attack.iterations or settings.iterations,
            generators=[
                [torch_generator(self.seed, "inversion", target, restart) for restart in range(restarts)]
                for target in targets
            ],
        )

    def batch(self, target: int) -> int:
        """Images per local step of all clients behind a target, which take their steps side by side."""
        clients = max(1, round(len(self.captured.rows(target)) / len(self.world.rows[target])))
        return self.train.batch * clients

    def order(self, target: int, attack: Attack) -> Tensor:
        """(n,) the classes of a target's images, in the order that the attack assumes."""
        labels = self.world.train.labels[self.captured.rows(target)]
        return labels if attack.order == "own" else labels.sort().values

    def compare(self, label: str, target: int, result: Reconstruction, at: int) -> dict[str, np.ndarray]:
        """Rows of one target; returns what is measured of its images, and ``right`` of their classes."""
        rows = self.captured.rows(target)
        originals, classes = self.world.train.pixels[rows], self.world.train.labels[rows]
        match = closeness.matching(originals, result.images[at])
        found, guessed = result.images[at].cpu()[match], result.labels[at].cpu()[match]
        measured = {name: score(originals, found).numpy() for name, score in self.closeness.items()}
        for image in range(len(rows)):
            self.rows["reconstructions"].append(
                {
                    "seed": self.seed,
                    "attack": label,
                    "target": target,
                    "index": image,
                    "label": int(classes[image]),
                    "found": int(guessed[image]),
                    "cost": float(result.cost[at].min()),
                    **{name: float(measured[name][image]) for name in CLOSENESS},
                }
            )
        if target in self.targets[: self.settings.shown]:
            self.show(label, target, found, classes)
        return {**measured, "right": (guessed == classes.cpu()).numpy()}

    def show(self, attack: str, target: int, pictures: Tensor, labels: Tensor) -> None:
        self.rows["pictures"] += [
            {
                "seed": self.seed,
                "attack": attack,
                "target": target,
                "index": index,
                "label": int(label),
                "png": as_png(picture.cpu()),
            }
            for index, (picture, label) in enumerate(zip(pictures, labels, strict=True))
        ]

    def score(self, attack: str, metric: str, value: float) -> None:
        self.rows["scores"].append(tables.score(self.seed, attack, metric, value))
