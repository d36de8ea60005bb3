"""The objectives of attacks on retrieval and on ranks, one image and one pair at a time."""

import math

import numpy as np
import pytest
import torch
from largest_tensor import Largest
from torch.nn import functional as F

from gauntlet.attacks.base import Goal, make
from gauntlet.attacks.clean import Clean
from gauntlet.attacks.embedding import perturb
from gauntlet.attacks.geometry import distance, distances, everyone, nearest
from gauntlet.attacks.ranking.base import at_places
from gauntlet.attacks.ranking.hinges import Hinges, lead
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names, resolve
from gauntlet.losses.proxy_anchor import proxy_anchor
from gauntlet.metrics import retrieval

RETRIEVAL = ["gtm", "nearest_positive", "other_centre", "pal", "triplet"]
RANKS = ["ca_minus", "ca_plus", "gtt", "qa_minus", "qa_plus", "tma"]
ATTACKS = [*RETRIEVAL, *RANKS]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def points(n, seed=1, dimension=6):
    return F.normalize(torch.randn(n, dimension, generator=rng(seed)))


@pytest.fixture(scope="module")
def scene():
    """A small net, 40 images of 4 classes (labels with gaps), and their clean embeddings."""
    torch.manual_seed(0)
    layer = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(16, 24), torch.nn.ReLU(), torch.nn.Linear(24, 6)
    )
    layer.requires_grad_(False)
    labels = torch.arange(40) % 4 * 3 + 2
    prototypes = torch.rand(12, 1, 4, 4)
    x = (0.5 * prototypes[labels] + 0.5 * torch.rand(40, 1, 4, 4)).clamp(0, 1)

    def embed(images):
        return F.normalize(layer(images))

    return embed, x, embed(x), labels


def attack(scene, name, **changes):
    """(method, adversarial images, rows)"""
    embed, x, clean, labels = scene
    method = make(name, Clean(clean, labels), rng(5))
    budget = {"eps": 0.2, "step": 0.05, "steps": 8, "generator": rng(3), **changes}
    found = perturb(method, embed, x, Clean(clean, labels), **budget)
    return method, found, changes.get("rows", torch.arange(len(x)))


def neighbours(clean, row):
    """Other rows by rising distance, one distance at a time."""
    others = [j for j in range(len(clean)) if j != row]
    return sorted(others, key=lambda j: float(torch.dist(clean[row], clean[j])))


def test_every_attack_is_tested():
    assert {*ATTACKS, "centre", "joint_pair", "margin", "shift"} <= set(names("attack"))


def test_neighbours_equal_a_loop(scene, monkeypatch):
    monkeypatch.setattr("gauntlet.attacks.geometry.BLOCK", 7)
    monkeypatch.setattr("gauntlet.metrics.retrieval.BATCH", 7)
    _, _, clean, labels = scene
    found = {among: nearest(Clean(clean, labels), among) for among in (torch.eq, torch.ne, everyone)}
    places = torch.randint(0, 10, (len(clean),), generator=rng())
    at = at_places(Clean(clean, labels), torch.arange(len(clean)), places)
    for row in range(len(clean)):
        order = neighbours(clean, row)
        assert found[everyone][row] == order[0]
        assert found[torch.eq][row] == next(j for j in order if labels[j] == labels[row])
        assert found[torch.ne][row] == next(j for j in order if labels[j] != labels[row])
        assert at[row] == order[places[row]]
    some = torch.tensor([31, 2])
    assert at_places(Clean(clean, labels), some, places[some]).tolist() == at[some].tolist()


def test_no_neighbour_is_minus_one(scene):
    _, _, clean, labels = scene
    lone = labels.clone()
    lone[4] = 99
    assert nearest(Clean(clean, lone), torch.eq)[4] == -1
    assert (nearest(Clean(clean, torch.zeros_like(labels)), torch.ne) == -1).all()


def test_distances_have_a_gradient_at_zero():
    place = points(3).requires_grad_(True)
    found = distances(place, place.detach())
    assert found.diagonal().max() < 2e-3
    (gradient,) = torch.autograd.grad(found.sum(), place)
    assert torch.isfinite(gradient).all()


