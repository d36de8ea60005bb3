"""Where a run is planned for: this machine, or the cluster of the site file."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gauntlet.cluster.site import Ask, Site, cell_rules, load_site, site_file
from gauntlet.core.errors import GauntletError


@dataclass(frozen=True)
class Place:
    """A cluster, as its site file describes it; without one, this machine."""

    site: Site | None = None
    file: Path | None = None

    @property
    def slurm(self) -> bool:
        return self.site is not None

    @property
    def jobs(self) -> int:
        """Jobs at once: in the queue of a cluster, or one per core here."""
        return self.site.jobs if self.site else os.cpu_count() or 1

    @property
    def attempts(self) -> int:
        """How often a job is tried."""
        return 1 + self.site.retries if self.site else 1

    def ask(self, rule: str) -> Ask:
        """What a rule's job asks Slurm for; nothing here, and for what the submit host does itself."""
        return self.site.ask(rule) if self.site and rule in cell_rules() else Ask()

    def minutes(self, rule: str, attempt: int = 1) -> float | None:
        """The runtime that a rule's job asks for at an attempt; None where it asks for none."""
        ask = self.ask(rule)
        return ask.runtime and min(attempt * ask.runtime, ask.max_runtime or math.inf)

    def submitted(self, rules: list[str]) -> int:
        """Slurm jobs that so many jobs of these rules become, as they are packed; here, all of them."""
        if not self.site:
            return len(rules)
        groups = Counter(self.ask(rule).partition for rule in rules if rule in cell_rules())
        return sum(math.ceil(count / self.site.pack) for count in groups.values())


def load(profile: str | None) -> Place:
    """The place of a Snakemake profile: ``slurm``, or this machine when None.

    Raises:
        GauntletError: there is no such profile, or the site file is wrong.
    """
    if profile is None:
        return Place()
    if profile != "slurm":
        raise GauntletError(f"no profile {profile!r}", remedy="slurm, or none for this machine")
    return Place(load_site(), site_file())
