"""What a defense of a black box is."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class OracleDefense:
    """Base of all defenses of a black box.

    Options are annotated keyword parameters of ``__init__``; they become the keys of a configuration's
    ``options``.
    """

    def answer(self, images: Tensor, probabilities: Tensor) -> Tensor:
        """What is answered to (b, C, H, W) ``images`` in place of the target's (b, K) ``probabilities``."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What later answers depend on, for a run that is resumed."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
