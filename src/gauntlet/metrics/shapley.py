"""What a player contributes to a coalition: exact Shapley values and leave-one-out influence.

A game of K players is given by its values of all 2^K coalitions, in the order of bit masks: entry 5 =
0b101 is the coalition of players 0 and 2, entry 0 the empty one.
"""

from __future__ import annotations

from functools import cache
from math import factorial

import numpy as np

from gauntlet.core.errors import GauntletError

#: Beyond this, 2^K coalitions are too many to list.
MOST_PLAYERS = 16


def coalitions(players: int) -> np.ndarray:
    """(2^players, players) bool: who is in each coalition, in the order of bit masks."""
    if not 1 <= players <= MOST_PLAYERS:
        raise GauntletError(
            f"exact Shapley values of {players} players",
            key="train.selected",
            remedy=f"choose 1 to {MOST_PLAYERS} clients per round",
        )
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)


@cache
def _matrix(players: int) -> np.ndarray:
    """(players, 2^players): Shapley values are this matrix times the coalitions' values.

    Coalition T of size t counts with ``(t-1)! (K-t)! / K!`` for its members and with
    ``-t! (K-t-1)! / K!`` for the others.
    """
    inside = coalitions(players)
    size = inside.sum(axis=1)
    joined = np.array([factorial(max(t - 1, 0)) * factorial(players - t) for t in range(players + 1)])
    absent = np.array([factorial(t) * factorial(max(players - t - 1, 0)) for t in range(players + 1)])
    return np.where(inside, joined[size, None], -absent[size, None]).T / factorial(players)


def shapley(values: np.ndarray) -> np.ndarray:
    """(K,) exact Shapley values from the (2^K,) values of all coalitions.

    ``SV(k) = sum over S without k of |S|! (K-|S|-1)! / K! * (v(S + k) - v(S))`` (Shapley 1953). They sum to
    v(all) - v(empty).

    Raises:
        GauntletError: the number of values is not 2^K, or one is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    return _matrix(_players(values)) @ values


def influence(values: np.ndarray) -> np.ndarray:
    """(K,) what each player's absence costs: v(all) - v(all but k). From the same values as ``shapley``."""
    values = np.asarray(values, dtype=np.float64)
    players = _players(values)
    everyone = 2**players - 1
    return values[everyone] - values[everyone ^ (1 << np.arange(players))]


def _players(values: np.ndarray) -> int:
    players = len(values).bit_length() - 1
    if values.ndim != 1 or len(values) != 2**players or not players:
        raise GauntletError(f"{values.shape} values of coalitions; 2^K are needed")
    if not np.isfinite(values).all():
        raise GauntletError("a coalition's value is not finite")
    return players


def fairness(contributions: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """(K,) ``U_k = 1 - |q_k - rc_k|``: how well each share of the contribution fits the share of the data.

    ``rc_k`` is k's contribution over their sum, ``q_k`` its samples over theirs (FedEMD, section 4); 1 is
    ideal. NaN when contributions sum to 0, so that shares are not defined.
    """
    contributions = np.asarray(contributions, dtype=np.float64)
    total = contributions.sum()
    if total == 0:
        return np.full(len(contributions), np.nan)
    return 1 - np.abs(samples / np.sum(samples) - contributions / total)
