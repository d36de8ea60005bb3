"""The test-time attacks against brute force."""

import math

import pytest
import torch
from largest_tensor import Largest
from torch.nn import functional as F

from gauntlet.attacks.clean import Clean
from gauntlet.attacks.embedding import batch_size, perturb, perturbed
from gauntlet.attacks.norms import ball
from gauntlet.attacks.pgd import pgd
from gauntlet.attacks.starts import starts
from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names, resolve

NAMES = ["centre", "joint_pair", "margin", "shift"]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def scene():
    """A small net, 23 images of 4 classes (labels with gaps), and their clean embeddings."""
    torch.manual_seed(0)
    layer = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(16, 24), torch.nn.ReLU(), torch.nn.Linear(24, 6)
    )
    layer.requires_grad_(False)
    labels = torch.arange(23) % 4 * 3 + 2
    prototypes = torch.rand(12, 1, 4, 4)
    x = (0.6 * prototypes[labels] + 0.4 * torch.rand(23, 1, 4, 4)).clamp(0, 1)

    def embed(images):
        return F.normalize(layer(images))

    return embed, x, embed(x), labels


def make(scene, attack, **changes):
    embed, x, clean, labels = scene
    budget = {"eps": 0.2, "step": 0.05, "steps": 8, **changes}
    budget.setdefault("generator", torch.Generator().manual_seed(3))
    return perturb(attack, embed, x, Clean(clean, labels), **budget)


def brute_joint(embeddings, labels):
    """Mean cosine between classes minus mean cosine within, from the full n x n matrix."""
    cosine = F.normalize(embeddings.double()) @ F.normalize(embeddings.double()).T
    same = labels[:, None] == labels
    itself = torch.eye(len(labels), dtype=torch.bool)
    return cosine[~same].mean() - cosine[same & ~itself].mean()


def test_the_attacks_are_registered():
    assert set(NAMES) <= set(names("attack"))


@pytest.mark.parametrize("part", [slice(None), slice(3, 11)])
def test_joint_pair_equals_the_matrix_of_all_pairs(scene, part):
    _, _, clean, labels = scene
    rows = torch.randperm(len(labels), generator=torch.Generator().manual_seed(2))[part]
    moved = F.normalize(torch.randn(len(rows), 6, generator=torch.Generator().manual_seed(1)))
    everything = clean.clone()
    everything[rows] = moved
    ours = resolve("attack", "joint_pair")(Clean(clean, labels)).objective(moved, rows)
    assert float(ours) == pytest.approx(float(brute_joint(everything, labels)), abs=1e-5)


def test_joint_pair_has_the_gradient_of_the_matrix(scene):
    _, _, clean, labels = scene
    rows = torch.tensor([4, 0, 9])
    method = resolve("attack", "joint_pair")(Clean(clean, labels))
    moved = F.normalize(torch.randn(3, 6, generator=torch.Generator().manual_seed(1)))

    def ours(free):
        return method.objective(F.normalize(free), rows)

    def brute(free):
        return brute_joint(clean.index_put((rows,), F.normalize(free)), labels)

    gradients = [torch.autograd.functional.jacobian(f, moved) for f in (ours, brute)]
    torch.testing.assert_close(gradients[0], gradients[1].float(), atol=1e-5, rtol=1e-4)
    assert gradients[0].abs().max() > 1e-3


def test_joint_pair_makes_no_matrix_of_all_pairs():
    """The largest tensor that the attack, its objective and its gradient make."""
    clean = F.normalize(torch.randn(3000, 6, generator=torch.Generator().manual_seed(1)))
    with Largest() as largest:
        method = resolve("attack", "joint_pair")(Clean(clean, torch.arange(3000) % 40))
        moved = clean.clone().requires_grad_(True)
        torch.autograd.grad(method.objective(moved, torch.arange(3000)), moved)
    assert largest.numel == clean.numel()


def test_shift_and_centre_objectives_one_image_at_a_time(scene):
    _, _, clean, labels = scene
    rows = torch.tensor([7, 2])
    moved = F.normalize(torch.randn(2, 6, generator=torch.Generator().manual_seed(1)))
    shift = resolve("attack", "shift")(Clean(clean, labels)).objective(moved, rows)
    centre = resolve("attack", "centre")(Clean(clean, labels)).objective(moved, rows)
    for i, row in enumerate(rows):
        assert float(shift[i]) == pytest.approx(float(torch.dist(moved[i], clean[row]) ** 2), abs=1e-5)
        mean = clean[labels == labels[row]].mean(0)
        assert float(centre[i]) == pytest.approx(
            -float(torch.cosine_similarity(moved[i], mean, dim=0)), abs=1e-5
        )


