"""Attack and score one trained cell: accuracy and calibration, clean and under every attack.

Attacks are white-box, through the whole network, normalisation included. Temperature scaling moves no
prediction, so attacks see the network without it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gauntlet import data
from gauntlet.attacks.classifiers.base import Attack
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.provenance import Recorder
from gauntlet.core.seeds import torch_generator
from gauntlet.core.tables import attacks, predictions
from gauntlet.data.dataset import Dataset
from gauntlet.data.subset import Images, first, on_device
from gauntlet.families import tables
from gauntlet.families.block import attack_block, trained
from gauntlet.families.classifier import checks
from gauntlet.families.classifier.attack import make_attack, per_class, perturb
from gauntlet.families.classifier.network import load, logits
from gauntlet.families.classifier.settings import TABLES, Evaluate, Evaluation, evaluate_methods
from gauntlet.metrics import calibration

COLUMNS = {**attacks.COLUMNS, **predictions.COLUMNS}


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
    """Measure all seeds; write ``out/{scores,predictions,sanity}.parquet`` with sidecars.

    Args:
        identity: what determined the training (``train.Identity``).
        evaluate: the attacks (``settings.Evaluate``).
        seeds: the block of seeds that ``model`` holds.
        model: the weights file of the training.
        out: folder of the outputs.
        device: where to attack.
        data_folder: the prepared dataset's own folder; the registry's when None.
        state: folder of the resume state; None keeps none. A killed job goes on with the next seed.

    Raises:
        GauntletError: bad settings, unknown attack, absent or damaged weights, logits not finite.
    """
    settings = parse(Evaluate, evaluate, file="evaluate")
    (model,), device = trained(model), torch.device(device)
    config = {"identity": identity, "evaluate": evaluate, "seeds": seeds}
    recorder = Recorder("classifier attack", config, [model], **data.provenance(identity["dataset"]))
    dataset = data.load(identity["dataset"], data_folder)
    attack_block(
        recorder,
        lambda seed: Trial(identity["architecture"], model, dataset, settings, seed, device).measure(),
        config=config,
        weights=[model],
        out=out,
        state=state,
        code=code_digest(__name__, methods=evaluate_methods(identity, settings.model_dump(mode="json"))),
        device=device,
        columns=COLUMNS,
        tables=TABLES["attack"],
    )


class Trial:
    """All measurements of one seed, as rows of the tables."""

    def __init__(
        self,
        architecture: str,
        model: Path,
        dataset: Dataset,
        settings: Evaluate,
        seed: int,
        device: torch.device,
    ):
        self.settings, self.seed = settings, seed
        self.index = first(dataset.test, settings.test_per_class, seed, "test")
        self.images = on_device(dataset.test, self.index, dataset.peak, device)
        channels, size = self.images.pixels.shape[1:3]
        classes = len(dataset.class_names)
        self.net, self.temperature = load(model, seed, architecture, channels, size, classes, device)
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES["attack"]}

    def measure(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of every table."""
        clean = logits(self.net, self.images.pixels)
        self.clean(clean)
        rows = per_class(self.images.labels, self.settings.attacked_per_class)
        images = Images(self.images.pixels[rows], self.images.labels[rows])
        robust: dict[float, Tensor] = {}
        for name, entry in self.settings.attacks.items():
            attack = make_attack(entry)
            generator = torch_generator(self.seed, "attack", name)
            found = perturb(attack, self.net, images, generator)
            hit = self.record(name, attack, rows, images, found)
            if eps := getattr(attack, "eps", None):  # attacks of one budget; one without a budget always wins
                robust[eps] = robust.get(eps, clean[rows].argmax(1) == images.labels) & hit
            self.sanity(name, entry, attack)
        for eps, left in robust.items():
            self.score({"accuracy": float(left.double().mean())}, "worst", eps, 0, 1.0)
        return self.rows

    def clean(self, found: Tensor) -> None:
        labels = self.images.labels.cpu().numpy()
        plain = found.double().cpu().numpy()
        scaled = calibration.scores(plain / self.temperature, labels)
        scores = calibration.scores(plain, labels)
        scores |= {f"{name}@scaled": scaled[name] for name in ("nll", "brier", "ece")}
        self.score({**scores, "temperature": self.temperature}, "clean")
        self.predict("clean", np.arange(len(labels)), self.images, found, self.images.pixels)
        print(f"seed {self.seed} clean accuracy {scores['accuracy']:.4f}", file=sys.stderr)

    def record(self, name: str, attack: Attack, rows: Tensor, images: Images, found: Tensor) -> Tensor:
        """Keep what an attack did; returns (n,) which images withstood it."""
        outputs = logits(self.net, found)
        hit = outputs.argmax(1) == images.labels
        self.predict(name, rows.cpu().numpy(), images, outputs, found)
        accuracy = float(hit.double().mean())
        budget = (getattr(attack, "eps", 0.0), getattr(attack, "steps", 0), 1.0)
        self.score({"accuracy": accuracy}, name, *budget)
        print(f"seed {self.seed} {name} accuracy {accuracy:.4f}", file=sys.stderr)
        return hit

    def predict(self, name: str, rows: np.ndarray, images: Images, outputs: Tensor, found: Tensor) -> None:
        logits = outputs.double() / self.temperature
        self.rows["predictions"] += tables.predictions(
            self.seed, name, self.index[rows], images.labels, logits, images.pixels, found
        )

    def sanity(self, name: str, entry: Evaluation, attack: Attack) -> None:
        if not checks.applies(attack):
            return
        rows = per_class(self.images.labels, self.settings.sanity_per_class)
        images = Images(self.images.pixels[rows], self.images.labels[rows])
        found = checks.run(self.net, images, entry, self.settings.sanity_steps, self.seed)
        self.rows["sanity"] += [{"seed": self.seed, "attack": name, **vars(check)} for check in found]
        if failed := [check.check for check in found if not check.passed]:
            print(f"seed {self.seed} {name} FAILS {', '.join(failed)}", file=sys.stderr)

    def score(self, scores: dict[str, float], attack: str, eps=0.0, steps=0, fraction=0.0) -> None:
        budget = {"eps": eps, "steps": steps, "fraction": fraction}
        self.rows["scores"] += [
            tables.score(self.seed, attack, metric, value, **budget) for metric, value in scores.items()
        ]
