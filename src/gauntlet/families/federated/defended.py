"""The chain of a federation's update defenses, and what the server sees of a round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create
from gauntlet.core.seeds import torch_generator
from gauntlet.defenses.updates.base import Client, Setting, UpdateDefense, plain_sum
from gauntlet.families.federated.contributions import mean
from gauntlet.families.federated.local import Task, trained
from gauntlet.families.federated.settings import Defense
from gauntlet.families.federated.world import Images
from gauntlet.models.copies import State

#: Bytes of a number that is sent.
FLOAT = 4


@dataclass(frozen=True)
class Seen:
    """What the server sees of one client's round; under secure aggregation of all of its clients at once.

    Attributes:
        round: from 1.
        clients: one, or all whose updates are in the sum.
        before: the model that was sent out.
        update: the client's model less ``before``, after its defenses; or the sum of all updates times their
            weights. Running statistics included.
        tasks: per client, its rows per batch (``batches(size)``) and its learning rate.
    """

    round: int
    clients: tuple[int, ...]
    before: State
    update: State
    tasks: tuple[Task, ...]


#: Is given everything that the server sees, as it is seen. It changes nothing.
Capture = Callable[[Seen], None]


class Chain:
    """The defenses of one seed in their order (``UpdateDefense`` says what happens when).

    Streams of the seed: ``defense``, then the place in the chain, the round, and the client or ``server``.

    Args:
        entries: names and options.
        seed: of the run.
        net: a network to run models in.

    Raises:
        GauntletError: unknown names or options; defenses that do not go together.
    """

    def __init__(self, entries: list[Defense], seed: int, net: nn.Module):
        self.seed, self.net, self.trained = seed, net, set(trained(net))
        self.defenses: list[UpdateDefense] = [
            create("update_defense", entry.update_defense, entry.options, key=f"method.defenses.{at}.options")
            for at, entry in enumerate(entries)
        ]
        self.names = [entry.update_defense for entry in entries]
        self.local = next((defense for defense in self.defenses if defense.per_example), None)
        self.hides = any(defense.hides for defense in self.defenses)
        self._changes = self._with("update")
        self._adds = self._with("add")
        self._totals = self._with("total")
        self._check()

    def _with(self, hook: str) -> list[int]:
        """Places of the defenses that have a hook of their own."""
        own = [getattr(type(defense), hook) is not getattr(UpdateDefense, hook) for defense in self.defenses]
        return [at for at, has in enumerate(own) if has]

    def _check(self) -> None:
        private = [at for at, defense in enumerate(self.defenses) if defense.delta is not None]
        for places, what in ((private, "state a guarantee"), (self._adds, "add updates up")):
            if len(places) > 1:
                raise self._conflict(f"{self._list(places)} both {what}", "keep one of them")
        for at in (at for at, defense in enumerate(self.defenses) if defense.last):
            if later := [place for place in self._changes if place > at]:
                raise self._conflict(
                    f"{self._list(later)} after {self.names[at]} would undo its bound",
                    f"put {self.names[at]} behind them",
                )

    def _list(self, places: list[int]) -> str:
        return " and ".join(self.names[at] for at in places)

    def _conflict(self, problem: str, remedy: str) -> GauntletError:
        return GauntletError(problem, key="method.defenses", remedy=remedy)

    def _generator(self, at: int, round: int, who: int | str = "server") -> torch.Generator:
        return torch_generator(self.seed, "defense", at, round, who)

    def begin(self, setting: Setting) -> None:
        for defense in self.defenses:
            defense.begin(setting)

    def participants(self, picked: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Who takes part, of those that the selection picked or of all."""
        return reduce(lambda who, defense: defense.participants(who, uniforms), self.defenses, picked)

    def task(self, rows: Tensor, orders: list[Tensor], lr: float, round: int, client: int) -> Task:
        """A client's work, with the batches and the noise of a defense of its local steps."""
        if self.local is None:
            return Task(orders, lr)
        generator = self._generator(self.defenses.index(self.local), round, client)
        return Task(orders, lr, self.local.batches(rows, generator), generator)

    def sent(
        self, before: State, state: State, round: int, client: int, task: Task, size: int, images: Images
    ) -> State:
        """The model that a client sends, given the one that it trained from ``before`` in batches of
        ``size`` of the ``images``."""
        if not self._changes:
            return state
        rows = torch.cat(task.batches(size))
        update = {name: state[name] - before[name] for name in state if name in self.trained}
        for at in self._changes:
            generator = self._generator(at, round, client)
            about = Client(images.pixels[rows], before, self.net.eval(), generator)
            update = self.defenses[at].update(update, about)
        return state | {name: before[name] + value for name, value in update.items()}

    def aggregate(
        self, before: State, states: list[State], weights: np.ndarray, round: int
    ) -> tuple[State, State | None]:
        """The global model after the round, and the sum that the server sees where it sees no single update.

        Args:
            states: (k) models as sent; none in a round without clients.
            weights: (k,) of sum 1.
        """
        if not (self._adds or self._totals):
            return mean(states, weights), None
        total = {name: torch.zeros_like(value) for name, value in before.items()}
        if states:
            parts = [
                {name: (state[name] - value) * float(weight) for name, value in before.items()}
                for state, weight in zip(states, weights, strict=True)
            ]
            total = plain_sum(parts)
            for at in self._adds:
                total = self.defenses[at].add(parts, self._generator(at, round))
        seen = total if self.hides else None
        for at in self._totals:
            total = self.defenses[at].total(total, len(states), self._generator(at, round))
        return {name: value + total[name] for name, value in before.items()}, seen

    def epsilon(self, rounds: int, participations: np.ndarray) -> float | None:
        """Privacy spent so far; None where no defense states any."""
        return next((d.epsilon(rounds, participations) for d in self.defenses if d.delta is not None), None)

    @property
    def delta(self) -> float | None:
        return next((defense.delta for defense in self.defenses if defense.delta is not None), None)

    def up_bytes(self, model: State) -> int:
        """Bytes that one client sends; running statistics are sent as they are."""
        parameters = sum(value.numel() for name, value in model.items() if name in self.trained)
        sent = reduce(lambda n, defense: defense.up_bytes(parameters, n), self.defenses, FLOAT * parameters)
        return sent + size(model) - FLOAT * parameters


def size(model: State) -> int:
    """Bytes of a model."""
    return FLOAT * sum(value.numel() for value in model.values())
