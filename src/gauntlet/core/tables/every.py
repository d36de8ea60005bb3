"""All tables that the report gathers."""

from __future__ import annotations

from gauntlet.core.tables import attacks, federated, predictions, spread, stealing, training

COLUMNS = {
    **attacks.COLUMNS,
    **federated.COLUMNS,
    **predictions.COLUMNS,
    **spread.COLUMNS,
    **stealing.COLUMNS,
    **training.COLUMNS,
}
KEYS = {
    **attacks.KEYS,
    **federated.KEYS,
    **predictions.KEYS,
    **spread.KEYS,
    **stealing.KEYS,
    **training.KEYS,
}
