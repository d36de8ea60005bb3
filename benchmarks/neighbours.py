"""Neighbour search and k-means (faiss, through gauntlet.metrics) against scikit-learn: 60,000 x 64."""

from __future__ import annotations

import faiss
import numpy as np
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

from benchmarks import timing
from gauntlet.metrics.clustering import ITERATIONS, kmeans
from gauntlet.metrics.retrieval import neighbours

NEIGHBOURS = 8
RUNS = 5  # of k-means


def embeddings(n: int, dimension: int, classes: int) -> np.ndarray:
    """(n, dimension) float32 unit vectors in ``classes`` overlapping groups."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(classes, dimension))
    points = centres[np.arange(n) % classes] + 1.5 * rng.normal(size=(n, dimension))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def search(points: np.ndarray, rounds: int) -> timing.Comparison:
    found = {}

    def ours() -> None:
        found["ours"] = neighbours(points, points, NEIGHBOURS, exclude=np.arange(len(points)))

    def theirs() -> None:
        model = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute", metric="cosine").fit(points)
        found["theirs"] = model.kneighbors(return_distance=False)  # without the point itself

    seconds = timing.interleave({"ours": ours, "theirs": theirs}, rounds, warmup=0)
    same = (found["ours"][:, 0] == found["theirs"][:, 0]).mean()
    return timing.Comparison(
        f"{NEIGHBOURS} neighbours of all",
        "gauntlet (faiss)",
        "scikit-learn, brute",
        seconds["ours"],
        seconds["theirs"],
        f"nearest neighbours that agree: {same:.4%}",
    )


def cluster(points: np.ndarray, k: int, rounds: int) -> timing.Comparison:
    found = {}

    def ours() -> None:
        found["ours"] = kmeans(points, k, RUNS)

    def theirs() -> None:
        model = KMeans(k, init="random", n_init=RUNS, max_iter=ITERATIONS, tol=0, algorithm="lloyd")
        found["theirs"] = model.set_params(random_state=0).fit_predict(points)

    seconds = timing.interleave({"ours": ours, "theirs": theirs}, rounds, warmup=0)
    spread = {name: inertia(points, clusters) for name, clusters in found.items()}
    return timing.Comparison(
        f"k-means, k = {k}",
        "gauntlet (faiss)",
        "scikit-learn, Lloyd",
        seconds["ours"],
        seconds["theirs"],
        f"k-means {RUNS} runs x {ITERATIONS} iterations; k = {k}: inertia {spread['ours']:.0f} (ours), "
        f"{spread['theirs']:.0f} (scikit-learn)",
    )


def inertia(points: np.ndarray, clusters: np.ndarray) -> float:
    """Sum of squared distances of the points to their clusters' means."""
    groups = [points[clusters == cluster] for cluster in np.unique(clusters)]
    return sum(float(((group - group.mean(axis=0)) ** 2).sum()) for group in groups)


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--size", type=int, default=60_000, help="points")
    options = parser.parse_args()
    faiss.omp_set_num_threads(options.threads)
    rounds = options.rounds or 3
    points = embeddings(options.size, 64, 100)
    rows = [cluster(points, 10, rounds), cluster(points, 100, rounds), search(points, rounds)]
    timing.report("neighbours", rows, options)


if __name__ == "__main__":
    main()
