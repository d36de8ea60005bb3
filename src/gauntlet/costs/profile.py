"""What a Snakemake profile asks for: jobs at once, partitions, time limits, groups."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gauntlet.core.config import load_yaml
from gauntlet.core.errors import GauntletError


@dataclass(frozen=True)
class Profile:
    """``config.yaml`` of a profile's folder; without a file, this machine."""

    file: Path | None
    content: dict[str, Any] = field(default_factory=dict)

    @property
    def slurm(self) -> bool:
        return self.content.get("executor") == "slurm"

    @property
    def jobs(self) -> int:
        """Jobs at once: in the queue of a cluster, or one per core here."""
        return int(self.content["jobs"]) if self.slurm and "jobs" in self.content else os.cpu_count() or 1

    def resource(self, rule: str, name: str) -> Any:
        """A resource of a rule's jobs: its own, or the default."""
        own = self.content.get("set-resources", {}).get(rule, {})
        return own.get(name, self.content.get("default-resources", {}).get(name))

    def minutes(self, rule: str, attempt: int = 1) -> float | None:
        """The runtime that a rule's job asks for at an attempt; None where it asks for none."""
        value = self.resource(rule, "runtime")
        if value is None or isinstance(value, int | float):
            return value
        match = re.fullmatch(r"(attempt \* )?(\d+)( \* attempt)?", str(value).strip())
        if not match:
            raise GauntletError(
                f"a runtime of {value!r} is not understood",
                file=self.file,
                key=f"set-resources.{rule}.runtime",
                remedy='give minutes, or "attempt * minutes"',
            )
        return float(match[2]) * (attempt if match[1] or match[3] else 1)

    @property
    def attempts(self) -> int:
        """How often a job is tried."""
        return 1 + int(self.content.get("retries", 0))

    def packed(self, rules: list[str]) -> int:
        """Slurm jobs that so many jobs of these rules become, as groups pack them."""
        groups, sizes = self.content.get("groups", {}), self.content.get("group-components", {})
        counts = Counter(groups.get(rule, rule) for rule in rules)
        return sum(
            math.ceil(count / sizes.get(name, 1)) if name in groups.values() else count
            for name, count in counts.items()
        )


def load(name: str | None) -> Profile:
    """The profile called ``name``: a folder, or a folder of ``profiles/``; this machine's when None.

    Raises:
        GauntletError: there is no such profile.
    """
    if name is None:
        return Profile(None)
    for folder in (Path(name), Path("profiles") / name):
        if (file := folder / "config.yaml").is_file():
            return Profile(file, load_yaml(file))
    raise GauntletError(f"no profile {name!r}", remedy="name a folder of profiles/, such as slurm")
