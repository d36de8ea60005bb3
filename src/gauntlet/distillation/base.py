"""What all ways of distilling share: the sets, where they start, and the outer updates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gauntlet.core.errors import GauntletError
from gauntlet.core.seeds import torch_generator
from gauntlet.data.subset import Images
from gauntlet.distillation.draws import by_class, table
from gauntlet.distillation.sets import Samples, Sets
from gauntlet.distillation.unroll import Run
from gauntlet.models.copies import State, copies
from gauntlet.models.optimizers import Adam


@dataclass(frozen=True)
class Setting:
    """What there is to distil, of K clients.

    Attributes:
        net: the architecture, on the device; its weights are not used.
        images: all clients' images.
        rows: per client, int64 rows of its images, on the CPU.
        classes: how many there are.
        seed: of the trial.
        fresh: names of a stream -> a newly initialised model.
    """

    net: nn.Module
    images: Images
    rows: list[Tensor]
    classes: int
    seed: int
    fresh: Callable[..., State]


class Distillation:
    """Base of the outer objectives. All clients are distilled in one program; they never mix.

    ``open`` begins a round, ``step`` is one outer update of every client (Adam, down the gradient of
    ``objective``), ``close`` ends the round with what clients share. Sets go on from round to round, the
    optimizer starts afresh.

    Images start as noise, N(0, 1) per pixel, or as random images of the client's own. ``clipped`` pixels are
    cut to [0, 1], the range of real images, at the start and after every update; ``free`` ones are never
    cut. Labels start as the one-hot label of the slot.

    All draws of an update come from the stream ``distillation`` of the seed, by round and update.

    Args:
        per_class: samples of a class that a client shares.
        iterations: outer updates per round.
        batch: the client's own images in an update.
        lr: Adam's, of the images.
        start: ``noise``, or ``real``; a client with fewer images of a class takes them repeatedly.
        pixels: ``clipped`` or ``free``.
    """

    #: Whether clients share anything at all.
    shares = True
    #: Whether the sets of the first round are those of all rounds: then they are exchanged once.
    once = False
    #: Which networks samples are judged by: ``current``, the round's model, or ``random``, newly initialised.
    nets = "current"

    setting: Setting
    sets: Sets
    #: Images that went through networks in this round.
    seen: int

    def __init__(
        self,
        per_class: int = 10,
        iterations: int = 200,
        batch: int = 64,
        lr: float = 0.05,
        start: Literal["noise", "real"] = "noise",
        pixels: Literal["clipped", "free"] = "clipped",
    ):
        if per_class < 1 or batch < 1 or iterations < 0:
            raise GauntletError(
                f"per_class {per_class}, batch {batch}, iterations {iterations}",
                key="method.options",
                remedy="give at least one sample of a class and one image per batch",
            )
        self.per_class, self.iterations, self.batch, self.lr = per_class, iterations, batch, lr
        self.start, self.pixels = start, pixels

    def begin(self, setting: Setting) -> None:
        """Called once per run. Overrides call it first."""
        self.setting = setting
        self.groups = by_class(setting.images, setting.rows, setting.classes)
        self.owned, self.owned_by_class = table(setting.rows), table(self.groups)
        self.sets = self._first()

    @property
    def clients(self) -> int:
        return len(self.setting.rows)

    @property
    def device(self) -> torch.device:
        return self.setting.images.pixels.device

    def _first(self) -> Sets:
        """The sets before the first round."""
        setting, slots = self.setting, self.setting.classes * self.per_class
        like = setting.images.pixels
        labels = torch.arange(setting.classes).repeat_interleave(self.per_class)
        held = (self.owned_by_class.counts > 0).view(self.clients, setting.classes)
        images = self._real() if self.start == "real" else self._noise((slots, *like.shape[1:]))
        return Sets(
            images=self._clip(images.to(like)),
            labels=F.one_hot(labels, setting.classes).expand(self.clients, -1, -1).to(like),
            steps=like.new_zeros(self.clients, 0),
            present=held[:, labels].to(self.device),
            per_class=self.per_class,
        )

    def _noise(self, shape: tuple[int, ...]) -> Tensor:
        draws = [
            torch_generator(self.setting.seed, "distillation", "noise", client)
            for client in range(self.clients)
        ]
        return torch.stack([torch.randn(shape, generator=generator) for generator in draws])

    def _real(self) -> Tensor:
        found = []
        for group, rows in enumerate(self.groups):
            client, label = divmod(group, self.setting.classes)
            generator = torch_generator(self.setting.seed, "distillation", "real", client, label)
            if not len(rows):
                rows = torch.zeros(1, dtype=torch.int64)  # a slot that is not present
            order = torch.randperm(len(rows), generator=generator)
            found.append(rows[order[torch.arange(self.per_class) % len(rows)]])
        rows = torch.stack(found).view(self.clients, -1).to(self.device)
        return self.setting.images.pixels[rows].contiguous()

    def _clip(self, images: Tensor) -> Tensor:
        return images.clamp(0, 1) if self.pixels == "clipped" else images

    def open(self, round: int, model: State, received: Sets | None) -> None:
        """Begin a round.

        Args:
            round: from 1.
            model: what training on the sets starts from.
            received: what the server sent: all clients' sets of the round before, each client's own among
                them. Clients go on from these. None in the first round.
        """
        self.round, self.model, self.received, self.updates = round, model, received, 0
        self.sets = self.sets if received is None else received
        variables = self._variables()
        self.live = {name: value.clone().requires_grad_() for name, (value, _) in variables.items()}
        self.optimizer = Adam([([self.live[name]], rate) for name, (_, rate) in variables.items()])
        self.losses, self.seen = self.sets.images.new_zeros(self.clients), 0

    @property
    def finished(self) -> bool:
        return self.updates >= self.iterations

    def step(self) -> None:
        """One outer update of all clients."""
        losses = self.objective(torch_generator(self.setting.seed, "distillation", self.round, self.updates))
        self.optimizer.descend(losses.sum())
        with torch.no_grad():
            self.live["images"].copy_(self._clip(self.live["images"]))
        self.losses += losses.detach()
        self.updates += 1

    def close(self) -> Sets:
        """End the round.

        Raises:
            GauntletError: a client's set is not finite.
        """
        with torch.no_grad():
            self.sets = self._released()
        parts = (self.sets.images, self.sets.labels, self.sets.steps)
        good = torch.stack([value.isfinite().flatten(1).all(1) for value in parts]).all(0)
        if not good.all():
            ill = ", ".join(map(str, (~good).nonzero().flatten().tolist()))
            raise GauntletError(
                f"distillation diverged (seed {self.setting.seed}, round {self.round}, clients {ill})",
                key="method.options",
                remedy="lower the learning rate of the images, or the step sizes",
            )
        return self.sets

    def loss(self) -> float:
        """Mean objective over the round's updates and the clients; not a number where there were none."""
        return float(self.losses.mean() / self.updates) if self.updates else float("nan")

    # What objectives have, and build on.

    def counted(self, net: nn.Module) -> Run:
        """What runs copies of ``net``, and counts images."""
        run = copies(net)

        def counting(state: State, images: Tensor, training: bool) -> Tensor:
            self.seen += images.shape[0] * images.shape[1]
            return run(state, images, training)

        return counting

    def _variables(self) -> dict[str, tuple[Tensor, float]]:
        """Name -> what is searched, and its learning rate; ``images`` among them."""
        return {"images": (self.sets.images, self.lr)}

    def _released(self) -> Sets:
        """The sets that the variables stand for."""
        return replace(self.sets, images=self.live["images"].detach().clone())

    def objective(self, generator: torch.Generator) -> Tensor:
        """(K,) what each client's update lowers."""
        raise NotImplementedError

    def union(self, images: Tensor, labels: Tensor, link: bool = True) -> Samples:
        """What each client's network is trained on: its own samples, ``images`` (K, m, C, H, W) with
        ``labels`` (K, m, classes), and in later rounds with a ``link`` those that others shared."""
        if self.received is None or not link:
            return replace(self.sets, images=images, labels=labels).samples()
        return self.received.beside(images, labels)

    def origin(self) -> State:
        """What this update's networks start from: the round's model, or with ``nets: random`` a new one."""
        if self.nets == "current":
            return self.model
        return self.setting.fresh("distillation", self.round, self.updates)

    # For a run that is resumed within a round.

    def state(self) -> dict[str, Any]:
        """Everything that later updates of the round depend on, but for what ``open`` was given."""
        live = {name: value.detach() for name, value in self.live.items()}
        optimizer = self.optimizer.state_dict()
        counts = {"updates": self.updates, "seen": self.seen}
        return {**counts, "live": live, "optimizer": optimizer, "losses": self.losses}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``, after ``open`` was called as it was for that round."""
        with torch.no_grad():
            for name, value in self.live.items():
                value.copy_(state["live"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.updates, self.seen = state["updates"], state["seen"]
        self.losses = state["losses"].to(self.device)
