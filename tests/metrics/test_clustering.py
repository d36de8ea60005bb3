"""Clustering and its scores against scikit-learn, pytorch-metric-learning and enumeration of pairs."""

import itertools

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.metrics import clustering


@pytest.fixture(autouse=True)
def one_thread():
    faiss.omp_set_num_threads(1)


def cloud(n=300, dimension=10, classes=6, seed=0, spread=0.4):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    points = rng.normal(size=(classes, dimension))[labels] + spread * rng.normal(size=(n, dimension))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), labels


def inertia(points, clusters):
    return sum(
        ((points[clusters == c] - points[clusters == c].mean(0)) ** 2).sum() for c in np.unique(clusters)
    )


@pytest.mark.parametrize("spread", [0.4, 1.0])
def test_kmeans_is_as_good_as_scikit_learn(spread):
    from sklearn.cluster import KMeans

    points, _ = cloud(spread=spread)
    ours = clustering.kmeans(points, 6)
    theirs = KMeans(6, n_init=5, max_iter=20, random_state=0).fit(points)
    assert set(ours) == set(range(6))
    assert inertia(points, ours) <= 1.02 * theirs.inertia_


def test_kmeans_uses_all_points_beyond_256_per_cluster():
    """faiss subsamples by default; the far minority would then often be lost."""
    rng = np.random.default_rng(0)
    points = np.zeros((2000, 4), np.float32)
    points[:, 0] = 1
    points += 1e-3 * rng.normal(size=points.shape).astype(np.float32)
    points[:3] = [0, 1, 0, 0]
    clusters = clustering.kmeans(points, 2)
    assert sorted(np.bincount(clusters)) == [3, 1997]


def test_kmeans_is_deterministic_and_survives_duplicates():
    points, _ = cloud()
    assert np.array_equal(clustering.kmeans(points, 6), clustering.kmeans(points, 6))
    same = np.ones((20, 3), np.float32)
    assert clustering.kmeans(same, 4).shape == (20,)


def test_kmeans_refuses_too_few_points_and_nonfinite_ones():
    with pytest.raises(GauntletError, match="cannot form"):
        clustering.kmeans(np.eye(3, dtype=np.float32), 4)
    with pytest.raises(GauntletError, match="not finite"):
        clustering.kmeans(np.full((4, 2), np.nan), 2)


def by_pairs(labels, clusters):
    right = predicted = true = 0
    for i, j in itertools.combinations(range(len(labels)), 2):
        predicted += clusters[i] == clusters[j]
        true += labels[i] == labels[j]
        right += clusters[i] == clusters[j] and labels[i] == labels[j]
    if not right:
        return 0.0
    precision, recall = right / predicted, right / true
    return 2 * precision * recall / (precision + recall)


@settings(max_examples=60, deadline=None)
@given(data=st.lists(st.tuples(st.integers(-3, 4), st.integers(0, 3)), min_size=1, max_size=25))
def test_f1_equals_enumeration_of_pairs(data):
    labels, clusters = map(list, zip(*data, strict=True))
    assert clustering.pairwise_f1(labels, clusters) == pytest.approx(by_pairs(labels, clusters))


def test_scores_equal_pytorch_metric_learning():
    """Its calculator clusters by itself, so it is handed points that have only one clustering."""
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    rng = np.random.default_rng(0)
    place, labels = rng.integers(0, 4, 120), rng.integers(0, 4, 120)
    labels = np.where(rng.random(120) < 0.6, place, labels)
    points = np.eye(4, dtype=np.float32)[place]
    theirs = AccuracyCalculator(include=("NMI", "AMI"), device=torch.device("cpu")).get_accuracy(
        torch.from_numpy(points), torch.from_numpy(labels)
    )
    ours = clustering.scores(labels, clustering.kmeans(points, 4))
    assert ours["nmi"] == pytest.approx(theirs["NMI"])
    assert ours["ami"] == pytest.approx(theirs["AMI"])
    assert 0.1 < ours["nmi"] < 0.9


def test_nmi_by_its_definition():
    labels, clusters = np.array([0, 0, 1, 1, 1, 2]), np.array([1, 1, 1, 0, 0, 0])
    joint = np.zeros((3, 2))
    np.add.at(joint, (labels, clusters), 1 / 6)
    p, q = joint.sum(1), joint.sum(0)
    mutual = sum(v * np.log(v / (p[i] * q[j])) for (i, j), v in np.ndenumerate(joint) if v)
    expected = 2 * mutual / (-(p * np.log(p)).sum() - (q * np.log(q)).sum())
    assert clustering.nmi(labels, clusters) == pytest.approx(expected)


def test_the_ends_of_the_scale():
    labels = np.repeat(np.arange(4), 5)
    assert clustering.scores(labels, 7 - labels) == pytest.approx({"nmi": 1, "ami": 1, "f1": 1})
    together = clustering.scores(labels, np.zeros(20, int))
    assert together["nmi"] == pytest.approx(0)
    assert together["f1"] == pytest.approx(by_pairs(labels, np.zeros(20)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_invariant_to_relabelling_and_rotation(seed):
    rng = np.random.default_rng(seed)
    points, labels = cloud(120, spread=0.2, seed=seed % 5)
    clusters = clustering.kmeans(points, 6)
    names, groups = rng.permutation(50)[:6], rng.permutation(50)[:6]
    plain = clustering.scores(labels, clusters)
    assert clustering.scores(names[labels], groups[clusters]) == pytest.approx(plain)
    rotation = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    turned = clustering.kmeans(points @ rotation, 6)
    assert inertia(points, turned) == pytest.approx(inertia(points, clusters), rel=1e-3)


def test_nothing_to_score_is_refused():
    with pytest.raises(GauntletError, match="nothing to score"):
        clustering.nmi([], [])
