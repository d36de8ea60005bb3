"""Attack what a federation has released: ask who was in its clients' data, and for what its task had no need
of.

The adversary sees the model that came of the federation, and under a distillation the samples that were
shared in the last round. An attack that reads released samples is left out where there are none.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gauntlet import data
from gauntlet.attributes import base as attribute_attacks
from gauntlet.attributes.base import Rows, leak
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import Recorder, read_sidecar
from gauntlet.core.registry import create
from gauntlet.core.tables import attacks, privacy, stealing
from gauntlet.families import block, tables, weights
from gauntlet.families.block import attack_block, trained
from gauntlet.families.classifier.network import logits
from gauntlet.families.distilled.samples import shown
from gauntlet.families.federated import world
from gauntlet.families.federated.world import Images
from gauntlet.families.privacy.released import released
from gauntlet.families.privacy.settings import (
    TABLES,
    Data,
    Evaluate,
    Method,
    Train,
    evaluate_methods,
)
from gauntlet.families.shadows import pool
from gauntlet.families.shadows.models import unpacked
from gauntlet.membership.base import Evidence, Membership, Population, Shadows
from gauntlet.membership.shadows import answers
from gauntlet.metrics import membership as scores
from gauntlet.models.features import penultimate

COLUMNS = {**attacks.COLUMNS, **privacy.COLUMNS, **stealing.COLUMNS}

#: What determines a cell, apart from its seeds.
Identity = block.Identity[Data, Method, Train]

#: What an attack on membership may need that not every federation releases.
SAMPLES = {"released", "released_labels"}
#: What an attack may need to be tried on a shadow model (``Evidence.on_shadow``).
ON_SHADOW = {"logits", "shadows", "population"}
#: The most shadow models that a threshold is chosen on: each is attacked once.
THRESHOLDS = 4


def run(
    identity: dict[str, Any],
    evaluate: dict[str, Any],
    seeds: list[int],
    out: Path,
    device: torch.device | str,
    data_folder: Path | None = None,
    state: Path | None = None,
    *,
    target: Path,
    shadows: Path | None = None,
) -> None:
    """Measure all seeds; write ``out/{scores,roc,samples}.parquet`` with sidecars.

    Args:
        identity: what determines the federation and the shadow models (``Identity``).
        evaluate: the attacks (``settings.Evaluate``).
        seeds: the block of seeds that ``target`` and ``shadows`` hold.
        out: folder of the outputs.
        device: where to attack.
        data_folder: the prepared dataset's own folder; the registry's when None.
        state: folder of the resume state; None keeps none. A killed job goes on with the next seed.
        target: the weights that the federation left, beside its sidecar.
        shadows: the shadow models; None where the recipe has none.

    Raises:
        GauntletError: bad settings; an unknown attack or option, or one that needs what is not there; absent
            or damaged weights.
    """
    settings, what = parse(Evaluate, evaluate, file="evaluate"), parse(Identity, identity, file="identity")
    files = trained(target, what="federation") + (trained(shadows, what="shadow models") if shadows else [])
    device, config = torch.device(device), {"identity": identity, "evaluate": evaluate, "seeds": seeds}
    recorder = Recorder("privacy attack", config, files, **data.provenance(identity["dataset"]))
    dataset = data.load(what.dataset, data_folder)
    exchanged = _exchanged(target)

    def measure(seed: int) -> dict[str, list[dict[str, Any]]]:
        tensors = weights.read(target, seed)
        models = weights.read(shadows, seed) if shadows else None
        trial = Trial(what, settings, tensors, models, dataset, seed, device)
        return trial.measure({name: of_seed.get(str(seed)) for name, of_seed in exchanged.items()})

    attack_block(
        recorder,
        measure,
        config=config,
        weights=files,
        out=out,
        state=state,
        code=code_digest(__name__, methods=evaluate_methods(identity, settings.model_dump(mode="json"))),
        device=device,
        columns=COLUMNS,
        tables=TABLES["attack"],
    )


def _exchanged(target: Path) -> dict[str, dict[str, float]]:
    """``up_bytes``, ``down_bytes``, ``epsilon`` (where it is stated) -> seed -> of the whole run.

    Raises:
        GauntletError: no sidecar, or one that does not say what was exchanged.
    """
    cost = read_sidecar(target).get("cost", {}).get("per_seed", {})
    if "up_bytes" not in cost or "down_bytes" not in cost:
        raise GauntletError(
            "its sidecar does not say what was exchanged",
            file=target,
            remedy="delete the folder and train again",
        )
    return {name: cost[name] for name in ("up_bytes", "down_bytes", "epsilon") if name in cost}


@dataclass(frozen=True)
class Reference:
    """Shadow models, and their answers about the whole pool: logits (m, 2n, K), and those about its
    population."""

    states: list
    inside: np.ndarray
    logits: np.ndarray
    population: np.ndarray


class Trial:
    """All measurements of one seed, as rows of the tables.

    Where clients keep models of their own (distillation ``local``), each is attacked with its client's images
    as members, and scores are means over clients.
    """

    def __init__(
        self,
        what: Identity,
        settings: Evaluate,
        tensors: dict[str, Tensor],
        shadows: dict[str, Tensor] | None,
        dataset,
        seed: int,
        device: torch.device,
    ):
        self.what, self.settings, self.seed = what, settings, seed
        self.world = world.build(dataset, what.data, seed, device)
        if settings.attributes and not self.world.attributes:
            raise GauntletError(
                "there is no attribute to infer",
                key="data.plant",
                remedy="plant some, name some of the dataset's as private, or no such attack",
            )
        for name in self.world.attributes if settings.attributes else ():
            if len(np.unique(self.auxiliary(name)[2])) < 2:
                raise GauntletError(
                    f"the adversary's own images are alike in {name!r} (seed {seed})",
                    key="data.held_out",
                    remedy="hold out more of them, raise evaluate.auxiliary_per_class, or leave it out",
                )
        self.pool = pool.draw(self.world, seed)
        self.first = self.new()
        self.released = released(tensors, self.new, device)
        self.reference = None if shadows is None else self._reference(shadows, device)
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES["attack"]}

    def new(self) -> nn.Module:
        """A network with the seed's first weights, in eval mode."""
        return self.world.network(self.what.architecture, self.seed, "init").eval()

    def owned(self, client: int | None) -> Tensor | None:
        """Rows of the training images that a model has seen; None for all."""
        return None if client is None else self.world.rows[client]

    def measure(self, exchanged: Mapping[str, float | None]) -> dict[str, list[dict[str, Any]]]:
        """The rows of every table, given what was exchanged in the whole run."""
        self.clean(exchanged)
        for label, entry in self.settings.membership.items():
            key = f"evaluate.membership.{label}.options"
            attack = create("membership", entry.membership, entry.options, key=key)
            if not SAMPLES & set(attack.needs) or self.released.samples is not None:
                self.membership(label, attack)
        for label, entry in self.settings.attributes.items():
            key = f"evaluate.attributes.{label}.options"
            attack = create("attribute_inference", entry.attribute_inference, entry.options, key=key)
            for name in self.world.attributes:
                self.attribute(label, attack, name)
        if (samples := self.released.samples) is not None:
            self.rows["samples"] = shown(self.seed, samples.images, samples.classes, samples.clients)
        return self.rows

    def clean(self, exchanged: Mapping[str, float | None]) -> None:
        """Accuracies, and per round what was exchanged by all clients; privacy spent in the whole run."""
        test, train = self.world.test, self.world.train
        models = self.released.models
        own = [self.owned(client) for client, _ in models]
        parts = [train if rows is None else Images(train.pixels[rows], train.labels[rows]) for rows in own]
        self.score("clean", "accuracy", np.mean([accuracy(net, test) for _, net in models]))
        found = [accuracy(net, part) for (_, net), part in zip(models, parts, strict=True)]
        self.score("clean", "train_accuracy", np.mean(found))
        recipe = self.what.train.federated if self.what.method.selection else self.what.train.distilled
        for name, value in exchanged.items():
            if value is not None:
                self.score("clean", name, value if name == "epsilon" else value / recipe.rounds)

    def membership(self, label: str, attack: Membership) -> None:
        """One attack on all models."""
        found, curves = [], []
        for client, net in self.released.models:
            rows = self.pool.candidates(self.owned(client), self.settings.candidates_per_class)
            if not len(rows):
                print(f"seed {self.seed} {label}: no candidate of client {client}; left out", file=sys.stderr)
                continue
            evidence, member = self.evidence(net, rows), self.pool.member[rows]
            values = attack.scores(evidence)
            found.append(scores.scores(values, member, threshold(attack, evidence)))
            curves.append(dict(zip(*scores.points(scores.roc(values, member)), strict=True)))
        for metric in found[0]:
            values = [of_model.get(metric) for of_model in found]
            whole = len(found) == 1 or not metric.endswith(("_low", "_high"))  # no intervals of means
            if whole and not metric.startswith("fpr") and None not in values:
                self.score(label, metric, np.mean(values))
        for rate in curves[0]:
            if all(rate in curve for curve in curves):
                tpr = float(np.mean([curve[rate] for curve in curves]))
                self.rows["roc"].append({"seed": self.seed, "attack": label, "fpr": float(rate), "tpr": tpr})
        auc = np.mean([of_model["auc"] for of_model in found])
        print(f"seed {self.seed} {label} auc {auc:.4f}", file=sys.stderr)

    def evidence(self, net: nn.Module, rows: np.ndarray) -> Evidence:
        """What an adversary may know of the candidates ``rows`` of the pool and of one model."""
        images, population, samples = self.pool.images, self.pool.population, self.released.samples
        shadows, others = None, None
        if (known := self.reference) is not None:
            shadows = Shadows(known.logits[:, rows], known.inside[:, rows], known.states)
            if len(population):
                others = Population(
                    population.labels.cpu().numpy(), numpy(logits(net, population.pixels)), known.population
                )
        return Evidence(
            labels=images.labels[rows].cpu().numpy(),
            logits=numpy(logits(net, images.pixels[rows])),
            shadows=shadows,
            population=others,
            images=images.pixels[rows],
            released=samples and samples.images,
            released_labels=samples and samples.classes.cpu().numpy(),
            net=net,
        )

    def attribute(self, label: str, attack: attribute_attacks.AttributeInference, name: str) -> None:
        """One attack on one attribute of the clients' training images."""
        found = []
        for client, net in self.released.models:
            own = self.owned(client)
            rows = np.arange(len(self.world.train)) if own is None else own.numpy()
            of_model = self.inferred(attack, net, rows, name)
            untrained = self.inferred(attack, self.first, rows, name)["accuracy"]
            gain = of_model["accuracy"] - untrained
            found.append(of_model | {"untrained": untrained, "gain": gain})
        for metric in found[0]:
            value = np.mean([of_model[metric] for of_model in found])
            self.score(label, metric, value, detail=name)
        advantage = np.mean([of_model["advantage"] for of_model in found])
        print(f"seed {self.seed} {label} {name} advantage {advantage:.4f}", file=sys.stderr)

    def auxiliary(self, name: str) -> tuple[Images, np.ndarray, np.ndarray]:
        """The adversary's own images: those that the server holds out, or test images where there are none.

        Returns: that part of the world, the rows of it that the adversary has, and (m,) their attribute.
        """
        part = "held_out" if len(self.world.held_out) else "test"
        images = getattr(self.world, part)
        rows = _first(images.labels.cpu().numpy(), self.settings.auxiliary_per_class)
        return images, rows, getattr(self.world.attributes[name], part)[rows]

    def inferred(self, attack, net: nn.Module, rows: np.ndarray, name: str) -> dict[str, float]:
        """``attributes.base.leak`` of the training images ``rows`` under a network."""
        known, few, attributes = self.auxiliary(name)
        evidence = attribute_attacks.Evidence(
            targets=features(net, self.world.train, rows),
            auxiliary=features(net, known, few),
            attributes=attributes,
            seed=self.seed,
        )
        imputed = create("attribute_inference", "imputation", {}).scores(evidence)
        return leak(attack.scores(evidence), imputed, self.world.attributes[name].train[rows])

    def _reference(self, tensors: dict[str, Tensor], device: torch.device) -> Reference:
        states, inside = unpacked(tensors, device)
        if inside.shape[1] != len(self.pool.images):
            raise GauntletError(
                f"shadow models of {inside.shape[1]} candidates, where the federation has "
                f"{len(self.pool.images)}",
                key="train.shadows",
                remedy="train them again",
            )
        net, population = self.first, self.pool.population
        others = answers(net, states, population.pixels) if len(population) else np.empty((len(states), 0, 0))
        return Reference(states, inside, answers(net, states, self.pool.images.pixels), others)

    def score(self, attack: str, metric: str, value: float, detail: str = "") -> None:
        self.rows["scores"].append(tables.score(self.seed, attack, metric, float(value), detail=detail))


def threshold(attack: Membership, evidence: Evidence) -> float | None:
    """The best threshold on shadow models, whose members are known; None where an attack sees more than
    answers, or there are none."""
    if evidence.shadows is None or not set(attack.needs) <= ON_SHADOW:
        return None
    tried = [evidence.on_shadow(index) for index in range(min(THRESHOLDS, len(evidence.shadows.inside)))]
    values = np.concatenate([attack.scores(seen) for seen, _ in tried])
    return scores.best_threshold(values, np.concatenate([inside for _, inside in tried]))


def accuracy(net: nn.Module, images: Images) -> float:
    """In [0, 1]."""
    return float((logits(net, images.pixels).argmax(1) == images.labels).double().mean())


def features(net: nn.Module, images: Images, rows: np.ndarray) -> Rows:
    """Labels, and what enters the last layer, of some images."""
    return Rows(images.labels[rows].cpu().numpy(), features=numpy(penultimate(net, images.pixels[rows])))


def numpy(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()


def _first(labels: np.ndarray, per_class: int | None) -> np.ndarray:
    """Positions of the first ``per_class`` of every class."""
    return np.concatenate([np.flatnonzero(labels == label)[:per_class] for label in np.unique(labels)])
