"""Scores of one set of embeddings against pytorch-metric-learning's AccuracyCalculator: 10,000 x 64."""

from __future__ import annotations

import faiss
import numpy as np
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

from benchmarks import timing
from benchmarks.neighbours import embeddings
from gauntlet.metrics import clustering, retrieval

SIZE, DIMENSION = 10_000, 64
INCLUDE = ("precision_at_1", "mean_average_precision_at_r", "NMI", "AMI")


def compare(classes: int, rounds: int) -> timing.Comparison:
    points = embeddings(SIZE, DIMENSION, classes)
    labels = np.arange(SIZE) % classes
    calculator = AccuracyCalculator(include=INCLUDE, k="max_bin_count", device=torch.device("cpu"))
    scores = {}

    def ours() -> None:
        found = retrieval.evaluate(points, points, labels, labels, exclude=np.arange(SIZE))
        clusters = clustering.kmeans(points, classes, runs=1)  # as many as the peer
        scores["ours"] = (found.recall[1], found.map_at_r, *clustering.scores(labels, clusters).values())

    def theirs() -> None:
        answer = calculator.get_accuracy(torch.from_numpy(points), torch.from_numpy(labels))
        scores["theirs"] = tuple(answer[name] for name in INCLUDE)

    seconds = timing.interleave({"ours": ours, "theirs": theirs}, rounds)
    shown = [", ".join(f"{value:.4f}" for value in scores[side]) for side in ("ours", "theirs")]
    return timing.Comparison(
        f"{SIZE} x {DIMENSION}, {classes} classes",
        "gauntlet, and R@2/4/8 and F1",
        "AccuracyCalculator",
        seconds["ours"],
        seconds["theirs"],
        f"{classes} classes: R@1, MAP@R, NMI, AMI (and F1) {shown[0]} (ours), {shown[1]} (the peer)",
    )


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    torch.set_num_threads(options.threads)
    faiss.omp_set_num_threads(options.threads)
    rounds = options.rounds or 5
    timing.report("evaluation", [compare(10, rounds), compare(100, rounds)], options)


if __name__ == "__main__":
    main()
