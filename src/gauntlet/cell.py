"""A cell: the trials of one training job, where its outputs live, and what determines them.

Read by the workflow while parsing, so it imports nothing heavy.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gauntlet.core import registry
from gauntlet.core.blocks import seeds_of
from gauntlet.core.digest import code_digest
from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.files import digest_json


@dataclass(frozen=True)
class Cell:
    """The trials of one dataset x architecture x method, for one block of seeds: one training job (none where
    the family attacks what others trained) and, where models are attacked, one attack job. Studies that need
    the same model have the same cell, whatever they call the method.
    """

    family: str
    dataset: str
    architecture: str
    block: str
    identity: dict[str, Any]  #: what determines the weights
    evaluate: dict[str, Any]  #: what determines the measurements, given the weights
    gpus: int = field(default=1, compare=False)  #: that share a training; changes nothing but rounding

    @property
    def seeds(self) -> list[int]:
        return seeds_of(self.block)

    @cached_property
    def model(self) -> str:
        label = family_settings(self.family).model_label(self.identity["method"])
        return f"{label}-{digest_json(self.identity, 8)}"

    @cached_property
    def attack(self) -> str:
        return f"attack-{digest_json(self.evaluate, 8)}"

    @property
    def name(self) -> str:
        """``dml/fashion-mnist/conv/eat_x3-1a2b3c4d/seeds-0-4``"""
        return f"{self.family}/{self.dataset}/{self.architecture}/{self.model}/seeds-{self.block}"

    @property
    def train_folder(self) -> Path:
        return Path("results") / self.name

    @property
    def attack_folder(self) -> Path:
        return self.train_folder / self.attack

    @property
    def steps(self) -> dict[str, Path]:
        """Step -> the folder that its job writes to, in the order of running."""
        folders = {"train": self.train_folder, "attack": self.attack_folder}
        return {step: folders[step] for step in family_settings(self.family).TABLES}

    def measured(self) -> dict[str, Path]:
        """Table -> its file, for all tables that the cell's jobs write."""
        tables = family_settings(self.family).TABLES
        return {
            name: folder / f"{name}.parquet" for step, folder in self.steps.items() for name in tables[step]
        }

    def log(self, step: str) -> Path:
        """The log of the cell's ``train`` or ``attack`` job."""
        folder = Path("logs") / self.name
        return folder / ("train.log" if step == "train" else f"{self.attack}.log")

    @property
    def state_folder(self) -> Path:
        """Resume state: outside the declared outputs, which Snakemake deletes before a run."""
        return Path(".gauntlet/state") / self.name

    def lock(self, step: str) -> Path:
        """What the job of a step holds while it works."""
        return self.state_folder / ("train.lock" if step == "train" else f"{self.attack}.lock")

    def pulse(self, step: str) -> Path:
        """Where the job of a step tells that it lives (``core.pulse``)."""
        return self.lock(step).with_suffix(".pulse")

    def code(self, step: str) -> str:
        """Digest of the code of a step."""
        return self.train_code() if step == "train" else self.attack_code()

    def needs(self, step: str) -> dict[str, Cell]:
        """Name -> a cell whose weights the job of ``step`` reads; trained whether or not a study lists it."""
        needed = family_settings(self.family).needs(self.identity).get(step, {})
        return {
            name: Cell(
                who["family"], who["dataset"], who["architecture"], self.block, who, self.evaluate, self.gpus
            )
            for name, who in needed.items()
        }

    @property
    def weights(self) -> Path:
        """What its training leaves for others; a cell whose family trains nothing has none."""
        return self.train_folder / "model.safetensors"

    def train_code(self) -> str:
        """Digest of the code that trains this cell."""
        methods = family_settings(self.family).train_methods(self.identity)
        return code_digest(f"gauntlet.families.{self.family}.train", methods=methods)

    def attack_code(self) -> str:
        """Digest of the code that attacks and measures this cell."""
        methods = family_settings(self.family).evaluate_methods(self.identity, self.evaluate)
        return code_digest(f"gauntlet.families.{self.family}.evaluate", methods=methods)


def family_settings(family: str):
    """The module ``families/<family>/settings.py``. Raises GauntletError for an unknown family."""
    try:
        return importlib.import_module(f"gauntlet.families.{family}.settings")
    except ModuleNotFoundError as error:
        folder = registry.PACKAGE / "families"
        known = sorted(p.name for p in folder.iterdir() if (p / "settings.py").is_file())
        raise GauntletError(f"unknown family {family!r}", remedy=did_you_mean(family, known)) from error
