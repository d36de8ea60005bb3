"""Judge the substitutes of one cell: how like the target they are, and how well attacks on them transfer.

Attacks are made on the substitute, in pixel space, and tried on the target without its black box: whether an
image fools it is a fact, not a query of the thief.

- untargeted success: of the test images that the target classifies correctly, the share that it no
  longer does;
- targeted success: of the test images that the target takes for another class, the share that it now
  takes for the goal.
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
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import Recorder
from gauntlet.core.seeds import torch_generator
from gauntlet.core.tables import attacks, predictions
from gauntlet.data.dataset import Dataset
from gauntlet.data.subset import Images, first, on_device
from gauntlet.families import tables
from gauntlet.families.block import attack_block, trained
from gauntlet.families.classifier.attack import make_attack, per_class, perturb
from gauntlet.families.classifier.network import load, logits
from gauntlet.families.stealing.settings import TABLES, Data, Evaluate, evaluate_methods

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
    *,
    target: Path,
) -> None:
    """Measure all seeds; write ``out/{scores,predictions}.parquet`` with sidecars.

    Args:
        identity: what determined the theft (``train.Identity``).
        evaluate: the attacks (``settings.Evaluate``).
        seeds: the block of seeds that ``model`` and ``target`` hold.
        model: the weights of the substitutes.
        out: folder of the outputs.
        device: where to attack.
        data_folder: the prepared dataset's own folder; the registry's when None.
        state: folder of the resume state; None keeps none. A killed job goes on with the next seed.
        target: the weights of the targets.

    Raises:
        GauntletError: bad settings, unknown attack, absent or damaged weights.
    """
    settings = parse(Evaluate, evaluate, file="evaluate")
    (model, target), device = trained(model, target), torch.device(device)
    config = {"identity": identity, "evaluate": evaluate, "seeds": seeds}
    recorder = Recorder("stealing attack", config, [model, target], **data.provenance(identity["dataset"]))
    dataset = data.load(identity["dataset"], data_folder)
    attack_block(
        recorder,
        lambda seed: Trial(identity, model, target, dataset, settings, seed, device).measure(),
        config=config,
        weights=[model, target],
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
        identity: dict[str, Any],
        model: Path,
        target: Path,
        dataset: Dataset,
        settings: Evaluate,
        seed: int,
        device: torch.device,
    ):
        data_settings = parse(Data, identity["data"], file="identity")
        self.settings, self.seed = settings, seed
        self.index = first(dataset.test, data_settings.test_per_class, seed, "test")
        self.images = on_device(dataset.test, self.index, dataset.peak, device)
        classes = len(dataset.class_names)
        if settings.goal >= classes:
            raise GauntletError(
                f"there is no class {settings.goal} among {classes}", key="evaluate.goal", remedy="lower it"
            )
        kind = (*self.images.pixels.shape[1:3], classes, device)
        self.substitute, _ = load(model, seed, identity["architecture"], *kind)
        self.target, _ = load(target, seed, data_settings.target.classifier, *kind)
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES["attack"]}

    def measure(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of every table."""
        labels = self.images.labels
        own, theirs = (logits(net, self.images.pixels) for net in (self.substitute, self.target))
        accuracy, bound = (float((found.argmax(1) == labels).double().mean()) for found in (own, theirs))
        self.score("clean", "accuracy", accuracy)
        self.score("clean", "target_accuracy", bound)
        self.score("clean", "relative_accuracy", accuracy / bound if bound else 0.0)
        self.score("clean", "agreement", float((own.argmax(1) == theirs.argmax(1)).double().mean()))
        everything = torch.arange(len(labels), device=labels.device)
        self.predict("clean", everything, own)
        self.predict("target", everything, theirs)
        rows = per_class(labels, self.settings.attacked_per_class)
        for name in self.settings.attacks:
            self.attack(name, rows, theirs[rows].argmax(1))
        return self.rows

    def attack(self, name: str, rows: Tensor, before: Tensor) -> None:
        """One attack on the images that count: ``before`` (n,) are the target's predictions of ``rows``."""
        entry = self.settings.attacks[name]
        labels, goal = self.images.labels[rows], self.settings.goal
        counts = before != goal if entry.targeted else before == labels
        rows, labels = rows[counts], labels[counts]
        if not len(rows):
            print(f"seed {self.seed} {name}: no image counts, so its success is undefined", file=sys.stderr)
            return
        attack = make_attack(entry)
        aims = torch.full_like(labels, goal) if entry.targeted else labels
        found = perturb(
            attack,
            self.substitute,
            Images(self.images.pixels[rows], aims),
            torch_generator(self.seed, "attack", name),
            targeted=entry.targeted,
        )
        outputs = logits(self.target, found)
        hit = outputs.argmax(1) == goal if entry.targeted else outputs.argmax(1) != labels
        success = float(hit.double().mean())
        self.score(name, "success", success, getattr(attack, "eps", 0.0), getattr(attack, "steps", 0), 1.0)
        self.predict(name, rows, outputs, found)
        print(f"seed {self.seed} {name} success {success:.4f} of {len(rows)}", file=sys.stderr)

    def predict(self, name: str, rows: Tensor, outputs: Tensor, found: Tensor | None = None) -> None:
        labels, clean = self.images.labels[rows], self.images.pixels[rows]
        index = self.index[np.asarray(rows.cpu())]
        self.rows["predictions"] += tables.predictions(self.seed, name, index, labels, outputs, clean, found)

    def score(self, attack: str, metric: str, value: float, eps=0.0, steps=0, fraction=0.0) -> None:
        budget = {"eps": eps, "steps": steps, "fraction": fraction}
        self.rows["scores"].append(tables.score(self.seed, attack, metric, value, **budget))
