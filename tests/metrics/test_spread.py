import numpy as np
import pytest

from gauntlet.metrics.spread import between_classes


def test_equals_a_loop_over_all_pairs():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 4)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    classes = rng.integers(0, 4, 30)
    squares = [
        float(np.sum((points[i] - points[j]) ** 2))
        for i in range(30)
        for j in range(30)
        if classes[i] != classes[j]
    ]
    assert between_classes(points, classes) == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-5)


def test_extremes():
    same = np.tile([[1.0, 0.0]], (6, 1)).astype(np.float32)
    assert between_classes(same, [0, 0, 1, 1, 2, 2]) == pytest.approx(0, abs=1e-3)
    opposite = np.array([[1.0, 0.0], [-1.0, 0.0]], dtype=np.float32)
    assert between_classes(opposite, [0, 1]) == pytest.approx(2)