def test_nearest_positive_is_the_distance_to_the_clean_querys_nearest_of_its_class(scene):
    _, _, clean, labels = scene
    rows = torch.tensor([7, 2, 31])
    moved = points(3)
    found = resolve("attack", "nearest_positive")(Clean(clean, labels)).objective(moved, rows)
    for score, place, row in zip(found, moved, rows.tolist(), strict=True):
        target = next(j for j in neighbours(clean, row) if labels[j] == labels[row])
        assert float(score) == pytest.approx(float(torch.dist(place, clean[target])), abs=1e-5)


def test_nearest_positive_leaves_wrong_queries_clean(scene):
    """As RDML does: they are errors already, and might become right by accident."""
    embed, x, clean, labels = scene
    wrong = torch.tensor([labels[neighbours(clean, row)[0]] != labels[row] for row in range(len(x))])
    assert 0 < wrong.sum() < len(x)
    scored = retrieval.evaluate(clean, clean, labels, labels, ks=(1,), exclude=np.arange(len(x)))
    assert wrong.tolist() == [not hit for hit in scored.hits]
    _, found, _ = attack(scene, "nearest_positive")
    changed = (found != x).flatten(1).any(1)
    assert torch.equal(changed, ~wrong)
    rows = torch.tensor([int(wrong.nonzero()[0]), int((~wrong).nonzero()[0])])
    _, found, _ = attack(scene, "nearest_positive", rows=rows)
    assert (found != x[rows]).flatten(1).any(1).tolist() == [False, True]
    _, found, _ = attack(scene, "nearest_positive", rows=wrong.nonzero()[:, 0])
    assert torch.equal(found, x[wrong])
    similarity = (embed(attack(scene, "nearest_positive")[1]) @ clean.T).fill_diagonal_(-2)
    after = labels[similarity.argmax(1)] != labels
    assert (after >= wrong).all()
    assert after.sum() > wrong.sum()


def test_a_class_of_one_image_has_no_positive(scene):
    _, _, clean, labels = scene
    lone = labels.clone()
    lone[4] = 99
    rows = torch.tensor([4])
    method = resolve("attack", "nearest_positive")(Clean(clean, lone))
    assert method.spared[4]
    assert float(method.objective(points(1), rows)) == 0
    place = points(1).requires_grad_(True)
    score = resolve("attack", "triplet")(Clean(clean, lone)).objective(place, rows)
    farthest = max(float(torch.dist(points(1)[0], clean[j])) for j in range(len(clean)) if j != 4)
    assert score.tolist() == pytest.approx([-farthest], abs=1e-5)
    (gradient,) = torch.autograd.grad(score.sum(), place)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["gtm", "other_centre"])
def test_one_class_is_refused(scene, name):
    _, _, clean, labels = scene
    with pytest.raises(GauntletError, match="of one class"):
        resolve("attack", name)(Clean(clean, torch.zeros_like(labels)))


def test_other_centre_takes_the_nearest_wrong_class_of_the_clean_query(scene):
    _, _, clean, labels = scene
    rows, moved = torch.tensor([7, 2, 31]), points(3)
    found = resolve("attack", "other_centre")(Clean(clean, labels)).objective(moved, rows)
    centres = {int(k): clean[labels == k].mean(0) for k in labels.unique()}

    def cosine(a, b):
        return float(torch.cosine_similarity(a, b, dim=0))

    for score, place, row in zip(found, moved, rows.tolist(), strict=True):
        own = int(labels[row])
        wrong = max((k for k in centres if k != own), key=lambda k: cosine(clean[row], centres[k]))
        expected = cosine(place, centres[wrong]) - cosine(place, centres[own])
        assert float(score) == pytest.approx(expected, abs=1e-5)


def test_triplet_is_nearest_right_less_farthest_wrong(scene):
    _, _, clean, labels = scene
    rows, moved = torch.tensor([7, 2, 31]), points(3)
    found = resolve("attack", "triplet")(Clean(clean, labels)).objective(moved, rows)
    for score, place, row in zip(found, moved, rows.tolist(), strict=True):
        apart = {j: float(torch.dist(place, clean[j])) for j in range(len(clean)) if j != row}
        right = min(d for j, d in apart.items() if labels[j] == labels[row])
        wrong = max(d for j, d in apart.items() if labels[j] != labels[row])
        assert float(score) == pytest.approx(right - wrong, abs=1e-5)


