"""All tables that the report gathers."""

from __future__ import annotations

from gauntlet.core.tables import attacks, federated, training

COLUMNS = {**attacks.COLUMNS, **federated.COLUMNS, **training.COLUMNS}
KEYS = {**attacks.KEYS, **federated.KEYS, **training.KEYS}
