"""Train one cell: substitutes of targets, for a block of seeds, measured by queries asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet import data
from gauntlet.blackbox.oracle import BudgetExhausted, Oracle
from gauntlet.core.config import parse
from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256_file
from gauntlet.core.provenance import Recorder
from gauntlet.core.registry import create
from gauntlet.core.resume import Resume
from gauntlet.core.seeds import seeded
from gauntlet.core.tables.stealing import COLUMNS
from gauntlet.data.dataset import Dataset
from gauntlet.data.subset import first, on_device
from gauntlet.families import block
from gauntlet.families.block import Trained, train_block
from gauntlet.families.classifier.network import load, logits
from gauntlet.families.png import as_png
from gauntlet.families.stealing.settings import TABLES, Data, Method, Train, train_methods
from gauntlet.models import generators
from gauntlet.models.classifiers import build
from gauntlet.stealing.base import Finished, Setting

#: A share of one class among the answers between two measurements that counts as mode collapse.
COLLAPSED = 0.9

#: How many of the last queries are kept as images.
SAMPLES = 20


#: What determines a trained cell, apart from its seeds.
Identity = block.Identity[Data, Method, Train]


def run(
    identity: dict[str, Any],
    seeds: list[int],
    out: Path,
    state: Path | None,
    device: torch.device | str,
    data_folder: Path | None = None,
    every: float | None = None,
    *,
    target: Path,
) -> None:
    """Steal from the target of every seed; write ``out/model.safetensors``, ``progress`` and ``answers``.

    Args:
        identity: dataset, substitute, target, method and recipe (``Identity``).
        seeds: the block of seeds, one after the other.
        out: folder of the outputs.
        state: folder of the resume states, one file per seed; None keeps none.
        device: where to train.
        data_folder: the prepared dataset's own folder; the registry's when None.
        every: seconds between saved states; None reads GAUNTLET_STATE_SECONDS, else 20.
        target: the weights of the targets, of the same seeds.

    Raises:
        GauntletError: bad identity; a generator or target of another size; answers that are none; a budget
            too small to begin with; a substitute whose weights are not finite.
    """
    what = parse(Identity, identity, file="identity")
    (target,) = block.trained(target, what="target")
    config = {"identity": identity, "seeds": seeds}
    sets = data.provenance(identity["dataset"], what.method.natural)
    recorder = Recorder("stealing train", config, [target], **sets)
    device = torch.device(device)
    dataset = data.load(what.dataset, data_folder)

    def fit(seed: int, resume: Resume) -> Trained:
        theft = Theft(what, seed, dataset, target, device)
        theft.fit(resume)
        theft.keep_samples()
        facts = {"queries": theft.oracle.queries, "collapsed": theft.collapsed}
        if (formula := theft.method.formula()) is not None:
            facts["uncounted"] = theft.oracle.queries - formula
        return Trained(theft.substitute.state_dict(), theft.rows, facts)

    train_block(
        recorder,
        fit,
        identity=identity,
        seeds=seeds,
        out=out,
        state=state,
        every=every,
        code=code_digest(__name__, methods=train_methods(what.model_dump(mode="json"))),
        device=device,
        columns=COLUMNS,
        tables=TABLES["train"],
        inputs={"target": sha256_file(target)},
    )


class Theft:
    """One seed: the target behind its oracle, the thief, and what was measured.

    Named streams of the seed: ``split`` (test images), ``init`` of the substitute and of the generator, and
    ``stealing``. Neither the test images nor the target's own predictions on them reach the method.
    """

    def __init__(self, what: Identity, seed: int, dataset: Dataset, target: Path, device: torch.device):
        self.what, self.seed = what, seed
        rows = first(dataset.test, what.data.test_per_class, seed, "test")
        self.test = on_device(dataset.test, rows, dataset.peak, device)
        _, channels, size, _ = self.test.pixels.shape
        classes = len(dataset.class_names)
        victim, _ = load(target, seed, what.data.target.classifier, channels, size, classes, device)
        self.victim, self.victims = victim, logits(victim, self.test.pixels).argmax(1)
        self.oracle = Oracle(
            victim,
            access=what.method.access,
            classes=classes,
            shape=(channels, size, size),
            budget=what.train.budget,
            clip=what.train.clip,
            defenses=[
                create("oracle_defense", entry.oracle_defense, entry.options, key="train.protections")
                for entry in what.train.protections
            ],
        )
        self.substitute = self._seeded(
            "substitute", lambda: build(what.architecture, channels, size, classes)
        )
        self.substitute.to(device, memory_format=torch.channels_last)
        train = what.train

        def generator():
            made = generators.build(train.generator, channels, size, train.latent, train.activation)
            return made.to(device, memory_format=torch.channels_last)

        self.method = create("stealing", what.method.stealing, what.method.options)
        setting = Setting(
            oracle=self.oracle,
            substitute=self.substitute,
            generator=lambda: self._seeded("generator", generator),
            latent=train.latent,
            seed=seed,
            device=device,
            natural=natural_images(what.method.natural, self.oracle.shape, device),
        )
        self.method.begin(setting)
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES["train"]}
        self.answered = self.oracle.histogram  # at the last measurement
        self.collapsed = 0
        self.finished = False

    def _seeded(self, name: str, make):
        """What ``make`` initialises, from the stream ``init`` and a name."""
        with seeded(self.seed, "init", name):
            return make()

    def fit(self, resume: Resume) -> None:
        """Go on until the budget is used up; measure on the way, and at the end."""
        if (state := resume.load()) is not None:
            self.restore(state)
        while not self.finished:
            try:
                self.method.step()
            except (BudgetExhausted, Finished) as end:
                self.finished = True
                self._end(end)
            last = self.rows["progress"][-1]["queries"] if self.rows["progress"] else 0
            new = self.oracle.queries - last
            due = new >= self.what.train.measure_every and self.method.settled
            if due or (self.finished and new):
                self.measure()
            resume.checkpoint(self.state)
        resume.save(self.state())

    def _end(self, end: Exception) -> None:
        if not self.oracle.queries:
            raise GauntletError(
                f"a budget of {self.what.train.budget} queries is not enough for the first step of "
                f"{self.what.method.stealing!r} ({end})",
                key="train.budget",
                remedy="raise it, or lower the method's pool or batch",
            )
        why = "budget used up" if isinstance(end, BudgetExhausted) else "finished"
        print(f"seed {self.seed}: {why} ({end}); what was learned is kept", file=sys.stderr)

    def measure(self) -> None:
        """The substitute on the test images, and the answers since the last measurement."""
        self.substitute.eval()
        found = logits(self.substitute, self.test.pixels)
        self.substitute.train()
        if not found.isfinite().all():
            raise GauntletError(
                f"the substitute diverged (method {self.what.method.stealing}, seed {self.seed}, "
                f"{self.oracle.queries} queries)",
                key="methods.options",
                remedy="lower the substitute's learning rate",
            )
        predicted, losses = found.argmax(1), self.method.losses()
        accuracy = float((predicted == self.test.labels).double().mean())
        agreement = float((predicted == self.victims).double().mean())
        queries = self.oracle.queries
        self.rows["progress"].append(
            {
                "seed": self.seed,
                "queries": queries,
                "accuracy": accuracy,
                "agreement": agreement,
                "substitute_loss": losses.get("substitute", float("nan")),
                "generator_loss": losses.get("generator", float("nan")),
            }
        )
        new = self.oracle.histogram - self.answered
        self.answered = self.oracle.histogram
        for label, count in enumerate(new.tolist()):
            self.rows["answers"].append(
                {"seed": self.seed, "queries": queries, "label": label, "count": count}
            )
        top = float(new.max() / max(int(new.sum()), 1))
        self.collapsed += top >= COLLAPSED
        print(
            f"seed {self.seed} queries {queries} accuracy {accuracy:.4f} agreement {agreement:.4f} "
            f"likeliest class {top:.2f}" + (" MODE COLLAPSE" if top >= COLLAPSED else ""),
            file=sys.stderr,
        )

    def keep_samples(self) -> None:
        """Some of the last queries as images; their labels are the target's, which no thief has paid for."""
        images = self.method.samples(SAMPLES)
        if images is None:
            return
        labels = logits(self.victim, images.to(self.victims.device)).argmax(1).tolist()
        for index, (image, label) in enumerate(zip(images.cpu(), labels, strict=True)):
            row = {"seed": self.seed, "index": index, "label": label, "png": as_png(image)}
            self.rows["samples"].append(row)

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on."""
        return {
            "method": self.method.state(),
            "oracle": self.oracle.state(),
            "substitute": self.substitute.state_dict(),
            "rows": self.rows,
            "answered": self.answered,
            "collapsed": self.collapsed,
            "finished": self.finished,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.method.restore(state["method"])
        self.oracle.restore(state["oracle"])
        self.substitute.load_state_dict(state["substitute"])
        self.rows, self.answered = state["rows"], state["answered"]
        self.collapsed, self.finished = state["collapsed"], state["finished"]


def natural_images(name: str | None, shape: tuple[int, ...], device: torch.device) -> Tensor | None:
    """The training images of another dataset in the form (C, H, W): grey is their mean over the channels or
    repeated for each, the size is changed bilinearly."""
    if name is None:
        return None
    dataset = data.load(name)
    pixels = on_device(dataset.train, np.arange(len(dataset.train)), dataset.peak, device).pixels
    if pixels.shape[1] != shape[0]:
        pixels = pixels.mean(1, keepdim=True).expand(-1, shape[0], -1, -1)
    if pixels.shape[2:] != shape[1:]:
        pixels = F.interpolate(pixels, shape[1:], mode="bilinear", antialias=True)
    return pixels.contiguous()
