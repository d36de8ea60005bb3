"""What a partition is, and the checks and dealing that partitions share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gauntlet.core.errors import GauntletError


@dataclass(frozen=True)
class Partition:
    """Who owns which images.

    Attributes:
        rows: per client, ascending row numbers (int64) of its images. No row belongs to two clients.
        mavericks: clients that own (nearly) all images of a class.
    """

    rows: list[np.ndarray]
    mavericks: tuple[int, ...] = ()

    def histograms(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """(clients, classes) int64: how many images of each class every client owns."""
        return np.stack([np.bincount(labels[rows], minlength=classes) for rows in self.rows])


def checked(partition: Partition) -> Partition:
    """The partition, its rows sorted. Raises GauntletError when a client owns nothing."""
    if empty := [client for client, rows in enumerate(partition.rows) if not len(rows)]:
        raise GauntletError(
            f"clients without images: {', '.join(map(str, empty[:10]))}{' ...' * (len(empty) > 10)}",
            key="data.clients",
            remedy="choose fewer clients, more images, or a milder skew",
        )
    return Partition([np.sort(rows) for rows in partition.rows], partition.mavericks)


def deal(rows: np.ndarray, labels: np.ndarray, clients: int, generator: np.random.Generator) -> np.ndarray:
    """(len(rows),) the client that each row is dealt to: class by class, round-robin, in random order.

    Every client gets the same number of images of a class, up to one, and of images in all, up to one:
    a class goes on dealing where the one before it stopped.
    """
    shuffled = generator.permutation(rows)
    shuffled = shuffled[np.argsort(labels[shuffled], kind="stable")]
    owner = np.empty(labels.shape[0], dtype=np.int64)
    owner[shuffled] = np.arange(len(shuffled)) % clients
    return owner[rows]


def grouped(rows: np.ndarray, owner: np.ndarray, clients: int) -> list[np.ndarray]:
    """Per client, the rows that it owns."""
    return [rows[owner == client] for client in range(clients)]


def split_by_shares(rows: np.ndarray, shares: np.ndarray) -> list[np.ndarray]:
    """Cut ``rows`` into consecutive pieces whose lengths are proportional to ``shares`` (sum 1)."""
    cuts = np.rint(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
    return np.split(rows, cuts)


def positive(value: float, key: str) -> None:
    """Raises GauntletError unless ``value`` is above 0."""
    if not value > 0:
        raise GauntletError(f"{key} must be above 0 (got {value})", key=f"data.options.{key}")
