"""From the report to the tracker, and back."""

from __future__ import annotations

REPORT = "paper_figures/index.html"


def anchor(study: str, claim: str | None = None) -> str:
    """Where the report tells of a study, or of one of its claims."""
    return f"{REPORT}#{claim or study}"


def search(trial: str) -> str:
    """What finds a trial's run (``trials.trial_id``) in MLflow's search field, in its study's experiment."""
    return f"tags.`gauntlet.trial` = '{trial}'"
