"""Mavericks: clients that own a class alone, among clients with equal shares of the rest (FedEMD)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.data.partitions.base import Partition, checked, deal, grouped, split_by_shares


@register("partition", "maverick")
def maverick(
    labels: np.ndarray,
    clients: int,
    generator: np.random.Generator,
    *,
    mavericks: int = 1,
    kind: Literal["exclusive", "shared"] = "exclusive",
    pure: bool = False,
    classes: list[int] | None = None,
    shares: list[float] | None = None,
) -> Partition:
    """The last clients own the Maverick classes, whole; all other classes are dealt equally to everyone.

    Huang et al., "Maverick Matters", section 3 and the released partition code. A Maverick class stays
    as large as the others, so its owner has far more images than any other client.

    Args:
        mavericks: how many.
        kind: ``exclusive``: each owns a class of its own; ``shared``: they share one class.
        pure: Mavericks own nothing but their class (the release's ``reduce_1_only``).
        classes: the Maverick classes; the paper's when absent: 1 (Trouser, for one class), or 0, 1, 2.
        shares: how a shared class is split, e.g. ``[0.91, 0.09]`` as in the release; equally when absent.

    Raises:
        GauntletError: a class that does not exist, as many Mavericks as clients, or shares that do not
            fit.
    """
    present = np.unique(labels)
    owned_classes = 1 if kind == "shared" else mavericks
    if classes is None:
        classes = [1] if owned_classes == 1 else list(range(owned_classes))
    _check(clients, mavericks, kind, classes, shares, present)
    owners = np.arange(clients - mavericks, clients)

    common = np.flatnonzero(~np.isin(labels, classes))
    dealt_to = clients - mavericks if pure else clients
    rows = grouped(common, deal(common, labels, dealt_to, generator), clients)
    for position, label in enumerate(classes):
        whole = generator.permutation(np.flatnonzero(labels == label))
        if kind == "exclusive":
            pieces = {owners[position]: whole}
        else:
            split = np.full(mavericks, 1 / mavericks) if shares is None else np.asarray(shares)
            pieces = dict(zip(owners, split_by_shares(whole, split), strict=True))
        for owner, piece in pieces.items():
            rows[owner] = np.concatenate([rows[owner], piece])
    return checked(Partition(rows, tuple(int(owner) for owner in owners)))


def _check(clients, mavericks, kind, classes, shares, present) -> None:
    def fault(problem: str, key: str, remedy: str) -> GauntletError:
        return GauntletError(problem, key=f"data.options.{key}", remedy=remedy)

    if not 0 < mavericks < clients:
        raise fault(
            f"{mavericks} Mavericks among {clients} clients", "mavericks", f"choose 1 to {clients - 1}"
        )
    if unknown := [label for label in classes if label not in present]:
        raise fault(
            f"no class {unknown[0]} in this dataset",
            "classes",
            f"choose among {', '.join(map(str, present))}",
        )
    wanted = 1 if kind == "shared" else mavericks
    if len(set(classes)) != wanted or len(classes) != wanted:
        raise fault(
            f"{len(classes)} Maverick classes for {mavericks} {kind} Mavericks",
            "classes",
            f"name {wanted} different class{'es' * (wanted > 1)}",
        )
    if shares is not None:
        if kind != "shared":
            raise fault("only a shared class has shares", "shares", "leave it out, or set kind: shared")
        if len(shares) != mavericks or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise fault(
                f"shares {shares} for {mavericks} Mavericks",
                "shares",
                "give one positive share each, sum 1",
            )
