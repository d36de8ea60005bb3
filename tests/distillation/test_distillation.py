"""What holds for every way of distilling: ranges, owners, rates of 0, resuming; and a toy that works."""

import io

import pytest
import torch
import torch.nn.functional as F
from toy_distillation import (
    CLASSES,
    OBJECTIVES,
    begun,
    convolutional,
    distilled,
    images,
    linear,
    model,
    owners,
    setting,
)

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import create, names
from gauntlet.distillation.draws import table
from gauntlet.distillation.unroll import descend, repeated
from gauntlet.models.copies import copies

#: Large updates, so that ranges are put to the test.
WILD = {"bilevel": {"lr": 1.0, "lr_labels": 2.0, "lr_steps": 0.5}, "gradient_matching": {"lr": 1.0}}
SMALL = {"per_class": 2, "iterations": 5, "batch": 8}


def test_every_method_is_tested():
    assert {*OBJECTIVES, "random_real", "local"} == set(names("distillation"))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_labels_stay_on_the_simplex_steps_positive_and_pixels_in_range(name):
    method = begun(name, setting(convolutional), **{**SMALL, "iterations": 20, **WILD.get(name, {"lr": 1.0})})
    sets = distilled(method)
    assert (sets.labels >= 0).all()
    torch.testing.assert_close(sets.labels.sum(-1), torch.ones(3, 6))
    assert (sets.steps > 0).all()
    assert sets.images.min() >= 0
    assert sets.images.max() <= 1
    onehot = F.one_hot(sets.slots, CLASSES).float().expand(3, -1, -1)
    assert torch.equal(sets.labels, onehot) == (name != "bilevel")
    assert sets.steps.shape == (3, 5 if name == "bilevel" else 0)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_noise_is_normal_where_pixels_are_free_and_cut_where_they_are_not(name):
    large = {"per_class": 200, "iterations": 0}
    free = begun(name, pixels="free", **large).sets.images
    assert free.mean().abs() < 0.02
    assert free.std() == pytest.approx(1, abs=0.02)
    assert torch.equal(begun(name, **large).sets.images, free.clamp(0, 1))
    assert not torch.equal(free[0], free[1])
    moved = distilled(begun(name, setting(convolutional), **{**SMALL, "pixels": "free", "lr": 0.5}))
    assert moved.images.min() < -0.5


@pytest.mark.parametrize("name", OBJECTIVES)
def test_with_rates_of_0_nothing_moves(name):
    still = {"lr": 0.0} | ({"lr_labels": 0.0, "lr_steps": 0.0} if name == "bilevel" else {})
    method = begun(name, setting(convolutional), **SMALL, **still)
    before = method.sets
    after = distilled(method)
    assert torch.equal(after.images, before.images)
    torch.testing.assert_close(after.labels, before.labels)
    torch.testing.assert_close(after.steps, before.steps)


