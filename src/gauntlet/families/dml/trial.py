"""One seed of a cell under attack: every measurement, as rows of the tables."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import torch

from gauntlet.families.dml import checks, projection, sweeps
from gauntlet.families.dml.target import Target, retrieval_scores
from gauntlet.metrics import clustering

NAMES = ("scores", "examples", "projections", "sanity")


class Trial:
    """All measurements of one seed, as rows of the tables.

    Args:
        target: the network and its test images.
        index: (n,) the images' rows in the dataset's test split.
        source: another network for the suite's transfer examples; None for none.
    """

    def __init__(self, target: Target, index: np.ndarray, source):
        self.target, self.index, self.source = target, index, source
        self.settings, self.seed = target.settings, target.seed
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
        nets = list(getattr(target.net, "members", [target.net]))
        self.members = [
            Target(net, target.images, target.labels, target.settings, target.seed)
            for net in (nets if len(nets) > 1 else [])
        ]

    def measure(self) -> dict[str, Any]:
        """The rows per table, and ``seconds`` per part."""
        seconds: dict[str, float] = {}
        for name, part in {"attacks": self.attacks, "sweeps": self.sweeps, "sanity": self.sanity}.items():
            clock = time.perf_counter()
            part()
            seconds[name] = round(time.perf_counter() - clock, 2)
            print(f"seed {self.seed} {name} {seconds[name]:.1f} s", file=sys.stderr)
        if self.seed in self.settings.projection_seeds:
            self.project()
        return {**self.rows, "seconds": seconds}

    def attacks(self) -> None:
        """Suite ``main``: clean, every headline attack, and per metric the worst of them."""
        settings, target = self.settings, self.target
        self.embeddings = {"clean": target.clean}
        worst: dict[tuple[str, str], float] = {}
        for attack in ["clean", *settings.attacks]:
            clean = attack == "clean"
            budget = (0.0, 0, 0.0) if clean else (settings.eps, settings.steps, 1.0)
            images = target.images if clean else target.attack(attack)
            self.embeddings[attack] = target.clean if clean else target.embed(images)
            scores = self.score(attack)
            views = {"ensemble": scores}
            if self.members:
                alone = [full(member, member.embed(images)) for member in self.members]
                views["member"] = {
                    metric: float(np.mean([scores[metric] for scores in alone])) for metric in alone[0]
                }
            for view, values in views.items():
                self.add(values, "main", attack, *budget, view=view)
                if not clean:
                    for metric, value in values.items():
                        worst[view, metric] = min(value, worst.get((view, metric), value))
            shown = " ".join(f"{metric} {scores[metric]:.3f}" for metric in ("nmi", "f1"))
            print(f"seed {self.seed} {attack} recall {first(scores):.3f} {shown}", file=sys.stderr)
        for (view, metric), value in worst.items():
            self.add({metric: value}, "main", "worst", settings.eps, settings.steps, 1.0, view=view)

    def score(self, attack: str) -> dict[str, float]:
        """All scores under one attack; keeps the outcome of every image."""
        target, embeddings = self.target, self.embeddings[attack]
        found, clusters = target.retrieve(embeddings), target.cluster(embeddings)
        self.rows["examples"] += [
            {
                "seed": self.seed,
                "attack": attack,
                "index": int(index),
                "label": int(label),
                "hit": bool(hit),
                "cluster": int(cluster),
            }
            for index, label, hit, cluster in zip(
                self.index, target.classes, found.hits, clusters, strict=True
            )
        ]
        return {**retrieval_scores(found), **clustering.scores(target.classes, clusters)}

    def sweeps(self) -> None:
        target, attack = self.target, self.settings.sweep_attack
        headline = self.embeddings[attack]
        points = [*sweeps.budgets(target, lambda e: full(target, e), headline)]
        points += sweeps.fractions(target, headline)
        if self.members and self.settings.transfer:
            points += sweeps.transfer(target, self.members)
        for point in points:
            self.add(point.pop("scores"), **{"attack": attack, **point})

    def sanity(self) -> None:
        for attack in self.settings.attacks:
            found = checks.run(self.target, attack, self.embeddings[attack], self.source)
            self.rows["sanity"] += [{"seed": self.seed, "attack": attack, **vars(check)} for check in found]
            if failed := [check.check for check in found if not check.passed]:
                print(f"seed {self.seed} {attack} FAILS {', '.join(failed)}", file=sys.stderr)

    def project(self) -> None:
        """t-SNE of the clean and the attacked embeddings (of the sweeps' attack), in one map."""
        names = ["clean", self.settings.sweep_attack]
        maps = projection.tsne(*(self.embeddings[name].cpu().numpy() for name in names))
        self.rows["projections"] += [
            {
                "seed": self.seed,
                "attack": name,
                "index": int(index),
                "label": int(label),
                "x": float(x),
                "y": float(y),
            }
            for name, points in zip(names, maps, strict=True)
            for index, label, (x, y) in zip(self.index, self.target.classes, points, strict=True)
        ]

    def add(self, scores, suite, attack, eps, steps, fraction, view="ensemble", detail="") -> None:
        for metric, value in scores.items():
            self.rows["scores"].append(
                {
                    "seed": self.seed,
                    "suite": suite,
                    "attack": attack,
                    "eps": float(eps),
                    "steps": steps,
                    "fraction": float(fraction),
                    "view": view,
                    "detail": detail,
                    "metric": metric,
                    "value": value,
                }
            )


def full(target: Target, embeddings: torch.Tensor) -> dict[str, float]:
    """All scores of the embeddings of all perturbed images."""
    found = retrieval_scores(target.retrieve(embeddings))
    return {**found, **clustering.scores(target.classes, target.cluster(embeddings))}


def first(scores: dict[str, float]) -> float:
    return next(iter(scores.values()))
