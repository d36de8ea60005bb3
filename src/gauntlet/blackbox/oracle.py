"""The only way from an attacker to a target: answers of one kind, counted, up to a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gauntlet.blackbox.defenses.base import OracleDefense
from gauntlet.core.errors import GauntletError

#: What an answer holds: the likeliest class alone, probabilities, or log-probabilities up to a constant.
Access = Literal["label", "probabilities", "logits"]

#: Images per forward pass; bounds memory, changes no answer beyond rounding.
BATCH = 500


class BudgetExhausted(Exception):
    """A call asked for more answers than the budget has left. It was not answered, and not charged."""


class Oracle:
    """Answers queries, counts them, and refuses those beyond the budget.

    The target is reachable through calls alone: no attribute holds it, and no gradient passes.

    Args:
        target: (b, C, H, W) -> (b, K) logits; or (b,) labels, for access ``label``. In eval mode.
        access: what an answer holds.
        classes: K.
        shape: (C, H, W) of the images that it accepts.
        budget: most images that are answered; None for no limit.
        clip: cut queries to [0, 1] first, as an interface that takes images does.
        defenses: applied to the answers, in this order.
    """

    def __init__(
        self,
        target: Callable[[Tensor], Tensor],
        *,
        access: Access,
        classes: int,
        shape: Sequence[int],
        budget: int | None = None,
        clip: bool = False,
        defenses: Sequence[OracleDefense] = (),
    ):
        self.access, self.classes, self.shape, self.budget = access, classes, tuple(shape), budget
        self._queries, self._histogram = 0, torch.zeros(classes, dtype=torch.int64)

        def answer(images: Tensor) -> Tensor:
            probabilities = self._probabilities(target, images.clamp(0, 1) if clip else images)
            for defense in defenses:
                probabilities = defense.answer(images, probabilities)
            return probabilities

        self._answer, self._defenses = answer, tuple(defenses)

    @property
    def queries(self) -> int:
        """Images answered so far."""
        return self._queries

    @property
    def left(self) -> float:
        """Images that the budget still allows; infinity without one."""
        return float("inf") if self.budget is None else self.budget - self._queries

    @property
    def histogram(self) -> Tensor:
        """(K,) how often each class was the likeliest of an answer."""
        return self._histogram.clone()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """The answers to (b, C, H, W) images: (b,) int64 labels, or (b, K) probabilities or logits.

        Every image is one query, whether it was asked before or not. Logits are log-probabilities minus their
        mean over the classes: what an attacker can recover from probabilities.

        Raises:
            BudgetExhausted: fewer than b are left.
            GauntletError: images of another size or not finite, or an answer that is none.
        """
        if tuple(images.shape[1:]) != self.shape:
            raise GauntletError(
                f"the target takes images of {self.shape}, not {tuple(images.shape[1:])}",
                key="generator",
                remedy="choose a generator of the target's size",
            )
        if not images.isfinite().all():
            raise GauntletError(
                "queries are not finite: the generator diverged", key="options", remedy="lower its rate"
            )
        if len(images) > self.left:
            raise BudgetExhausted(f"{len(images)} queries, and {self.left} of {self.budget} left")
        answers = torch.cat([self._answer(part) for part in images.detach().split(BATCH)])
        labels = answers.argmax(1)
        self._queries += len(images)
        self._histogram += labels.bincount(minlength=self.classes).cpu()
        if self.access == "label":
            return labels
        if self.access == "probabilities":
            return answers
        logs = answers.clamp(min=torch.finfo(answers.dtype).tiny).log()
        return logs - logs.mean(1, keepdim=True)

    def _probabilities(self, target: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """(b, K), checked."""
        found = target(images)
        if found.dim() == 1 and self.access == "label":
            if found.is_floating_point() or found.min() < 0 or found.max() >= self.classes:
                raise GauntletError(
                    f"the target answers with labels outside 0..{self.classes - 1}",
                    remedy="check the number of its classes",
                )
            return F.one_hot(found.long(), self.classes).float()
        if found.shape != (len(images), self.classes):
            raise GauntletError(
                f"the target answers with {tuple(found.shape)}, not {(len(images), self.classes)}",
                remedy="check the number of its classes",
            )
        if not found.isfinite().all():
            raise GauntletError("the target answers with NaN or infinity", remedy="train it again")
        return found.softmax(1)

    def state(self) -> dict[str, object]:
        """What was asked so far, for a run that is resumed."""
        return {
            "queries": self._queries,
            "histogram": self._histogram.clone(),
            "defenses": [defense.state() for defense in self._defenses],
        }

    def restore(self, state: dict) -> None:
        self._queries, self._histogram = int(state["queries"]), state["histogram"].clone()
        for defense, saved in zip(self._defenses, state["defenses"], strict=True):
            defense.restore(saved)