def test_step_sizes_of_0_learn_nothing():
    """The model never moves, so that nothing depends on the samples."""
    method = begun("bilevel", setting(convolutional), **SMALL, step=0.0)
    before = method.sets
    after = distilled(method)
    assert torch.equal(after.images, before.images)
    assert torch.equal(after.steps, torch.zeros(3, 5))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_part_of_a_set_moves_where_there_is_a_rate(name):
    method = begun(name, setting(convolutional), **SMALL)
    before = method.sets
    after = distilled(method)
    moved = (after.images != before.images).flatten(2).any(-1)
    assert moved.all()
    if name == "bilevel":
        assert (after.labels != before.labels).any(-1).all()
        assert (after.steps != before.steps).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_class_that_a_client_lacks_is_not_shared_and_changes_nothing(name):
    world = images()
    on = setting(convolutional, world, owners(world.labels, without=((1, 2),)))
    for received in (False, True):
        found = []
        for value in (0.0, 0.9):
            method = begun(name, on, **SMALL)
            assert method.sets.present.tolist() == [[True] * 6, [True] * 4 + [False] * 2, [True] * 6]
            method.sets.images[1, 4:] = value
            sets = distilled(method)
            assert torch.equal(sets.images[1, 4:], torch.full((2, 1, 4, 4), value))
            found.append(distilled(method, 2, sets.averaged()) if received else sets)
        assert torch.equal(found[0].images[0], found[1].images[0])
        assert torch.equal(found[0].images[1, :4], found[1].images[1, :4])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_clients_are_distilled_together_as_each_alone(name):
    """Whole batches, so that no draw depends on the others; sums are rounded in another order."""
    world = images(dtype=torch.float64)
    rows = owners(world.labels)
    options = {**SMALL, "batch": 100, "nets": "current"}

    def first(of):
        on = setting(linear, world, of)
        method = begun(name, on, **options)
        return distilled(method, start={key: value.double() for key, value in model(method).items()})

    together, alone = first(rows), first(rows[:1])
    torch.testing.assert_close(together.images[0], alone.images[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.labels[0], alone.labels[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.steps[0], alone.steps[0], rtol=1e-4, atol=1e-4)


def test_real_starts_are_images_of_the_client_and_the_class():
    world = images(each=7)
    rows = owners(world.labels)
    sets = begun("random_real", setting(linear, world, rows), per_class=4).sets
    for client in range(3):
        mine = rows[client]
        for slot, label in enumerate(sets.slots.tolist()):
            own = mine[world.labels[mine] == label]
            same = (world.pixels[own] == sets.images[client, slot]).flatten(1).all(1)
            assert same.sum() == 1
        for label in range(CLASSES):  # 2 or 3 images, each taken once before one is taken again
            own = mine[world.labels[mine] == label]
            some = sets.images[client, sets.slots == label]
            assert len(some.flatten(1).unique(dim=0)) == len(own)
    again = begun("random_real", setting(linear, world, rows, seed=1), per_class=4).sets
    assert not torch.equal(again.images, sets.images)


def test_random_real_images_never_change():
    method = begun("random_real", per_class=2)
    before = method.sets
    assert method.once
    assert torch.equal(distilled(method).images, before.images)
    assert torch.equal(distilled(method, 2, method.sets.averaged()).images, before.images)


def test_batches_are_different_rows_of_each_group_and_all_of_a_small_one():
    groups = [torch.arange(10, 30), torch.tensor([5, 3, 8]), torch.tensor([], dtype=torch.int64)]
    drawn, counts = table(groups), torch.zeros(30)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2000):
        rows, weights = drawn.draw(4, generator)
        assert rows.shape == weights.shape == (3, 4)
        assert weights.sum(1).tolist() == [4, 3, 0]
        assert len(set(rows[0].tolist())) == 4
        assert sorted(rows[1][weights[1] > 0].tolist()) == [3, 5, 8]
        counts[rows[0]] += 1
    assert not counts[:10].any()
    # Each of 20 rows in a fifth of the batches: 400 times, with a standard deviation of 18.
    assert (counts[10:] - 400).abs().max() < 90


#: What suits the toy: a bright row in each class, 12 images of each.
TOY = {
    "bilevel": {"iterations": 150, "lr": 0.05, "step": 1.0, "lr_steps": 0.05},
    "gradient_matching": {"iterations": 150, "lr": 0.05, "outer": 5, "inner": 5, "lr_net": 0.3},
    "distribution_matching": {"iterations": 150, "lr": 0.05},
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_one_distilled_sample_per_class_trains_a_model_to_the_accuracy_of_real_images(name):
    """Linearly separable, from noise, one client; judged on images that nobody has seen."""
    world, unseen = images(each=40), images(each=100, seed=1)
    on = setting(linear, world, [torch.arange(len(world))])
    method = begun(name, on, per_class=1, batch=40, **TOY[name])
    start, run = repeated(model(method), 1), copies(on.net)

    def accuracy(theta):
        predicted = run(theta, unseen.pixels[None], False)[0].argmax(1)
        return (predicted == unseen.labels).double().mean().item()

    def trained(samples, steps):
        return descend(run, start, samples, steps)

    many = torch.full((1, 60), 1.0)
    steps = method.sets.steps if name == "bilevel" else many
    noise = accuracy(trained(method.sets.joined(), steps))
    sets = distilled(method)
    steps = sets.steps if name == "bilevel" else many
    real = begun("random_real", on, per_class=40).sets
    assert accuracy(start) < 0.7
    assert noise < 0.9
    assert accuracy(trained(real.joined(), many)) >= 0.99
    assert accuracy(trained(sets.joined(), steps)) >= 0.99


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_round_that_is_resumed_goes_on_bit_for_bit(name):
    def opened():
        method = begun(name, setting(convolutional), **{**SMALL, "iterations": 7})
        sets = distilled(method, 1)
        method.open(2, model(method), sets.averaged())
        return method

    whole = opened()
    for _ in range(4):
        whole.step()
    saved = io.BytesIO()
    torch.save(whole.state(), saved)
    saved.seek(0)
    resumed = opened()
    resumed.restore(torch.load(saved, weights_only=True))
    assert resumed.updates == 4
    for method in (whole, resumed):
        while not method.finished:
            method.step()
    one, other = whole.close(), resumed.close()
    assert torch.equal(one.images, other.images)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.steps, other.steps)
    assert whole.loss() == resumed.loss()
    assert whole.seen == resumed.seen > 0


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("nets", ["current", "random"])
def test_the_model_plays_a_part_where_it_is_not_drawn_anew(name, nets):
    found = []
    for factor in (1.0, 2.0):
        method = begun(name, setting(convolutional), **SMALL, nets=nets)
        start = {key: factor * value for key, value in model(method).items()}
        found.append(distilled(method, start=start).images)
    assert torch.equal(*found) == (nets == "random")


def test_a_set_that_is_not_finite_is_an_error_that_names_its_client():
    method = begun("bilevel", setting(convolutional), **SMALL)
    method.open(3, model(method), None)
    method.step()
    with torch.no_grad():
        method.live["images"][2, 0] = float("nan")
    with pytest.raises(GauntletError, match=r"diverged \(seed 0, round 3, clients 2\)") as caught:
        method.close()
    assert caught.value.key == "method.options"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bilevel", {"per_class": 0}),
        ("bilevel", {"batch": 0}),
        ("bilevel", {"iterations": -1}),
        ("bilevel", {"inner": 0}),
        ("bilevel", {"per_class": 2, "cut": 3}),
        ("bilevel", {"step": -0.1}),
        ("bilevel", {"confidence": 1.0}),
        ("bilevel", {"confidence": 0.3}),
        ("gradient_matching", {"outer": 0}),
        ("gradient_matching", {"inner": -1}),
        ("random_real", {"per_class": 0}),
        ("local", {"epochs": 0}),
        ("local", {"batch": 0}),
    ],
)
def test_options_that_make_no_sense_are_refused(name, options):
    with pytest.raises(GauntletError) as caught:
        create("distillation", name, options).begin(setting())
    assert caught.value.key.startswith("method.options")
    assert caught.value.remedy
