"""All tables that the report gathers."""

from __future__ import annotations

from gauntlet.core.tables import (
    attacks,
    federated,
    inversion,
    predictions,
    privacy,
    spread,
    stealing,
    training,
)

COLUMNS = {
    **attacks.COLUMNS,
    **federated.COLUMNS,
    **inversion.COLUMNS,
    **predictions.COLUMNS,
    **privacy.COLUMNS,
    **spread.COLUMNS,
    **stealing.COLUMNS,
    **training.COLUMNS,
}
KEYS = {
    **attacks.KEYS,
    **federated.KEYS,
    **inversion.KEYS,
    **predictions.KEYS,
    **privacy.KEYS,
    **spread.KEYS,
    **stealing.KEYS,
    **training.KEYS,
}
