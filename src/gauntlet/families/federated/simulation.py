"""A federation in simulation: one seed, round by round."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import torch

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create, resolve
from gauntlet.core.resume import Resume
from gauntlet.core.seeds import numpy_generator, torch_generator
from gauntlet.defenses.updates.base import Setting
from gauntlet.families import block
from gauntlet.families.federated import world
from gauntlet.families.federated.contributions import contributions
from gauntlet.families.federated.defended import Capture, Chain, Seen, size
from gauntlet.families.federated.evaluation import Evaluator, mean_loss
from gauntlet.families.federated.local import COPIES, Recipe, Sequential, Task, Together, Update, trained
from gauntlet.families.federated.settings import TABLES, Data, Method, Train
from gauntlet.models.copies import state_of
from gauntlet.selection.base import Federation, Report, Selection

NAN = float("nan")

#: What determines a trained cell, apart from its seeds.
Identity = block.Identity[Data, Method, Train]


class Simulation:
    """One seed: the clients, the server, and where they are.

    Named streams of the seed: ``split``, ``partition``, ``init``; ``selection`` per round; ``batches`` per
    round and client, so that a client trains on the same batches whichever method picked it; ``defense`` as
    ``Chain`` says.

    Args:
        capture: is given what the server sees of every update, for attacks on it.
    """

    def __init__(
        self, what: Identity, seed: int, dataset, device: torch.device, capture: Capture | None = None
    ):
        self.what, self.seed, self.train, self.capture = what, seed, what.train, capture
        if what.train.selected > what.data.clients:
            raise GauntletError(
                f"{what.train.selected} clients per round of {what.data.clients} clients",
                key="train.selected",
                remedy="select at most as many as there are",
            )
        self.world = world.build(dataset, what.data, seed, device)
        self.selection = make_selection(what, self.world)
        self.rule = resolve("aggregation", what.method.aggregation)
        self.classes = self.world.classes
        self.net = self.new()
        self.model = {name: value.clone() for name, value in state_of(self.net).items()}
        self.chain = Chain(what.method.defenses, seed, self.net)
        self.chain.begin(self._setting())
        self.local = self._trainer()
        self.test = Evaluator(self.new(), self.world.test, self.classes)
        self.server = Evaluator(self.new(), self.world.held_out, self.classes)
        self.round, self.passes = 0, 0
        self.participations = np.zeros(what.data.clients, dtype=np.int64)
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES["train"]}
        self.rows["clients"] = self.world.clients(seed)
        self.seconds: dict[str, list[float]] = {name: [] for name in ("select", "serve", "train", "test")}

    def _setting(self) -> Setting:
        what, needs = self.what, self.selection.needs
        return Setting(
            samples=self.world.histograms.sum(axis=1),
            selected=what.train.selected,
            rounds=what.train.rounds,
            epochs=what.train.epochs,
            batch=what.train.batch,
            weights=self.rule,
            uniform=self.selection.uniform,
            statistics=len(self.model) > len(trained(self.net)),
            inspected=what.method.contributions != "needed" or "shapley" in needs,
        )

    def _trainer(self):
        train, images = self.train, self.world.train
        recipe = Recipe(train.batch, train.momentum, train.weight_decay, self.what.method.proximal)
        stacked = train.mode == "stacked"
        if self.chain.local is not None:
            from gauntlet.families.federated.per_example import PerExample

            return PerExample(self.net, images, recipe, self.chain.local, COPIES if stacked else 1)
        return (Together if stacked else Sequential)(self.net, images, recipe)

    def new(self) -> torch.nn.Module:
        """A network with the seed's first weights."""
        return self.world.network(self.what.architecture, self.seed, "init")

    def fit(self, resume: Resume) -> None:
        """Run all rounds, from the saved state if there is one; saves the finished state."""
        if (state := resume.load()) is not None:
            self.restore(state)
        while self.round < self.train.rounds:
            self.round += 1
            self.play()
            resume.checkpoint(self.state)
        resume.save(self.state())

    def play(self) -> None:
        """One round: select, train, aggregate, learn, evaluate."""
        with self._timed("select"):
            uniforms = numpy_generator(self.seed, "selection", self.round)
            uniforms = 1 - uniforms.random((2, self.what.data.clients))  # in (0, 1]
            picked = self.selection.select(self.round, uniforms, self._probe)
            picked = self.chain.participants(picked, uniforms[0])
        if not self.train.learn:
            return self._record_picks(picked, picked, [NAN] * len(picked), {})
        with self._timed("train"):
            tasks = {int(client): self._task(client) for client in picked}
            updates = self.local.train(self.model, list(tasks.values()))
        self.participations[picked] += 1
        used = self._finite(picked, updates)
        updates = [
            self._sent(client, tasks[client], update)
            for client, update in zip(tasks, updates, strict=True)
            if client in used
        ]
        self.passes += sum(len(self.world.rows[client]) for client in picked) * self.train.epochs
        samples = self.selection.federation.samples[used]
        before = self.model
        with self._timed("serve"):
            states = [update.state for update in updates]
            weights = self.rule(samples) if states else np.empty(0)
            self.model, total = self.chain.aggregate(before, states, weights, self.round)
            measured = self._contributions(before, updates, used, samples)
            self._learn(used, updates, measured)
        if self.capture is not None:
            self._show(before, [tasks[client] for client in used.tolist()], used, states, total)
        with self._timed("test"):
            scores = self.test(self.model)
        losses = dict(zip(used.tolist(), [update.loss for update in updates], strict=True))
        self._record_picks(picked, used, [losses.get(int(c), NAN) for c in picked], measured)
        self._record_round(scores, np.average(list(losses.values()), weights=samples) if losses else NAN)
        self._record_exchange(len(picked))

    def _task(self, client: int) -> Task:
        """The client's batches of this round, and its learning rate."""
        train, rows = self.train, self.world.rows[client]
        generator = torch_generator(self.seed, "batches", self.round, int(client))
        orders = [rows[torch.randperm(len(rows), generator=generator)] for _ in range(train.epochs)]
        count = self.round - 1 if train.schedule == "round" else int(self.participations[client])
        return self.chain.task(rows, orders, decayed(train, count), self.round, int(client))

    def _sent(self, client: int, task: Task, update: Update) -> Update:
        """The update as the client sends it."""
        before, images = self.model, self.world.train
        sent = self.chain.sent(before, update.state, self.round, client, task, self.train.batch, images)
        return Update(sent, update.loss)

    def _show(self, before, tasks: list[Task], used: np.ndarray, states: list, total) -> None:
        """Give ``capture`` what the server sees of the round: every client's update, or their sum."""
        if total is not None:
            self.capture(Seen(self.round, tuple(used.tolist()), before, total, tuple(tasks)))
            return
        for client, task, state in zip(used.tolist(), tasks, states, strict=True):
            update = {name: value - before[name] for name, value in state.items()}
            self.capture(Seen(self.round, (client,), before, update, (task,)))

    def _finite(self, picked: np.ndarray, updates: list[Update]) -> np.ndarray:
        """The clients whose update is finite. The others are reported and left out, by rule.

        Raises:
            GauntletError: nobody is left.
        """
        good = np.array([update.finite for update in updates], dtype=bool)
        for client in picked[~good]:
            print(
                f"seed {self.seed} round {self.round}: the training of client {client} diverged; left out",
                file=sys.stderr,
            )
        if len(picked) and not good.any():
            what = self.what
            raise GauntletError(
                f"the training of every client diverged (dataset {what.dataset}, architecture "
                f"{what.architecture}, selection {what.method.selection}, seed {self.seed}, "
                f"round {self.round})",
                key="train.lr",
                remedy="lower the learning rate",
            )
        return picked[good]

    def _probe(self, clients: np.ndarray, images: int | None) -> np.ndarray:
        """The global model's mean loss on each client's images (on ``images`` of them, the first)."""
        if not self.train.learn:
            raise GauntletError(
                f"selection {self.what.method.selection!r} needs trained models",
                key="train.learn",
                remedy="set it to true",
            )
        self._load(self.model)
        rows = [self.world.rows[client][:images] for client in clients]
        return np.array([mean_loss(self.net, self.world.train, of_client)[0] for of_client in rows])

    def _load(self, model: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, value in state_of(self.net).items():
                value.copy_(model[name])

    def _contributions(self, before, updates: list[Update], used: np.ndarray, samples: np.ndarray):
        """Column -> values of the used clients; empty in rounds where nobody asked for them."""
        wanted = self.what.method.contributions
        maverick = wanted == "maverick" and np.isin(used, self.world.partition.mavericks).any()
        if not len(used) or not (wanted == "always" or maverick or "shapley" in self.selection.needs):
            return {}
        if not len(self.world.held_out):
            raise GauntletError(
                "contributions are measured on the server's images, and it has none",
                key="data.held_out",
                remedy="set it to some images per class",
            )
        states = [update.state for update in updates]
        return vars(contributions(before, states, samples, self.rule, self.server))

    def _learn(self, used: np.ndarray, updates: list[Update], measured: dict[str, np.ndarray]) -> None:
        """Tell the selection method what it wants to know."""
        accuracies = None
        if "accuracies" in self.selection.needs:
            accuracies = np.empty(len(used))
            for index, (client, update) in enumerate(zip(used, updates, strict=True)):
                self._load(update.state)
                accuracies[index] = mean_loss(self.net, self.world.train, self.world.rows[client])[1]
        shapley = measured.get("shapley_accuracy") if "shapley" in self.selection.needs else None
        losses = np.array([update.loss for update in updates])
        self.selection.observe(Report(self.round, used, losses, accuracies, shapley))

    def _record_picks(self, picked, used, losses, measured) -> None:
        """A row for every picked client, and for every Maverick, picked or not."""
        loss = dict(zip(picked.tolist(), losses, strict=True))
        column = {name: dict(zip(used.tolist(), values, strict=True)) for name, values in measured.items()}
        drawn = self.selection.drawn
        share = None if drawn is None else drawn / drawn.sum()
        for client in sorted({*picked.tolist(), *self.world.partition.mavericks}):
            self.rows["picks"].append(
                {
                    "seed": self.seed,
                    "round": self.round,
                    "client": client,
                    "picked": client in loss,
                    "used": bool(client in used),
                    "samples": len(self.world.rows[client]),
                    "weight": NAN if share is None else float(share[client]),
                    "loss": float(loss.get(client, NAN)),
                    **{
                        name: float(column.get(name, {}).get(client, NAN))
                        for name in (
                            "shapley_accuracy",
                            "shapley_loss",
                            "influence_accuracy",
                            "influence_loss",
                        )
                    },
                }
            )

    def _record_round(self, scores, loss: float) -> None:
        seed, round = self.seed, self.round
        for label in range(self.classes):
            total = int(scores.total[label])
            self.rows["rounds"].append(
                {
                    "seed": seed,
                    "round": round,
                    "label": label,
                    "total": total,
                    "correct": int(scores.correct[0, label]),
                    "loss": float(scores.losses[0, label] / max(total, 1)),
                }
            )
        passes = self.passes / len(self.world.train)
        self.rows["training"].append(
            {"seed": seed, "epoch": round - 1, "member": 0, "loss": float(loss), "passes": passes}
        )
        spent = {name: values[-1] for name, values in self.seconds.items()}
        print(
            f"seed {seed} round {round}/{self.train.rounds} accuracy {scores.accuracy[0]:.4f} "
            f"loss {loss:.3f} " + " ".join(f"{name} {value:.2f} s" for name, value in spent.items()),
            file=sys.stderr,
        )

    def _record_exchange(self, clients: int) -> None:
        """Bytes of the models that went to and fro, and the privacy spent so far."""
        epsilon = self.chain.epsilon(self.round, self.participations)
        self.rows["exchange"].append(
            {
                "seed": self.seed,
                "round": self.round,
                "up_bytes": clients * self.chain.up_bytes(self.model),
                "down_bytes": clients * size(self.model),
                "epsilon": NAN if epsilon is None else epsilon,
            }
        )

    def exchanged(self) -> dict[str, float]:
        """Of the whole run: bytes sent by the clients and to them, and (epsilon, delta) where stated."""
        rows = self.rows["exchange"]
        if not rows:
            return {}
        found = {name: sum(row[name] for row in rows) for name in ("up_bytes", "down_bytes")}
        if self.chain.delta is not None:
            found |= {"epsilon": rows[-1]["epsilon"], "delta": self.chain.delta}
        return found

    def _timed(self, part: str):
        return _Timer(self.seconds[part])

    def medians(self) -> dict[str, float]:
        """Seconds per round, medians: the federator's work (selecting, aggregating, whatever the method
        wants to know) and its parts, local training, and the central evaluation."""
        parts = {name: values for name, values in self.seconds.items() if values}
        found = {f"{name}_seconds": float(np.median(values)) for name, values in parts.items()}
        if "serve" in parts:
            federator = np.add(self.seconds["select"], self.seconds["serve"])
            found["federator_seconds"] = float(np.median(federator))
        return found

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on."""
        return {
            "round": self.round,
            "passes": self.passes,
            "model": self.model,
            "participations": self.participations.tolist(),
            "selection": self.selection.state(),
            "rows": {name: rows for name, rows in self.rows.items() if name != "clients"},
            "seconds": self.seconds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.round, self.passes, self.seconds = state["round"], state["passes"], state["seconds"]
        device = self.world.train.pixels.device
        self.model = {name: value.to(device) for name, value in state["model"].items()}
        self.participations = np.array(state["participations"], dtype=np.int64)
        self.selection.restore(state["selection"])
        self.rows |= state["rows"]


class _Timer:
    """Appends the seconds that its block took."""

    def __init__(self, seconds: list[float]):
        self.seconds = seconds

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds.append(time.perf_counter() - self.start)


def decayed(train: Train, count: int) -> float:
    """The learning rate after ``count`` rounds or participations: ``lr * decay^(count // decay_every)``,
    without the decays that would go below ``least_lr``."""
    lr = train.lr
    if train.decay_every is not None:
        for _ in range(count // train.decay_every):
            if lr * train.decay >= train.least_lr:
                lr *= train.decay
    return lr


def make_selection(what: Identity, federation: world.World) -> Selection:
    """The selection method with its options, told what it will select from.

    Raises:
        GauntletError: unknown method or option, or one that the federation does not allow.
    """
    method = what.method
    selection = create("selection", method.selection, method.options)
    if selection.needs and not what.train.learn:
        raise GauntletError(
            f"selection {method.selection!r} needs trained models", key="train.learn", remedy="set it to true"
        )
    selection.begin(
        Federation(
            histograms=federation.histograms,
            selected=what.train.selected,
            rounds=what.train.rounds,
            mavericks=federation.partition.mavericks,
        )
    )
    return selection