def test_gtm_is_the_negated_distance_to_the_nearest_of_another_class(scene):
    _, _, clean, labels = scene
    rows, moved = torch.tensor([7, 2, 31]), points(3)
    found = resolve("attack", "gtm")(Clean(clean, labels)).objective(moved, rows)
    for score, place, row in zip(found, moved, rows.tolist(), strict=True):
        target = next(j for j in neighbours(clean, row) if labels[j] != labels[row])
        assert float(score) == pytest.approx(-float(torch.dist(place, clean[target])), abs=1e-5)


def test_pal_is_the_loss_of_a_batch_of_one_by_hand(scene):
    _, _, clean, labels = scene
    rows, moved = torch.tensor([7, 2, 31]), points(3)
    found = resolve("attack", "pal")(Clean(clean, labels)).objective(moved, rows)
    classes = labels.unique().tolist()
    means = [F.normalize(clean[labels == k].mean(0), dim=0) for k in classes]
    for score, place, row in zip(found, moved, rows.tolist(), strict=True):
        expected = 0.0
        for k, mean in zip(classes, means, strict=True):
            s = float(place @ mean)
            if k == labels[row]:
                expected += math.log1p(math.exp(-32 * (s - 0.1)))
            else:
                expected += math.log1p(math.exp(32 * (s + 0.1))) / len(classes)
        assert float(score) == pytest.approx(expected, rel=1e-4)
        alone = proxy_anchor(place[None], torch.tensor([classes.index(int(labels[row]))]), torch.stack(means))
        assert float(score) == pytest.approx(float(alone), rel=1e-4)


def brute_rank(query, candidate, clean, pair):
    """Share of the other images that are nearer to the query than the candidate is."""
    others = [j for j in range(len(clean)) if j not in pair]
    apart = float(torch.dist(query, candidate))
    return sum(float(torch.dist(query, clean[j])) < apart for j in others) / len(others)


@pytest.mark.parametrize("name", ["ca_plus", "ca_minus", "qa_plus", "qa_minus"])
def test_ranks_and_their_hinges_one_pair_at_a_time(scene, name):
    _, _, clean, labels = scene
    rows, moved = torch.tensor([7, 2, 31, 0]), points(4)
    method = make(name, Clean(clean, labels), rng(5))
    found, ranks = method.objective(moved, rows), method.measures(moved, rows)["rank"]
    for score, rank, place, row in zip(found, ranks, moved, rows.tolist(), strict=True):
        other = int(method.others[row])
        assert other != row
        if name.endswith("minus"):
            assert other == neighbours(clean, row)[0]  # the nearest 1% of 40 images is one
        query, candidate = (clean[other], place) if name.startswith("ca") else (place, clean[other])
        assert float(rank) == pytest.approx(brute_rank(query, candidate, clean, {row, other}))
        hinge, apart = [], float(torch.dist(query, candidate))
        for j in range(len(clean)):
            if j not in (row, other):
                ahead = apart - float(torch.dist(query, clean[j]))
                hinge.append(max(ahead if name.endswith("plus") else -ahead, 0))
        assert float(score) == pytest.approx(-sum(hinge) / len(hinge), abs=1e-5)


def plain_hinges(pair, queries, gallery, left_out, sign):
    """The sum that ``Hinges`` makes, from the whole matrix of distances."""
    ahead = sign * (pair[:, None] - distances(queries, gallery))
    return ahead.clamp(min=0).scatter(1, left_out, 0).sum(1)