def test_the_margin_one_image_at_a_time(scene):
    """Against loops over the gallery; at a low temperature its sign is the outcome of recall@1."""
    _, _, clean, labels = scene
    rows = torch.tensor([7, 2, 21])
    moved = F.normalize(torch.randn(3, 6, generator=torch.Generator().manual_seed(1)))
    method = resolve("attack", "margin")(Clean(clean, labels))
    for found, place, row in zip(method.objective(moved, rows), moved, rows.tolist(), strict=True):
        sums = {True: 0.0, False: 0.0}
        for j, other in enumerate(clean):
            if j != row:
                sums[bool(labels[j] == labels[row])] += math.exp(float(place @ other) / 0.05)
        assert float(found) == pytest.approx(0.05 * math.log(sums[False] / sums[True]), abs=1e-5)


def test_the_margin_of_a_class_with_one_image_has_a_gradient(scene):
    _, _, clean, labels = scene
    lone = labels.clone()
    lone[4] = 99
    place = clean[4:5].clone().requires_grad_(True)
    score = resolve("attack", "margin")(Clean(clean, lone)).objective(place, torch.tensor([4]))
    (gradient,) = torch.autograd.grad(score.sum(), place)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_the_margin_fools_more_queries_than_the_other_attacks(scene):
    embed, _, clean, labels = scene

    def fooled(attack):
        similarity = embed(make(scene, attack, eps=0.15)) @ clean.T
        return int((labels[similarity.fill_diagonal_(-2).argmax(1)] != labels).sum())

    assert fooled("margin") >= max(fooled("shift"), fooled("centre"))
    assert fooled("margin") > 0


@pytest.mark.parametrize("attack", NAMES)
def test_every_attack_raises_its_objective_within_the_budget(scene, attack):
    embed, x, clean, labels = scene
    method, rows = resolve("attack", attack)(Clean(clean, labels)), torch.arange(len(x))
    found = make(scene, attack)
    assert (found - x).abs().max() <= 0.2 + 1e-6
    assert method.objective(embed(found), rows).mean() > method.objective(clean, rows).mean() + 0.05


@pytest.mark.parametrize("attack", NAMES)
def test_the_batch_size_changes_nothing(scene, attack):
    """Per-image attacks work in batches; the joint attack recomputes activations batch by batch."""
    whole = make(scene, attack, restarts=2)
    parts = make(scene, attack, restarts=2, batch=5)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("attack", NAMES)
def test_rows_are_perturbed_in_their_order(scene, attack):
    _, x, _, _ = scene
    rows = torch.tensor([20, 3, 11])
    found = make(scene, attack, rows=rows, eps=0.05)
    assert found.shape == x[rows].shape
    assert (found - x[rows]).abs().max() <= 0.05 + 1e-6


def test_a_joint_attack_on_a_few_images_counts_the_clean_ones(scene):
    embed, _, clean, labels = scene
    rows = torch.arange(6)
    mixed = clean.clone()
    mixed[rows] = embed(make(scene, "joint_pair", rows=rows))
    assert brute_joint(mixed, labels) > brute_joint(clean, labels)


@pytest.mark.parametrize("attack", NAMES)
def test_a_small_start_stays_where_it_is_without_steps(scene, attack):
    """The start's radius is not the budget: begun in the noise of a huge budget, any net would break."""
    _, x, _, _ = scene
    for batch in (1000, 7):
        near = make(scene, attack, eps=1.0, steps=0, start_eps=0.01, batch=batch)
        far = make(scene, attack, eps=1.0, steps=0, batch=batch)
        assert (near - x).abs().max() <= 0.01 + 1e-6
        assert (far - x).abs().max() > 0.3


def test_activations_are_recomputed_only_beyond_one_batch(scene, monkeypatch):
    """The first use of torch's checkpoint imports its compiler, which takes seconds."""
    from torch.utils import checkpoint

    used = []

    def recorded(embed, part, **options):
        used.append(len(part))
        return embed(part)

    monkeypatch.setattr(checkpoint, "checkpoint", recorded)
    for attack in NAMES:
        make(scene, attack, batch=23)
    for attack in NAMES:  # these go batch by batch
        make(scene, attack, batch=10)
    assert used == []
    make(scene, "joint_pair", batch=10, steps=1, search="adam")
    assert used == [10, 10, 3] * 2  # the step, and a look at its end


def test_images_are_asked_for_a_batch_at_a_time(scene):
    """Of a set larger than the device, that is what fits; the images of a joint attack wait at home."""
    embed, x, clean, labels = scene
    known, sizes = Clean(clean, labels), []

    def view(rows):
        sizes.append(len(rows))
        return x[rows]

    for name in NAMES:
        budget = {"eps": 0.2, "step": 0.05, "steps": 3, "restarts": 2, "batch": 5}
        method = resolve("attack", name)(known)
        rows = torch.arange(len(x))
        found = [*perturbed(method, embed, view, rows, generator=rng(), home="cpu", **budget)]
        assert [len(part) for part in found] == [5, 5, 5, 5, 3]
        expected = perturb(method, embed, x, known, generator=rng(), **budget)
        assert torch.equal(torch.cat(found), expected)
    assert max(sizes) == 5


