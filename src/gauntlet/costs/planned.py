"""``gauntlet plan``: a run's cost and what stands in its way."""

from __future__ import annotations

import json
from collections.abc import Iterator

from gauntlet.costs import against, checks, forecast, place, printed, rates
from gauntlet.costs.jobs import of_cells
from gauntlet.data import registry
from gauntlet.plan import Plan


def run(
    plan: Plan,
    *,
    jobs: int | None = None,
    profile: str | None = None,
    speedup: float | None = None,
    device: str | None = None,
    as_json: bool = False,
) -> tuple[str, bool]:
    """The plan in words (or as JSON), and whether the run can work as configured.

    Args:
        jobs: at once; the site file's when None.
        profile: ``slurm``, or None for this machine.
        speedup: how many times as fast a GPU is assumed to be, for the rules that ask for one (on this
            machine: for all).
        device: a part of the measured device's name.
    """
    where = place.load(profile)
    cells = list(plan.cells())
    todo = of_cells(cells).values()
    rules = sorted({job.rule for job in todo})
    on_gpu = [rule for rule in rules if not where.slurm or where.ask(rule).gpu or where.ask(rule).gres]
    found, strangers = rates.measured()
    known = rates.Rates(found, device, rates.startup(), dict.fromkeys(on_gpu, speedup) if speedup else {})
    slots = jobs or where.jobs
    parts, total = forecast.of_plan(plan, known, slots)
    others = list(_others(plan))
    left = [job.rule for job in todo if not job.done]
    need, unknown = checks.data_bytes(cells)
    longest = {rule: took.middle for rule, took in total.longest.items()}
    seen = [
        *checks.data(cells),
        *checks.pretrained(cells),
        checks.disk(need + total.weights + (total.tables or 0)),
        *([checks.Check("note", f"size not known: {', '.join(unknown)}")] if unknown else []),
        *checks.slurm(where, rules, longest),
    ]
    assumed = printed.assumptions(total, known, strangers, slots, against.accuracy(found))
    works = all(check.state != "fault" for check in seen)
    submitted = where.submitted(left + others)
    if as_json:
        whole = printed.as_json(parts, total, known, slots, submitted, seen, assumed)
        return json.dumps(whole, indent=1), works
    lines = [
        *printed.table(parts, total),
        "",
        f"{submitted} jobs to submit; data, figures and tables are made on the submit host."
        if where.slurm
        else f"{submitted} jobs to run, with those for data, figures and tables.",
        *assumed,
        "",
        *printed.report(seen),
    ]
    return "\n".join(lines), works


def _others(plan: Plan) -> Iterator[str]:
    """The rule of every job beside trainings and attacks."""
    yield from ("prepare" for name in checks.datasets(plan.cells()) if not checks.is_prepared(name))
    for name, part in plan.studies.items():
        yield f"gather_{part.study.family}"
        if part.study.figures:
            yield f"figures_{name}"
        if part.study.tables:
            yield f"tables_{name}"
    yield from ("sheet" for name in checks.datasets(plan.cells()) if name in registry.illustrated())
    yield from ("claims", "track", "report")
