"""One seed of a cell under attack: every measurement, as rows of the tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from gauntlet.families import tables
from gauntlet.families.dml import checks, projection, robrank, sweeps
from gauntlet.families.dml.settings import TABLES
from gauntlet.families.dml.target import Target, embed, retrieval_scores
from gauntlet.metrics import clustering, retrieval
from gauntlet.metrics.spread import between_classes


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
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES["attack"]}
        nets = list(getattr(target.net, "members", [target.net]))
        self.members = [target.of(net) for net in (nets if len(nets) > 1 else [])]

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
        """Suite ``main``: clean, every attack, and the worst of those with the headline's budget.

        The attacker knows the outcome of every attack: the worst is chosen query by query for retrieval,
        whose queries are scored one by one, and per metric for clustering, which is scored as a set.
        An attack's own measures are those of the ensemble; suite ``before`` has them for the clean images,
        and suite ``robrank`` has that paper's score over its attacks.
        """
        settings, target = self.settings, self.target
        views = {"ensemble": [target], **({"member": self.members} if self.members else {})}
        outcomes = {view: [[] for _ in targets] for view, targets in views.items()}
        self.embeddings = {}
        measured = {}
        for attack in ["clean", *settings.attacks]:
            clean = attack == "clean"
            entry = None if clean else settings.attack(attack)
            budget = (0.0, 0, 0.0) if clean else (entry.eps, entry.steps, 1.0)
            victims = [victim for targets in views.values() for victim in targets]
            found = [victim.clean for victim in victims]
            if not clean:
                found = embed([victim.net for victim in victims], target.attack(attack))
            moved = iter(found)
            for view, targets in views.items():
                for victim, outcome in zip(targets, outcomes[view], strict=True):
                    outcome.append(Outcome(victim, next(moved)))
                scores = mean(outcome[-1].scores for outcome in outcomes[view])
                self.add(scores, "main", attack, *budget, view)
            latest = outcomes["ensemble"][0][-1]
            if not clean:
                own = target.measures(attack, latest.embeddings)
                self.add(own, "main", attack, *budget)
                self.add(target.measures(attack, target.clean), "before", attack, 0.0, 0, 0.0)
                shift = float((latest.embeddings - target.clean).norm(dim=1).mean())
                measured[attack] = {**own, "recall@1": latest.scores["recall@1"], "shift": shift}
            self.embeddings[attack] = latest.embeddings
            self.example(attack, latest)
            shown = " ".join(f"{metric} {latest.scores[metric]:.3f}" for metric in ("recall@1", "nmi", "f1"))
            print(f"seed {self.seed} {attack} {shown}", file=sys.stderr)
        headline = settings.headline()
        places = [1 + list(settings.attacks).index(label) for label in headline]
        for view, found in outcomes.items() if headline else ():
            scores = mean(worst([outcome[place] for place in places]) for outcome in found)
            self.add(scores, "main", "worst", settings.eps, settings.steps, 1.0, view)
        self.add(robrank.score(settings, measured), "robrank", "worst", settings.eps, settings.steps, 1.0)

    def example(self, attack: str, outcome: Outcome) -> None:
        """Keep what became of every image."""
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
                self.index, self.target.classes, outcome.retrieval.hits, outcome.clusters, strict=True
            )
        ]

    def sweeps(self) -> None:
        target, attack = self.target, self.settings.sweep_attack
        headline = self.embeddings[attack]
        points = [*sweeps.budgets(target, lambda e: Outcome(target, e).scores, headline)]
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
        where = {
            "suite": suite,
            "eps": eps,
            "steps": steps,
            "fraction": fraction,
            "view": view,
            "detail": detail,
        }
        self.rows["scores"] += [
            tables.score(self.seed, attack, metric, value, **where) for metric, value in scores.items()
        ]


class Outcome:
    """What perturbed images do to one network: retrieval, clusters and ``scores`` by metric."""

    def __init__(self, target: Target, embeddings: torch.Tensor):
        self.embeddings = embeddings
        self.retrieval, self.clusters = target.retrieve(embeddings), target.cluster(embeddings)
        #: Scores of the images as a set.
        self.whole = {
            **clustering.scores(target.classes, self.clusters),
            "class_distance": between_classes(embeddings, target.classes),
        }

    @property
    def scores(self) -> dict[str, float]:
        return {**retrieval_scores(self.retrieval), **self.whole}


def worst(outcomes: list[Outcome]) -> dict[str, float]:
    """The scores that the best choice among several attacks leaves."""
    together = retrieval.worst([outcome.retrieval for outcome in outcomes])
    lowest = {name: min(outcome.whole[name] for outcome in outcomes) for name in outcomes[0].whole}
    return {**retrieval_scores(together), **lowest}


def mean(scores: Iterable[dict[str, float]]) -> dict[str, float]:
    scores = list(scores)
    return {name: float(np.mean([each[name] for each in scores])) for name in scores[0]}