@pytest.mark.parametrize(
    ("search", "norm"), [("pgd", "linf"), ("pgd", "l2"), ("adam", "linf"), ("cw", "linf")]
)
def test_the_batch_changes_no_bit_of_what_is_attacked_image_by_image(scene, search, norm):
    """Where the network does not depend on it either; also with images between that are spared."""
    _, x, _, labels = scene
    weights = torch.randn(16, 6, generator=rng(8))

    def embed(images):  # no matrix product, whose rounding depends on the number of rows
        return F.normalize((images.flatten(1)[:, :, None] * weights).sum(1))

    known = Clean(embed(x), labels)
    budget = {"eps": 0.2, "step": 0.05, "steps": 4, "restarts": 3, "search": search, "norm": norm}
    spared = resolve("attack", "nearest_positive")(known).spared
    assert 0 < spared.sum() < len(x)
    for name in ("shift", "centre", "nearest_positive"):
        found = [
            perturb(name, embed, x, known, generator=rng(3), batch=batch, **budget) for batch in (1000, 7, 1)
        ]
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 5)])
def test_starts_in_batches_are_those_of_one_draw(norm, shape):
    """Also where the pixels of a block are no multiple of those that torch draws together."""
    x = torch.rand(150, *shape, generator=rng(1))
    whole = rng(4)
    expected = [ball(norm).start(x, 0.3, whole) for _ in range(3)]
    batched = rng(4)
    each = list(starts(norm, 0.3, x[:1], len(x), 3, batched))
    for found, start in zip(each, expected, strict=True):
        parts = [found.around(x[places], places) for places in torch.arange(len(x)).split(37)]
        assert torch.equal(torch.cat(parts), start)
    assert torch.equal(whole.get_state(), batched.get_state())
    (few,) = starts(norm, 0.3, x[:1], len(x), 1, rng(4))
    places = torch.tensor([3, 64, 65, 149])
    assert torch.equal(few.around(x[places], places), expected[0][places])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_joint_attack_in_batches_is_pgd_on_all_images(scene, norm):
    """Against the search on the whole set, whose gradient is taken at once."""
    embed, x, clean, labels = scene
    method = resolve("attack", "joint_pair")(Clean(clean, labels))
    budget = {"eps": 0.4, "step": 0.1, "steps": 5, "restarts": 3, "norm": norm}

    def objective(images):
        return method.objective(embed(images), torch.arange(len(x)))

    expected = pgd(objective, x, generator=rng(3), **budget)
    found = make(scene, "joint_pair", batch=4, generator=rng(3), **budget)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_joint_attack_in_batches_notices_what_is_not_a_number(scene):
    embed, x, clean, labels = scene
    method = resolve("attack", "joint_pair")(Clean(clean, labels))
    budget = {"eps": 0.1, "step": 0.1, "steps": 2, "generator": rng(), "batch": 4}
    with pytest.raises(GauntletError, match="not finite"):
        perturb(method, lambda images: embed(images) * float("nan"), x, Clean(clean, labels), **budget)


@pytest.mark.parametrize(
    ("budget", "key"),
    [
        ({"eps": -0.1}, "eps"),
        ({"eps": float("nan")}, "eps"),
        ({"eps": float("inf"), "norm": "l2"}, "eps"),
        ({"step": 0.0}, "step"),
        ({"step": -0.01}, "step"),
        ({"steps": -1}, "steps"),
        ({"start_eps": -1.0}, "start_eps"),
    ],
)
def test_an_impossible_budget_is_refused(scene, budget, key):
    with pytest.raises(GauntletError, match=f"^{key}: "):
        make(scene, "shift", **budget)


def test_photos_go_in_smaller_batches_than_small_images():
    assert batch_size(1, 28) == batch_size(3, 32) == 1000
    assert batch_size(3, 224) == 128
    assert batch_size(3, 10_000) == 1


@pytest.mark.parametrize("attack", NAMES)
def test_deterministic(scene, attack):
    assert torch.equal(make(scene, attack), make(scene, attack))


def test_a_set_of_singletons_has_no_pairs_within_classes(scene):
    _, _, clean, _ = scene
    method = resolve("attack", "joint_pair")(Clean(clean, torch.arange(len(clean))))
    assert torch.isfinite(method.objective(clean, torch.arange(len(clean))))


def test_an_unknown_attack_is_named(scene):
    with pytest.raises(GauntletError, match="joint_pair"):
        make(scene, "joint_pairs")
