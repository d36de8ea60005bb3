"""Secure aggregation (Bonawitz et al. 2017, doi 10.1145/3133956.3133982, section 4: pairwise masks)."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import register
from gauntlet.defenses.updates.base import Setting, Tensors, UpdateDefense

#: Numbers are added modulo this: 4 bytes each.
MODULUS = 2**32


@register("update_defense", "secure_aggregation")
class SecureAggregation(UpdateDefense):
    """The server learns the sum of the round's updates and nothing else of them.

    Client k sends ``y_k = round(2^f u_k) + sum_{j > k} m_kj - sum_{j < k} m_jk  (mod 2^32)``, where clients k
    and j share the uniform mask m_kj. The masks cancel in the sum, each y_k alone is uniform noise. The sum
    is off by at most ``K / 2^(f+1)`` per entry. Nobody drops out in between, so that secrets for the recovery
    of masks, and the exchange of keys, are left out. A round with a single client is abandoned: its sum would
    be the client's update.

    Args:
        fraction_bits: f. The sum must stay within ``+-2^(31-f)``.
    """

    hides = True

    def __init__(self, fraction_bits: int = 20):
        if not 0 <= fraction_bits <= 30:
            raise GauntletError(
                f"fraction_bits must be in 0..30 (got {fraction_bits})", key="method.defenses"
            )
        self.fraction_bits = fraction_bits

    def begin(self, setting: Setting) -> None:
        super().begin(setting)
        if setting.inspected:
            raise GauntletError(
                "under secure aggregation the server cannot look at single clients' models",
                key="method.contributions",
                remedy="choose a selection that needs no contributions, and measure none",
            )
        if setting.selected < 2:
            raise GauntletError(
                "the sum over one client is its update", key="train.selected", remedy="select at least 2"
            )

    def add(self, parts: list[Tensors], generator: torch.Generator) -> Tensors:
        first = parts[0]
        if len(parts) == 1:
            print("secure aggregation: a round with one client is abandoned", file=sys.stderr)
            return {name: torch.zeros_like(value) for name, value in first.items()}
        flat = self.decode(self.send(parts, generator).sum(0)).to(next(iter(first.values())).device)
        sizes = [value.numel() for value in first.values()]
        return {
            name: part.view_as(value).to(value.dtype)
            for (name, value), part in zip(first.items(), flat.split(sizes), strict=True)
        }

    def send(self, parts: list[Tensors], generator: torch.Generator) -> Tensor:
        """(K, P) int64 in 0..2^32-1: what the server receives of each client, y_k."""
        rows = torch.stack(
            [torch.cat([value.flatten().double() for value in part.values()]) for part in parts]
        )
        return (self.encode(rows.cpu()) + masks(*rows.shape, generator)) % MODULUS

    def encode(self, rows: Tensor) -> Tensor:
        """(K, P) numbers as int64 in 0..2^32-1, negative ones from above.

        Raises:
            GauntletError: one is so large that a sum of K like it would wrap around.
        """
        bound = MODULUS / 2 / len(rows)
        scaled = (rows * 2**self.fraction_bits).round()
        if float(scaled.abs().max()) >= bound:
            raise GauntletError(
                f"an update of {float(rows.abs().max()):.3g} does not fit into fixed-point numbers",
                key="method.defenses",
                remedy=f"lower fraction_bits (now {self.fraction_bits}), or put clip before it",
            )
        return scaled.long() % MODULUS

    def decode(self, total: Tensor) -> Tensor:
        """(P,) sums modulo 2^32 as float64."""
        total = total % MODULUS
        signed = torch.where(total >= MODULUS // 2, total - MODULUS, total)
        return signed.double() / 2**self.fraction_bits

    def up_bytes(self, parameters: int, sent: int) -> int:
        return 4 * parameters


def masks(clients: int, entries: int, generator: torch.Generator) -> Tensor:
    """(K, P) int64 in 0..2^32-1: every two clients' shared mask, added by the one and subtracted by the
    other; the sum over clients is 0 modulo 2^32."""
    total = torch.zeros(clients, entries, dtype=torch.int64)
    for one in range(clients):
        for other in range(one + 1, clients):
            shared = torch.randint(MODULUS, (entries,), generator=generator)
            total[one] += shared
            total[other] -= shared
    return total % MODULUS
