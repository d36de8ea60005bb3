"""Label skew by Dirichlet draws."""

from __future__ import annotations

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.partitions.base import Partition, checked, positive, split_by_shares

#: Draws before giving up on ``least`` images per client.
TRIES = 1000


@register("partition", "dirichlet")
def dirichlet(
    labels: np.ndarray,
    clients: int,
    generator: np.random.Generator,
    *,
    alpha: float = 0.5,
    least: int = 10,
    balanced: bool = False,
) -> Partition:
    """Class c is cut by shares p_c ~ Dir(alpha, ..., alpha) over the clients (NIID-Bench, "labeldir").

    Args:
        alpha: concentration; 100 is nearly iid, 0.1 is hard.
        least: images that every client has at least; shares are drawn again until it holds.
        balanced: instead, clients have equal sizes, and client j draws from the class mix
            q_j ~ Dir(alpha, ..., alpha) for as long as a class lasts.

    Raises:
        GauntletError: alpha is not positive, or no draw gave every client ``least`` images.
    """
    positive(alpha, "alpha")
    classes = [generator.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    if balanced:
        return checked(Partition(_balanced(classes, len(labels), clients, alpha, generator)))
    if clients * least > len(labels):
        raise GauntletError(
            f"{len(labels)} images cannot give {clients} clients {least} each",
            key="data.options.least",
            remedy="lower it, or choose fewer clients",
        )
    for _ in range(TRIES):
        shares = generator.dirichlet(np.full(clients, alpha), size=len(classes))
        pieces = [split_by_shares(rows, share) for rows, share in zip(classes, shares, strict=True)]
        owned = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
        if min(map(len, owned)) >= least:
            return checked(Partition(owned))
    raise GauntletError(
        f"no draw of {TRIES} gave every client {least} images",
        key="data.options.least",
        remedy="lower it, or raise alpha",
    )


def _balanced(classes, images: int, clients: int, alpha: float, generator) -> list[np.ndarray]:
    """Client by client: draw a mix, take that many of each class, fill up from what is left most of."""
    left = [list(rows) for rows in classes]
    owned = []
    for client in range(clients):
        size = images // clients + (client < images % clients)
        mix = generator.dirichlet(np.full(len(classes), alpha))
        counts = np.minimum(generator.multinomial(size, mix), [len(rows) for rows in left])
        while (lack := size - counts.sum()) > 0:
            rest = np.array([len(rows) for rows in left]) - counts
            fullest = int(rest.argmax())
            counts[fullest] += min(lack, rest[fullest])
        owned.append(
            np.array([left[c].pop() for c in range(len(classes)) for _ in range(counts[c])], dtype=np.int64)
        )
    return owned
