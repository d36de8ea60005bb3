"""Seconds per operation, from the jobs that manifests of gathered measurements tell of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_json
from gauntlet.costs.jobs import Job, of_cells
from gauntlet.plan import load_plan

#: Where manifests are: those that git carries, and those of this machine's runs.
ROOTS = (Path("published"), Path("results/studies"))
#: Scales whose jobs do next to nothing: what they take is start-up, and no rate.
TOO_SMALL = ("smoke",)
#: So many jobs of a label have a spread of their own; the spread of fewer is that of the whole family.
ENOUGH = 10
#: Seconds of a job's imports, measured; a sidecar's seconds begin after them.
STARTUP = Path("benchmarks/results/startup.json")


class Interval(NamedTuple):
    """``low`` to ``high`` around the ``middle``: the 10th to the 90th percentile of what was measured."""

    low: float
    middle: float
    high: float

    def times(self, factor: float) -> Interval:
        return Interval(*(factor * value for value in self))

    def plus(self, seconds: float) -> Interval:
        return Interval(*(value + seconds for value in self))


NOTHING = Interval(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Measured:
    """A job that ran, on which device, how long (seconds), for which study at which scale, and the folder of
    the manifest that tells of it."""

    job: Job
    device: str
    seconds: float
    study: str
    scale: str
    folder: Path

    @property
    def ratio(self) -> float:
        """Seconds per unit of work: per operation, or per seed where nothing passes a network."""
        return self.seconds / (self.job.seeds * (self.job.operations or 1))


def measured(roots: Iterable[Path] = ROOTS) -> tuple[list[Measured], int]:
    """The jobs of all manifests under ``roots`` (``<study>/<scale>/manifest.json``) whose settings are those
    of today's configuration, each run once, and how many others there are. Scale ``smoke`` tells nothing."""
    found: dict[tuple, Measured] = {}
    known: dict[str, dict[str, Job]] = {}
    strangers = 0
    for path in (path for root in roots for path in sorted(root.glob("*/*/manifest.json"))):
        manifest = read_json(path)
        if manifest["scale"] in TOO_SMALL:
            continue
        if (scale := manifest["scale"]) not in known:
            known[scale] = _jobs(Path(f"config/{scale}.yaml"))
        for entry in ran(manifest):
            job = known[scale].get(entry["folder"])
            if job is None or job.operations is None:
                strangers += 1
                continue
            # A run that was published is in both places; its own folder, which is read last, has it.
            run = (job.name, entry.get("started", ""), manifest["study"])
            found[run] = Measured(
                job, entry["device"], entry["seconds"], manifest["study"], scale, path.parent
            )
    return list(found.values()), strangers


def _jobs(config: Path) -> dict[str, Job]:
    """The jobs of a scale file; none of one that is not there or not valid: another may be planned."""
    try:
        return of_cells(load_plan(config).cells())
    except GauntletError:
        return {}


def ran(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The jobs that a manifest tells of, each once: its cells', and the trainings that these needed."""
    own = [cell[step] for cell in manifest["cells"] for step in ("train", "attack") if step in cell]
    needed = [entry for cell in manifest["cells"] for entry in cell.get("needed", {}).values()]
    timed = [entry for entry in [*own, *needed] if "seconds" in entry and "device" in entry]
    return list({entry["folder"]: entry for entry in timed}.values())


class Rates:
    """What jobs take on one device.

    Args:
        found: the measured jobs.
        device: a part of the device's name; that with the most jobs when None.
        startup: step -> seconds before a job's own clock begins.
        faster: rule (``dml_train``) -> how many times faster its jobs are elsewhere: somebody's assumption.
    """

    def __init__(
        self,
        found: Iterable[Measured],
        device: str | None = None,
        startup: Mapping[str, float] | None = None,
        faster: Mapping[str, float] | None = None,
    ):
        found = list(found)
        counts = Counter(one.device for one in found)
        names = [name for name, _ in counts.most_common() if device is None or device.lower() in name.lower()]
        self.device = names[0] if names else None
        self.count = counts[self.device] if names else 0
        self.startup, self.faster = dict(startup or {}), dict(faster or {})
        self.by_label: dict[tuple, list[float]] = {}
        self.by_family: dict[tuple, list[float]] = {}
        self.architectures: set[tuple] = set()
        for one in found:
            if one.device == self.device:
                key = (one.job.family, one.job.step, one.job.operations == 0)
                self.by_family.setdefault(key, []).append(one.ratio)
                self.by_label.setdefault((*key, one.job.label), []).append(one.ratio)
                self.architectures.add((*key, one.job.architecture))

    def seconds(self, job: Job) -> Interval | None:
        """How long a job takes, start-up included; None where no job of its family and step was measured.

        The middle is the median of the jobs of its label, or of the family where it has none. The spread is
        that of its own label, or, where fewer than ``ENOUGH`` of its jobs were measured, of the family's.
        """
        key = (job.family, job.step, job.operations == 0)
        if job.operations is None or key not in self.by_family:
            return None
        every = self.by_family[key]
        own = self.by_label.get((*key, job.label), every)
        middle, (low, high) = median(own), spread(own if len(own) >= ENOUGH else every)
        work = job.seeds * (job.operations or 1) / self.faster.get(job.rule, 1.0)
        ratio = Interval(low * middle, middle, high * middle)
        return ratio.times(work).plus(self.startup.get(job.step, 0.0))

    def is_far(self, job: Job) -> bool:
        """Whether no job on this network was measured, so that only its operations tell."""
        return (job.family, job.step, job.operations == 0, job.architecture) not in self.architectures


def spread(values: list[float]) -> tuple[float, float]:
    """The 10th and the 90th percentile as shares of the median; of a single value 1 and 1."""
    if len(values) < 2:
        return 1.0, 1.0
    deciles = quantiles(values, n=10, method="inclusive")
    return deciles[0] / median(values), deciles[-1] / median(values)


def startup(path: Path = STARTUP) -> dict[str, float]:
    """Step -> seconds of a job's imports, as measured; empty where nobody has."""
    if not path.is_file():
        return {}
    times = {entry["ours"]: entry["our_seconds"] for entry in read_json(path)["comparisons"]}
    steps = {step: times.get(f"imports of dml {step}") for step in ("train", "attack")}
    return {step: seconds for step, seconds in steps.items() if seconds is not None}
