"""Who owns which images: every partition's promises, and the laws that the skewed ones follow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names, resolve
from gauntlet.data.partitions.base import Partition, split_by_shares

#: Every partition, with options that leave no client of the small federations below empty.
CASES = [
    ("iid", {}),
    ("dirichlet", {"alpha": 1.0, "least": 1}),
    ("dirichlet", {"alpha": 0.3, "balanced": True}),
    ("quantity", {"alpha": 0.3, "least": 2}),
    ("maverick", {}),
    ("maverick", {"pure": True, "classes": [0]}),
    ("maverick", {"kind": "shared", "mavericks": 2}),
    ("maverick", {"kind": "exclusive", "mavericks": 2, "pure": True}),
]
FMNIST = np.repeat(np.arange(10), 6000)


def divide(name, labels, clients, seed=0, **options):
    return resolve("partition", name)(labels, clients, np.random.default_rng(seed), **options)


def balanced(classes=10, per_class=60, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), per_class))


def test_every_partition_has_a_case():
    assert {name for name, _ in CASES} == set(names("partition"))


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
@given(
    counts=st.lists(st.integers(12, 40), min_size=3, max_size=5),
    clients=st.integers(3, 6),
    seed=st.integers(0, 999),
)
@settings(max_examples=25, deadline=None)
def test_every_row_is_owned_exactly_once(name, options, counts, clients, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    partition = divide(name, labels, clients, seed, **options)
    assert len(partition.rows) == clients
    assert np.array_equal(np.sort(np.concatenate(partition.rows)), np.arange(len(labels)))
    for rows in partition.rows:
        assert rows.dtype == np.int64
        assert len(rows)
        assert (np.diff(rows) > 0).all()
    histograms = partition.histograms(labels, len(counts) + 1)
    assert histograms.shape == (clients, len(counts) + 1)
    assert histograms.sum(axis=0).tolist() == [*counts, 0]
    for client, rows in enumerate(partition.rows):
        for label in range(len(counts)):
            assert histograms[client, label] == np.sum(labels[rows] == label)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_the_generator_alone_decides(name, options):
    labels = balanced(4, 30)

    def rows(seed):
        return [part.tolist() for part in divide(name, labels, 5, seed, **options).rows]

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    clients=st.integers(1, 9),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_iid_clients_differ_by_one_image_per_class_and_in_all(counts, clients, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if len(labels) < clients:
        labels = np.concatenate([labels, np.zeros(clients, dtype=labels.dtype)])
    partition = divide("iid", labels, clients, seed)
    histograms = partition.histograms(labels, len(counts))
    assert np.ptp(histograms, axis=0).max() <= 1
    assert np.ptp(histograms.sum(axis=1)) <= 1
    assert partition.mavericks == ()


def moments(samples):
    return samples.mean(), samples.var()


@pytest.mark.parametrize("alpha", [0.2, 0.5, 5.0])
def test_dirichlet_class_shares_have_the_laws_mean_variance_and_covariance(alpha):
    clients, classes, per_class, draws = 5, 10, 400, 200
    labels = np.repeat(np.arange(classes), per_class)
    shares = np.concatenate(
        [
            divide("dirichlet", labels, clients, seed, alpha=alpha, least=1).histograms(labels, classes).T
            for seed in range(draws)
        ]
    )
    shares = shares / per_class  # (draws x classes, clients), each row ~ Dir(alpha 1)
    total = clients * alpha
    assert np.allclose(shares.mean(axis=0), 1 / clients, atol=0.02)
    covariance = np.cov(shares.T)
    variance = (1 / clients) * (1 - 1 / clients) / (total + 1)
    assert np.diag(covariance) == pytest.approx(variance, rel=0.12)
    assert covariance[0, 1:].mean() == pytest.approx(-(1 / clients**2) / (total + 1), rel=0.12)


def test_dirichlet_shares_are_drawn_again_until_everyone_has_the_least():
    labels, kept, redrawn = balanced(), 0, 0
    for seed in range(40):
        free, strict = (divide("dirichlet", labels, 8, seed, alpha=0.2, least=least) for least in (1, 25))
        assert min(map(len, strict.rows)) >= 25
        same = all(np.array_equal(a, b) for a, b in zip(free.rows, strict.rows, strict=True))
        assert same == (min(map(len, free.rows)) >= 25)
        kept, redrawn = kept + same, redrawn + (not same)
    assert min(kept, redrawn) > 3


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_balanced_dirichlet_keeps_sizes_and_draws_class_mixes(alpha):
    clients, classes, per_class, draws = 20, 10, 100, 300
    labels, first = np.repeat(np.arange(classes), per_class), []
    for seed in range(draws):
        partition = divide("dirichlet", labels, clients, seed, alpha=alpha, balanced=True)
        histograms = partition.histograms(labels, classes)
        assert (histograms.sum(axis=1) == 50).all()
        first.append(histograms[0] / 50)  # before any class runs out: Dirichlet-multinomial
    mean, variance = moments(np.array(first))
    assert mean == pytest.approx(1 / classes)
    total = classes * alpha
    expected = (1 / classes) * (1 - 1 / classes) / 50 * (50 + total) / (1 + total)
    assert variance == pytest.approx(expected, rel=0.12)


def test_balanced_dirichlet_sizes_differ_by_one_where_images_do_not_divide():
    labels = balanced(3, 35)
    sizes = [len(rows) for rows in divide("dirichlet", labels, 10, alpha=0.1, balanced=True).rows]
    assert sorted(sizes) == [10] * 5 + [11] * 5


@pytest.mark.parametrize("alpha", [0.3, 3.0])
def test_quantity_skew_draws_sizes_and_not_classes(alpha):
    clients, draws, least = 5, 400, 4
    labels = balanced(4, 250)
    sizes, largest = [], []
    for seed in range(draws):
        histograms = divide("quantity", labels, clients, seed, alpha=alpha, least=least).histograms(labels, 4)
        sizes.append(histograms.sum(axis=1))
        largest.append(histograms[sizes[-1].argmax()] / sizes[-1].max())
    sizes = np.array(sizes)
    assert sizes.min() >= least
    shares = (sizes - least) / (len(labels) - clients * least)
    mean, variance = moments(shares)
    assert mean == pytest.approx(1 / clients)
    assert variance == pytest.approx(0.2 * 0.8 / (clients * alpha + 1), rel=0.12)
    assert np.mean(largest, axis=0) == pytest.approx([0.25] * 4, abs=0.01)
    assert np.abs(np.array(largest) - 0.25).max() < 0.2


@pytest.mark.parametrize(("mavericks", "classes"), [(1, [1]), (2, [0, 1]), (3, [0, 1, 2])])
@pytest.mark.parametrize("pure", [False, True])
def test_exclusive_mavericks_own_the_papers_classes_whole(mavericks, classes, pure):
    partition = divide("maverick", FMNIST, 50, mavericks=mavericks, pure=pure)
    assert partition.mavericks == tuple(range(50 - mavericks, 50))
    histograms = partition.histograms(FMNIST, 10)
    others = [label for label in range(10) if label not in classes]
    for position, label in enumerate(classes):
        expected = np.zeros(50, dtype=int)
        expected[50 - mavericks + position] = 6000
        assert histograms[:, label].tolist() == expected.tolist()
    common = histograms[:, others]
    dealt_to = 50 - mavericks if pure else 50
    assert set(common[:dealt_to].ravel()) <= {6000 // dealt_to, -(-6000 // dealt_to)}
    assert np.ptp(common[:dealt_to].sum(axis=1)) <= 1
    if pure:
        assert not common[dealt_to:].any()
    else:
        assert (common == 120).all()
        assert histograms[-1].sum() > histograms[:4].sum()  # more than the rest of a round together


@pytest.mark.parametrize(
    ("mavericks", "shares", "expected"),
    [(1, None, [6000]), (2, None, [3000, 3000]), (3, None, [2000] * 3), (2, [0.91, 0.09], [5460, 540])],
)
@pytest.mark.parametrize("pure", [False, True])
def test_shared_mavericks_split_one_class(mavericks, shares, expected, pure):
    partition = divide("maverick", FMNIST, 50, kind="shared", mavericks=mavericks, shares=shares, pure=pure)
    assert partition.mavericks == tuple(range(50 - mavericks, 50))
    histograms = partition.histograms(FMNIST, 10)
    assert histograms[:, 1].tolist() == [0] * (50 - mavericks) + expected
    common = np.delete(histograms, 1, axis=1)
    assert np.ptp(common[: 50 - mavericks], axis=0).max() <= 1
    assert (common[50 - mavericks :] == (0 if pure else 120)).all()


def test_the_maverick_classes_can_be_chosen():
    partition = divide("maverick", balanced(), 6, mavericks=2, classes=[7, 3])
    histograms = partition.histograms(balanced(), 10)
    assert np.flatnonzero(histograms[4] == 60).tolist() == [7]
    assert np.flatnonzero(histograms[5] == 60).tolist() == [3]
    shared = divide("maverick", balanced(), 6, mavericks=2, kind="shared", classes=[9])
    assert shared.histograms(balanced(), 10)[:, 9].tolist() == [0, 0, 0, 0, 30, 30]


def test_which_images_of_a_shared_class_go_where_is_drawn():
    one, two = (divide("maverick", FMNIST, 50, seed, kind="shared", mavericks=2) for seed in (1, 2))
    owned = [set(partition.rows[48][FMNIST[partition.rows[48]] == 1]) for partition in (one, two)]
    assert 0.4 < len(owned[0] & owned[1]) / 3000 < 0.6


def test_pieces_follow_their_shares():
    pieces = split_by_shares(np.arange(10), np.array([0.5, 0.0, 0.3, 0.2]))
    assert [piece.tolist() for piece in pieces] == [[0, 1, 2, 3, 4], [], [5, 6, 7], [8, 9]]


def test_histograms_count_classes_that_nobody_owns():
    partition = Partition([np.array([0, 2]), np.array([1])])
    assert partition.histograms(np.array([2, 0, 2]), 4).tolist() == [[0, 0, 2, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("name", "clients", "options", "key"),
    [
        ("iid", 700, {}, "data.clients"),
        ("dirichlet", 5, {"alpha": 0}, "data.options.alpha"),
        ("dirichlet", 5, {"alpha": -1.0}, "data.options.alpha"),
        ("dirichlet", 5, {"alpha": float("nan")}, "data.options.alpha"),
        ("dirichlet", 5, {"alpha": 0, "balanced": True}, "data.options.alpha"),
        ("dirichlet", 61, {"alpha": 100.0, "least": 10}, "data.options.least"),
        ("dirichlet", 50, {"alpha": 0.001, "least": 1}, "data.options.least"),
        ("dirichlet", 700, {"balanced": True}, "data.clients"),
        ("quantity", 5, {"alpha": 0}, "data.options.alpha"),
        ("quantity", 5, {"alpha": 0.001, "least": 0}, "data.clients"),
        ("quantity", 61, {"least": 10}, "data.options.least"),
        ("maverick", 5, {"mavericks": 5}, "data.options.mavericks"),
        ("maverick", 5, {"mavericks": 0}, "data.options.mavericks"),
        ("maverick", 5, {"mavericks": -1}, "data.options.mavericks"),
        ("maverick", 5, {"classes": [10]}, "data.options.classes"),
        ("maverick", 5, {"classes": [1, 2]}, "data.options.classes"),
        ("maverick", 5, {"classes": []}, "data.options.classes"),
        ("maverick", 5, {"mavericks": 2, "classes": [1]}, "data.options.classes"),
        ("maverick", 5, {"mavericks": 2, "classes": [1, 1]}, "data.options.classes"),
        ("maverick", 5, {"mavericks": 2, "kind": "shared", "classes": [1, 2]}, "data.options.classes"),
        ("maverick", 5, {"shares": [1.0]}, "data.options.shares"),
        ("maverick", 5, {"mavericks": 2, "kind": "shared", "shares": [1.0]}, "data.options.shares"),
        ("maverick", 5, {"mavericks": 2, "kind": "shared", "shares": [0.9, 0.2]}, "data.options.shares"),
        ("maverick", 5, {"mavericks": 2, "kind": "shared", "shares": [1.5, -0.5]}, "data.options.shares"),
        ("maverick", 5, {"mavericks": 2, "kind": "shared", "shares": [1.0, 0.0]}, "data.options.shares"),
        ("maverick", 700, {}, "data.clients"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_key(name, clients, options, key):
    with pytest.raises(GauntletError) as caught:
        divide(name, balanced(), clients, **options)
    assert caught.value.key == key
    assert caught.value.problem


def test_a_class_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(GauntletError, match=r"no class 1 .*\n.*choose among 0, 2"):
        divide("maverick", np.array([0, 2, 2, 0, 2, 0]), 3)


def test_clients_without_images_are_numbered():
    with pytest.raises(GauntletError, match=r"without images: 3, 4"):
        divide("iid", np.array([0, 1, 2]), 5)


def test_an_unknown_partition_is_named():
    with pytest.raises(GauntletError, match="did you mean 'dirichlet'"):
        resolve("partition", "dirichlett")
