"""The site file: the one place that says what a cluster has. The Slurm profile is made from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gauntlet.cell import family_settings
from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.errors import GauntletError, did_you_mean
from gauntlet.core.registry import PACKAGE

DEFAULT = Path("profiles/slurm/site.yaml")
STEPS = ("train", "attack")
#: What grows with every attempt.
GROWING = ("runtime", "mem_mb")

Positive = Annotated[int, Field(gt=0)]


class Ask(Strict):
    """What a job asks Slurm for; None leaves it to a wider entry."""

    partition: str | None = None
    #: Minutes of the first attempt; the second has twice, the third thrice as many.
    runtime: Positive | None = None
    max_runtime: Positive | None = None  #: minutes that no attempt exceeds
    mem_mb: Positive | None = None  #: of the first attempt, for all CPUs together
    max_mem_mb: Positive | None = None
    cpus: Positive | None = None
    gpu: Annotated[int, Field(ge=0)] | None = None  #: sbatch --gpus; 0 for none
    gpu_model: str | None = None  #: sbatch --gpus=<model>:<gpu>
    gres: str | None = None  #: sbatch --gres, in place of ``gpu``
    constraint: str | None = None
    qos: str | None = None
    extra: str | None = None  #: more options of sbatch, those that have no key of their own


class Site(Strict):
    """A site file; ``profiles/slurm/site.yaml`` explains every key."""

    account: str | None = None
    accounting: bool = False
    jobs: Positive = 100
    cores: Positive = 16
    local_cores: Positive = 2
    retries: Annotated[int, Field(ge=0)] = 2
    pack: Positive = 1
    check_nodes: bool = True
    resources: dict[str, Ask]

    def ask(self, rule: str) -> Ask:
        """What the jobs of a rule ask for: its own entry over that of its step over ``default``."""
        asked: dict[str, Any] = {}
        for name in ("default", rule.rpartition("_")[2], rule):
            if name in self.resources:
                asked |= self.resources[name].model_dump(exclude_none=True)
        return Ask(**asked)

    def profile(self) -> dict[str, Any]:
        """The keys of a Snakemake profile that say how many resources which rule asks for."""
        asked = {rule: self.ask(rule) for rule in cell_rules()}
        wide = {
            "set-resources": {rule: self._resources(rule, ask) for rule, ask in asked.items()},
            "set-threads": {rule: ask.cpus or 1 for rule, ask in asked.items()},
        }
        if self.pack == 1:
            return wide
        # Cells that share a job follow each other, whatever room there is: it asks for the most of any of
        # them, and for the sum of their minutes. A group is of one partition.
        for resources in wide["set-resources"].values():
            resources["turn"] = 1
        groups = {rule: f"cells_{ask.partition}" for rule, ask in asked.items()}
        return {
            **wide,
            "groups": groups,
            "group-components": dict.fromkeys(sorted(set(groups.values())), self.pack),
            "resources": {"turn": 1},
            "set-resource-scopes": {"turn": "local"},
        }

    def _resources(self, rule: str, ask: Ask) -> dict[str, Any]:
        """As the Slurm executor plugin calls them. Quoted: a profile's strings are expressions."""
        words = {
            "slurm_account": self.account,
            "slurm_partition": ask.partition,
            "gpu_model": ask.gpu_model if ask.gpu else None,
            "gres": ask.gres,
            "constraint": ask.constraint,
            "qos": ask.qos,
            "slurm_extra": ask.extra,
        }
        found: dict[str, Any] = {name: repr(word) for name, word in words.items() if word}
        # Of a training that GPUs may share, the rule itself says how many a cell is planned with.
        if ask.gpu != 1 if shared(rule) else ask.gpu:
            found["gpu"] = ask.gpu or 0
        for name in GROWING:
            amount, most = getattr(ask, name), getattr(ask, f"max_{name}")
            if amount:
                found[name] = f"min(attempt * {amount}, {most})" if most else f"attempt * {amount}"
        return found


def shared(rule: str) -> bool:
    """Whether several GPUs may share a job of this rule."""
    family, _, step = rule.rpartition("_")
    return step == "train" and getattr(family_settings(family), "SHARED", False)


def cell_rules() -> list[str]:
    """The rules that train or attack: one for each step of each family."""
    families = sorted(path.parent.name for path in (PACKAGE / "families").glob("*/settings.py"))
    return [f"{family}_{step}" for family in families for step in family_settings(family).TABLES]


def load_site(path: str | Path | None = None) -> Site:
    """The site file at ``path``, or else at $GAUNTLET_SITE, or else ``profiles/slurm/site.yaml``.

    Raises:
        GauntletError: no such file, an unknown key or rule, a value that cannot be, no partition for a rule.
    """
    path = site_file() if path is None else Path(path)
    site = parse(Site, load_yaml(path), file=path)
    known = ["default", *STEPS, *cell_rules()]
    for name in site.resources:
        if name not in known:
            raise GauntletError(
                "no such rule", file=path, key=f"resources.{name}", remedy=did_you_mean(name, known)
            )
    for rule in cell_rules():
        ask = site.ask(rule)
        for name in ("partition", *GROWING):
            if getattr(ask, name) is None:
                raise GauntletError(
                    f"jobs of {rule} have no {name}",
                    file=path,
                    key=f"resources.default.{name}",
                    remedy="give it here, for all rules",
                )
        if ask.gpu and ask.gres:
            raise GauntletError(
                f"jobs of {rule} ask for a GPU twice, by gpu and by gres",
                file=path,
                key="resources",
                remedy="with gres, set gpu: 0",
            )
        if (ask.cpus or 1) > site.cores:
            raise GauntletError(
                f"jobs of {rule} ask for {ask.cpus} CPUs, more than cores",
                file=path,
                key="cores",
                remedy=f"set cores to {ask.cpus} or more",
            )
    return site


def site_file() -> Path:
    """Where the site file is."""
    return Path(os.environ.get("GAUNTLET_SITE") or DEFAULT)
