"""All tables that the report gathers."""

from __future__ import annotations

from gauntlet.core.tables import attacks, federated, predictions, training

COLUMNS = {**attacks.COLUMNS, **federated.COLUMNS, **predictions.COLUMNS, **training.COLUMNS}
KEYS = {**attacks.KEYS, **federated.KEYS, **predictions.KEYS, **training.KEYS}
