"""Retrieval scores against brute force and pytorch-metric-learning."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.metrics import retrieval


@pytest.fixture(autouse=True)
def one_thread():
    faiss.omp_set_num_threads(1)


def cloud(n=60, dimension=8, classes=5, seed=0, spread=0.6):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    points = rng.normal(size=(classes, dimension))[labels] + spread * rng.normal(size=(n, dimension))
    return unit(points), labels


def unit(points):
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def brute(queries, gallery, query_labels, gallery_labels, k, exclude=None):
    """Recall at k and MAP at R, one query at a time by a full sort."""
    recall, precision = [], []
    for i, query in enumerate(queries):
        order = np.argsort(-(gallery.astype(float) @ query.astype(float)), kind="stable")
        order = [j for j in order if exclude is None or j != exclude[i]]
        right = [gallery_labels[j] == query_labels[i] for j in order]
        total = sum(right)
        if not total:
            continue
        recall.append(any(right[:k]))
        at = [sum(right[: r + 1]) / (r + 1) * right[r] for r in range(total)]
        precision.append(sum(at) / total)
    return np.mean(recall), np.mean(precision)


@pytest.mark.parametrize("k", [1, 2, 4, 8])
@pytest.mark.parametrize("perturbed", [False, True])
def test_equals_brute_force(k, perturbed):
    gallery, labels = cloud()
    queries = (
        unit(gallery + 0.8 * np.random.default_rng(1).normal(size=gallery.shape)) if perturbed else gallery
    )
    exclude = np.arange(len(labels))
    found = retrieval.evaluate(queries, gallery, labels, labels, ks=(k,), exclude=exclude)
    recall, precision = brute(queries, gallery, labels, labels, k, exclude)
    assert found.recall[k] == pytest.approx(recall)
    assert found.map_at_r == pytest.approx(precision)
    assert 0.3 < precision < 0.99


def test_query_and_gallery_of_their_own():
    gallery, labels = cloud(50, seed=3)
    queries, query_labels = cloud(20, seed=4)
    found = retrieval.evaluate(queries, gallery, query_labels, labels, ks=(2,))
    assert (found.recall[2], found.map_at_r) == pytest.approx(
        brute(queries, gallery, query_labels, labels, 2)
    )
    assert retrieval.recall_at_k(queries, gallery, query_labels, labels, [2]) == {2: found.recall[2]}
    assert retrieval.map_at_r(queries, gallery, query_labels, labels) == found.map_at_r


def test_equals_pytorch_metric_learning():
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    points, labels = cloud(200, spread=0.9)
    theirs = AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r"),
        k="max_bin_count",
        device=torch.device("cpu"),
    ).get_accuracy(torch.from_numpy(points), torch.from_numpy(labels))
    ours = retrieval.evaluate(points, points, labels, labels, exclude=np.arange(len(labels)))
    assert ours.recall[1] == pytest.approx(theirs["precision_at_1"])
    assert ours.r_precision == pytest.approx(theirs["r_precision"], abs=1e-6)
    assert ours.map_at_r == pytest.approx(theirs["mean_average_precision_at_r"], abs=1e-6)
    assert ours.map_at_r < ours.r_precision < ours.recall[1]


def test_self_is_excluded_by_index_and_not_by_rank():
    """The perturbed query 0 is nearest to image 2, of another class; its clean self is second."""
    gallery = unit(np.array([[1, 0], [0.9, 0.5], [0, 1], [0.1, 1]], float))
    queries = gallery.copy()
    queries[0] = unit(np.array([[0.35, 0.8]]))[0]
    labels = np.array([0, 0, 1, 1])
    exclude = np.arange(4)
    nearest = retrieval.neighbours(queries, gallery, 1, exclude)[0, 0]
    assert nearest == 3
    assert not retrieval.evaluate(queries, gallery, labels, labels, ks=(1,), exclude=exclude).hits[0]


def test_the_worst_is_chosen_query_by_query():
    """Two attacks that each miss other queries: together they miss both."""
    gallery = np.eye(4, dtype=np.float32)
    labels = np.array([0, 0, 1, 1])

    def attack(*nearest):
        return retrieval.evaluate(gallery[list(nearest)], gallery, labels, labels, exclude=np.arange(4))

    first, second = attack(2, 0, 3, 2), attack(1, 3, 3, 2)  # the first fools query 0, the second query 1
    together = retrieval.worst([first, second])
    assert (first.recall[1], second.recall[1], together.recall[1]) == (0.75, 0.75, 0.5)
    assert together.map_at_r <= min(first.map_at_r, second.map_at_r)
    assert retrieval.worst([first]).recall == first.recall


def test_ties_and_duplicates_are_ranked_by_index():
    points = unit(np.ones((40, 6)))
    found = retrieval.neighbours(points, points, 3, exclude=np.arange(40))
    assert found[0].tolist() == [1, 2, 3]
    assert found[2].tolist() == [0, 1, 3]
    assert all(i not in row for i, row in enumerate(found))
    assert np.array_equal(found, retrieval.neighbours(points, points, 3, exclude=np.arange(40)))


def test_ties_among_others_are_ranked_by_index():
    """Runs of duplicates, in rows with and without ties: against a stable sort."""
    points, _ = cloud(12)
    places = np.random.default_rng(5).permutation(np.r_[np.arange(12), [3, 3, 7, 7, 7, 0]])
    gallery, queries = points[places], points
    found = retrieval.neighbours(queries, gallery, len(places))
    similarity = (queries @ points.T)[:, places]  # duplicates get equal similarities
    assert np.array_equal(found, np.argsort(-similarity, axis=1, kind="stable"))


def test_a_small_gallery_has_no_more_neighbours():
    points, _ = cloud(3)
    assert retrieval.neighbours(points, points, 4, exclude=np.arange(3))[:, 2:].max() == -1


@pytest.mark.parametrize(("bound", "value"), [("BATCH", 7), ("NEIGHBOURS", 60), ("NEIGHBOURS", 1)])
def test_batches_change_nothing(monkeypatch, bound, value):
    points, labels = cloud(100)
    whole = retrieval.evaluate(points, points, labels, labels, exclude=np.arange(100))
    monkeypatch.setattr(retrieval, bound, value)
    parts = retrieval.evaluate(points, points, labels, labels, exclude=np.arange(100))
    assert parts.recall == whole.recall
    assert parts.map_at_r == pytest.approx(whole.map_at_r)
    assert np.array_equal(parts.hits, whole.hits)


def test_a_query_without_a_match_is_left_out_of_the_mean():
    points, _ = cloud(4)
    found = retrieval.evaluate(points, points, [0, 0, 0, 9], [0, 0, 0, 9], ks=(3,), exclude=np.arange(4))
    assert found.recall[3] == 1.0
    assert not found.hits[3]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_invariant_to_rotation_and_to_names_of_classes(seed):
    rng = np.random.default_rng(seed)
    points, labels = cloud(40, seed=seed)
    rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    names = rng.permutation(100)[:5]
    plain = retrieval.evaluate(points, points, labels, labels, exclude=np.arange(40))
    turned = unit(points @ rotation)
    other = retrieval.evaluate(turned, turned, names[labels], names[labels], exclude=np.arange(40))
    assert plain.recall == other.recall
    assert plain.map_at_r == pytest.approx(other.map_at_r)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_embeddings_are_refused(bad):
    points, labels = cloud()
    points[3, 2] = bad
    with pytest.raises(GauntletError, match="not finite"):
        retrieval.evaluate(points, points, labels, labels)


def test_nothing_to_find_is_refused():
    points, _ = cloud(4)
    with pytest.raises(GauntletError, match="no query has another image"):
        retrieval.evaluate(points, points, np.arange(4), np.arange(4), exclude=np.arange(4))


def test_labels_must_fit():
    points, labels = cloud()
    with pytest.raises(GauntletError, match="integer labels"):
        retrieval.evaluate(points, points, labels[:-1], labels)