@pytest.mark.parametrize("cells", [1, 8, 37, 2**20])
@pytest.mark.parametrize("sign", [1, -1])
def test_hinges_and_their_gradients_equal_those_of_the_whole_matrix(monkeypatch, cells, sign):
    monkeypatch.setattr("gauntlet.attacks.ranking.hinges.CELLS", cells)
    gallery, candidates = points(40).double(), points(4, seed=2).double()
    moved = points(4, seed=3).double()
    left_out = torch.tensor([[0, 39], [9, 8], [5, 5], [38, 1]])
    found = []
    for hinges in (Hinges.apply, plain_hinges):
        queries, ends = moved.clone().requires_grad_(), candidates.clone().requires_grad_()
        total = hinges(distance(queries, ends), queries, gallery, left_out, sign)
        weights = torch.tensor([1.0, -2.0, 0.5, 3.0])
        found.append((total.detach(), *torch.autograd.grad((weights * total).sum(), (queries, ends))))
    for ours, theirs in zip(*found, strict=True):
        assert theirs.abs().max() > 0.1
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("cells", [1, 8, 37, 2**20])
def test_blocks_cover_the_gallery_once_without_those_left_out(monkeypatch, cells):
    monkeypatch.setattr("gauntlet.attacks.ranking.hinges.CELLS", cells)
    gallery, queries, pair = points(40), points(4, seed=2), torch.full((4,), 3.0)  # farther than all
    left_out = torch.tensor([[0, 39], [9, 8], [5, 5], [38, 1]])
    blocks, apart, ahead = zip(*lead(pair, queries, gallery, left_out), strict=True)
    assert torch.equal(torch.cat(blocks), gallery)
    torch.testing.assert_close(torch.cat(apart, 1), distances(queries, gallery))
    expected = torch.ones(4, 40, dtype=torch.bool).scatter(1, left_out, False)
    assert torch.equal(torch.cat(ahead, 1) > 0, expected)


@pytest.mark.parametrize("name", ["ca_plus", "ca_minus", "qa_plus", "qa_minus"])
def test_hinges_have_a_gradient_where_the_image_has_a_twin(scene, name):
    """A query on top of an image of the gallery: the distance 0 has no gradient, and makes none infinite."""
    _, _, clean, labels = scene
    twins = clean.clone()
    twins[1] = twins[0]
    method = make(name, Clean(twins, labels), rng(5))
    place = twins[:1].clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(method.objective(place, torch.tensor([0])).sum(), place)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() < 10


