"""All tables that the report gathers."""

from __future__ import annotations

from gauntlet.core.tables import attacks, training

COLUMNS = {**attacks.COLUMNS, **training.COLUMNS}
KEYS = {**attacks.KEYS, **training.KEYS}
