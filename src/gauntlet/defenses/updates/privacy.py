"""Accounting of the Poisson-subsampled Gaussian mechanism, by Opacus.

Neighbouring data sets differ by one member more or less. Opacus takes seconds to import and is imported
late: nothing pays for it that states no privacy.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache

from gauntlet.core.errors import GauntletError
from gauntlet.defenses.updates.base import Setting

#: Renyi (Mironov et al. 2019, arXiv 1908.10530) and numerical composition (Gopi et al. 2021, arXiv
#: 2106.02848): the first is quick, the second tighter by up to a tenth.
ACCOUNTANTS = ("rdp", "prv")


@lru_cache(maxsize=4096)
def spent(sigma: float, rate: float, steps: int, delta: float, accountant: str) -> float:
    """Epsilon after some steps at a sampling rate, with noise of ``sigma`` times the sensitivity."""
    from opacus.accountants import create_accountant

    if steps == 0:
        return 0.0
    made = create_accountant(accountant)
    made.history = [(sigma, rate, steps)]
    with _quiet():
        return float(made.get_epsilon(delta=delta))


@lru_cache(maxsize=4096)
def multiplier(epsilon: float, rate: float, steps: int, delta: float, accountant: str) -> float | None:
    """The least ``sigma`` with ``spent(sigma, ...) <= epsilon``, within 1 % of epsilon; None where no noise
    would do, as far as the accountant can tell."""
    from opacus.accountants.utils import get_noise_multiplier

    if epsilon <= _floor(delta, accountant):
        return None  # Opacus would try ever more noise for minutes, and find none
    try:
        with _quiet():
            return get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=delta,
                sample_rate=rate,
                steps=steps,
                accountant=accountant,
                epsilon_tolerance=0.01 * epsilon,
            )
    except ValueError:  # "The privacy budget is too low."
        return None


def _floor(delta: float, accountant: str) -> float:
    """What an accountant states of a mechanism that says nothing: composition counts to the hundredth, and
    the Renyi accountant knows no larger orders."""
    from opacus.accountants import RDPAccountant
    from opacus.accountants.analysis.rdp import get_privacy_spent

    if accountant == "prv":
        return 0.01
    orders = RDPAccountant.DEFAULT_ALPHAS
    with _quiet():
        return float(get_privacy_spent(orders=orders, rdp=[0.0] * len(orders), delta=delta)[0])


class Budget:
    """What a private mechanism was asked for: a multiplier, or an epsilon that implies one.

    Args:
        epsilon, noise_multiplier: exactly one.
        clip: the sensitivity, an L2 norm.
        delta: below one over the number of members.
        accountant: of ``ACCOUNTANTS``.

    Raises:
        GauntletError: a value that is out of range, or none or both of the first two.
    """

    def __init__(
        self,
        epsilon: float | None,
        noise_multiplier: float | None,
        clip: float,
        delta: float,
        accountant: str,
    ):
        for name, value in (("epsilon", epsilon), ("noise_multiplier", noise_multiplier), ("clip", clip)):
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise GauntletError(f"{name} must be positive (got {value})", key="method.defenses")
        if (epsilon is None) == (noise_multiplier is None):
            raise GauntletError(
                "give either epsilon or noise_multiplier",
                key="method.defenses",
                remedy="the other one follows from it",
            )
        if not 0 < delta < 1:
            raise GauntletError(f"delta must be in (0, 1) (got {delta})", key="method.defenses")
        if accountant not in ACCOUNTANTS:
            raise GauntletError(
                f"unknown accountant {accountant!r}",
                key="method.defenses",
                remedy=f"one of {', '.join(ACCOUNTANTS)}",
            )
        self.epsilon, self.noise_multiplier = epsilon, noise_multiplier
        self.delta, self.accountant = delta, accountant

    def sigma(self, uses: set[tuple[float, int]], members: int, shorter: str) -> float:
        """The noise multiplier that keeps every use within the budget.

        Args:
            uses: (sampling rate, steps) of everyone who is protected.
            members: how many are protected together, which bounds delta.
            shorter: what would make for fewer steps, for the error.

        Raises:
            GauntletError: delta is too large, or no noise keeps the budget.
        """
        if self.delta >= 1 / members:
            raise GauntletError(
                f"delta {self.delta} protects nobody among {members}: whole records may be given away",
                key="method.defenses",
                remedy=f"set delta well below {1 / members:.2g}",
            )
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        sigma = 0.0
        # The highest rate first: it needs most noise, and then seldom does another need more.
        for rate, steps in sorted(uses, reverse=True):
            if sigma and self.spent(sigma, rate, steps) <= self.epsilon:
                continue
            found = multiplier(self.epsilon, rate, steps, self.delta, self.accountant)
            if found is None:
                tighter = ", or account by prv" if self.accountant == "rdp" else ""
                raise GauntletError(
                    f"no noise keeps epsilon {self.epsilon} over {steps} steps at sampling rate {rate:.3g} "
                    f"(delta {self.delta}, accountant {self.accountant})",
                    key="method.defenses",
                    remedy=f"raise epsilon, or lower {shorter}{tighter}; clip changes nothing",
                )
            sigma = max(sigma, found)
        return sigma

    def spent(self, sigma: float, rate: float, steps: int) -> float:
        return spent(sigma, rate, steps, self.delta, self.accountant)


def refuse_statistics(setting: Setting, name: str) -> None:
    """Raise GauntletError where the network has BatchNorm: it mixes the examples of a batch, and its running
    statistics are sent as they are, outside of what the defense ``name`` guarantees."""
    if setting.statistics:
        raise GauntletError(
            f"{name} does not cover the running statistics of BatchNorm",
            key="architecture",
            remedy="choose a network without BatchNorm",
        )


def _quiet():
    """Without Opacus' advice on orders and numpy's on logarithms of 0: the bounds hold all the same."""
    return warnings.catch_warnings(action="ignore")