@pytest.mark.parametrize("name", RANKS)
def test_ranking_attacks_make_no_matrix_of_all_pairs(name, monkeypatch):
    """The largest tensor that targets, objective, gradient and measures make."""
    n, cells = 3000, 2**12
    monkeypatch.setattr("gauntlet.attacks.ranking.hinges.CELLS", cells)
    monkeypatch.setattr("gauntlet.metrics.retrieval.BATCH", 100)
    clean, rows = points(n), torch.arange(200)
    with Largest() as largest:
        method = make(name, Clean(clean, torch.arange(n)), rng(5))
        place = clean[rows].requires_grad_(True)
        torch.autograd.grad(method.objective(place, rows).sum(), place)
        method.measures(place.detach(), rows)
    assert largest.numel <= max(clean.numel(), cells, 100 * (n // 100 + 1))


def test_gtt_asks_for_the_first_image_of_the_clean_query(scene):
    _, _, clean, labels = scene
    rows = torch.arange(len(clean))
    method = make("gtt", Clean(clean, labels), rng())
    assert method.others.tolist() == [neighbours(clean, row)[0] for row in range(len(clean))]
    assert all(float(kept.mean()) == 1 for kept in method.measures(clean, rows).values())
    moved = points(len(clean))
    for k in (1, 4):
        kept = method.measures(moved, rows)[f"retained@{k}"]
        for row in range(len(clean)):
            pair = {row, int(method.others[row])}
            place = brute_rank(moved[row], clean[method.others[row]], clean, pair) * (len(clean) - 2)
            assert bool(kept[row]) == (round(place) < k)


def test_targets_are_drawn_uniformly_from_the_others():
    clean, labels = points(5), torch.arange(5)
    drawn = torch.stack([make("ca_plus", Clean(clean, labels), rng(seed)).others for seed in range(2000)])
    assert (drawn != torch.arange(5)).all()
    counts = torch.stack([(drawn[:, 0] == j).sum() for j in range(1, 5)])
    assert (counts - 500).abs().max() < 100


def test_near_targets_are_drawn_from_the_nearest_hundredth():
    clean, labels = points(300), torch.arange(300)
    drawn = torch.stack([make("qa_minus", Clean(clean, labels), rng(seed)).others for seed in range(60)])
    for row in (0, 123):
        assert set(drawn[:, row].tolist()) == set(neighbours(clean, row)[:3])


def test_the_same_generator_draws_the_same_targets(scene):
    _, _, clean, labels = scene
    first, second = (make("tma", Clean(clean, labels), rng(9)).targets for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, make("tma", Clean(clean, labels), rng(10)).targets)


def test_two_images_have_no_ranks():
    with pytest.raises(GauntletError, match="three images"):
        make("qa_plus", Clean(points(2), torch.tensor([0, 0])), rng())


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_raises_its_objective_within_the_budget(scene, name):
    embed, x, clean, _ = scene
    method, found, rows = attack(scene, name)
    assert (found - x).abs().max() <= 0.2 + 1e-6
    before, after = (method.objective(e, rows) for e in (clean, embed(found)))
    assert before.shape == after.shape == (len(x),)
    assert after.mean() > before.mean() + 0.01


@pytest.mark.parametrize("name", RANKS)
def test_ranking_attacks_move_their_measure_towards_their_goal(scene, name):
    embed, _, clean, _ = scene
    method, found, rows = attack(scene, name, eps=0.4, step=0.05, steps=20)
    metric = method.goal.metric
    before, after = (float(method.measures(e, rows)[metric].mean()) for e in (clean, embed(found)))
    assert 0 <= method.goal.score(after) < 0.6 * method.goal.score(before) <= 1


def test_a_goal_scores_its_ends():
    goal = Goal("cosine", broken=1.0, intact=-1.0)
    assert [goal.score(value) for value in (1.0, 0.0, -1.0)] == [0, 0.5, 1]


@pytest.mark.parametrize("name", ATTACKS)
def test_the_batch_size_changes_nothing(scene, name):
    whole = attack(scene, name, restarts=2)[1]
    parts = attack(scene, name, restarts=2, batch=5)[1]
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_objective_of_an_image_depends_on_no_other(scene, name):
    _, _, clean, labels = scene
    rows, moved = torch.tensor([7, 2, 31]), points(3)
    method = make(name, Clean(clean, labels), rng(5))
    alone = torch.cat([method.objective(moved[i : i + 1], rows[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(method.objective(moved, rows), alone)


def test_a_class_that_is_no_attack_is_refused(scene, monkeypatch):
    _, _, clean, labels = scene
    monkeypatch.setattr("gauntlet.attacks.base.resolve", lambda kind, name: dict)
    with pytest.raises(GauntletError, match=r"inherit from gauntlet.attacks.base.Attack"):
        make("shift", Clean(clean, labels), rng())


def test_by_name_targets_are_drawn_from_the_searchs_generator(scene):
    embed, x, clean, labels = scene
    budget = {"eps": 0.1, "step": 0.05, "steps": 2}
    found = [perturb("tma", embed, x, Clean(clean, labels), generator=rng(4), **budget) for _ in range(2)]
    assert torch.equal(*found)


# A gallery of its own.


@pytest.fixture(scope="module")
def hall():
    """9 queries and 31 images of a gallery, of the same 3 classes (labels with gaps)."""
    return points(9), torch.arange(9) % 3 * 4 + 1, (points(31, seed=2), torch.arange(31) % 3 * 4 + 1)


@pytest.mark.parametrize("name", ["gtm", "gtt", "margin", "nearest_positive", "shift", "triplet", *RANKS])
def test_a_query_is_searched_in_the_gallery_as_if_it_were_one_more_image_of_it(hall, name):
    queries, labels, (gallery, gallery_labels) = hall
    rows, moved = torch.tensor([7, 0, 3]), points(3, seed=3)
    method = make(name, Clean(queries, labels, hall[2]), rng(5))
    found, measured = method.objective(moved, rows), method.measures(moved, rows)
    for place, row in enumerate(rows.tolist()):
        together = torch.cat([gallery, queries[row, None]])
        with_it = Clean(together, torch.cat([gallery_labels, labels[row, None]]))
        alone, at = make(name, with_it, rng(5)), torch.tensor([len(gallery)])
        if name in RANKS and name != "tma":
            if name == "gtt":
                assert alone.others[-1] == method.others[row]
            alone.others[-1] = method.others[row]
        if name == "tma":
            alone.targets[-1] = method.targets[row]
        expected = alone.objective(moved[place, None], at)
        assert float(found[place]) == pytest.approx(float(expected), abs=1e-6)
        for metric, values in alone.measures(moved[place, None], at).items():
            assert float(measured[metric][place]) == pytest.approx(float(values))
        if method.spared is not None:
            assert method.spared[row] == alone.spared[-1]


def test_neighbours_in_a_gallery_equal_a_loop(hall, monkeypatch):
    monkeypatch.setattr("gauntlet.attacks.geometry.BLOCK", 4)
    queries, labels, (gallery, gallery_labels) = hall
    known = Clean(queries, labels, hall[2])
    found = {among: nearest(known, among) for among in (torch.eq, torch.ne, everyone)}
    second = at_places(known, torch.arange(9), torch.ones(9, dtype=torch.int64))
    for row in range(9):
        order = sorted(range(31), key=lambda j: float(torch.dist(queries[row], gallery[j])))
        assert found[everyone][row] == order[0]
        assert found[torch.eq][row] == next(j for j in order if gallery_labels[j] == labels[row])
        assert found[torch.ne][row] == next(j for j in order if gallery_labels[j] != labels[row])
        assert second[row] == order[1]


def test_class_means_are_the_gallerys(hall):
    queries, labels, (gallery, gallery_labels) = hall
    known, rows, moved = Clean(queries, labels, hall[2]), torch.tensor([7, 0]), points(2, seed=3)
    means = {int(k): gallery[gallery_labels == k].mean(0) for k in gallery_labels.unique()}

    def cosine(a, b):
        return float(torch.cosine_similarity(a, b, dim=0))

    centre, other, pal = (make(name, known, rng()) for name in ("centre", "other_centre", "pal"))
    proxies = torch.stack(list(means.values()))
    for place, row in zip(moved, rows.tolist(), strict=True):
        own = int(labels[row])
        wrong = max((k for k in means if k != own), key=lambda k: cosine(queries[row], means[k]))
        at = torch.tensor([row])
        assert float(centre.objective(place[None], at)) == pytest.approx(-cosine(place, means[own]), abs=1e-5)
        expected = cosine(place, means[wrong]) - cosine(place, means[own])
        assert float(other.objective(place[None], at)) == pytest.approx(expected, abs=1e-5)
        loss = proxy_anchor(place[None], torch.tensor([list(means).index(own)]), proxies)
        assert float(pal.objective(place[None], at)) == pytest.approx(float(loss), rel=1e-4)


def test_a_class_without_gallery_images_is_named_or_spared(hall):
    queries, labels, gallery = hall
    lone = labels.clone()
    lone[4] = 2
    known = Clean(queries, lone, gallery)
    with pytest.raises(GauntletError, match="no image of class 2"):
        make("centre", known, rng())
    assert make("nearest_positive", known, rng()).spared[4]


def test_targets_are_drawn_from_all_of_the_gallery(hall):
    queries, labels, _ = hall
    known = Clean(queries, labels, (points(5), torch.tensor([1, 5, 9, 1, 5])))
    drawn = torch.stack([make("ca_plus", known, rng(seed)).others for seed in range(2000)])
    counts = torch.stack([(drawn[:, 2] == j).sum() for j in range(5)])
    assert (counts - 400).abs().max() < 90
    one = Clean(queries, labels, (points(1), labels[:1]))
    with pytest.raises(GauntletError, match="three images"):
        make("ca_plus", one, rng())


def test_the_joint_attack_moves_the_queries_among_themselves(hall):
    queries, labels, gallery = hall
    rows, moved = torch.arange(9), points(9, seed=3)
    found = [
        make("joint_pair", Clean(queries, labels, g), rng()).objective(moved, rows) for g in (gallery, None)
    ]
    assert torch.equal(*found)
