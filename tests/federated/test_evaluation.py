"""Scores of global models against one image at a time, and credit against every coalition by hand."""

from copy import deepcopy
from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gauntlet.core.registry import names, resolve
from gauntlet.families.federated.contributions import contributions, mean
from gauntlet.families.federated.evaluation import BATCH, Evaluator, mean_loss
from gauntlet.families.federated.world import Images
from gauntlet.models.classifiers import build
from gauntlet.models.copies import state_of


def network(seed=0):
    torch.manual_seed(seed)
    net = build("cnn2_bn", 1, 8, 4).double()
    with torch.no_grad():
        for value in state_of(net).values():
            value.add_(torch.rand_like(value), alpha=0.3)
    return net.eval()


def states(count):
    return [{name: value.clone() for name, value in state_of(network(seed)).items()} for seed in range(count)]


def pictures(n):
    generator = torch.Generator().manual_seed(3)
    pixels = torch.rand(n, 1, 8, 8, generator=generator, dtype=torch.float64)
    return Images(pixels, torch.randint(3, (n,), generator=generator))  # none of class 3


@pytest.mark.parametrize("n", [1, BATCH, 2 * BATCH + 37])
def test_scores_count_every_image_once_under_its_class(n):
    images = pictures(n)
    evaluate = Evaluator(network(9), images, 4)
    scores = evaluate(*states(3))
    assert scores.total.tolist() == [int((images.labels == label).sum()) for label in range(4)]
    for index in range(3):
        net = network(index)
        correct, losses = np.zeros(4), np.zeros(4)
        for pixels, label in zip(images.pixels, images.labels, strict=True):
            logits = net(pixels[None])[0]
            correct[label] += int(logits.argmax()) == int(label)
            losses[label] -= logits.log_softmax(dim=0)[label].item()
        assert scores.correct[index].tolist() == correct.tolist()
        assert scores.losses[index] == pytest.approx(losses)
        assert scores.accuracy[index] == pytest.approx(correct.sum() / n)
        assert scores.loss[index] == pytest.approx(losses.sum() / n)


def test_evaluating_neither_keeps_nor_changes_anything():
    evaluate, (one, two) = Evaluator(network(9), pictures(50), 4), states(2)
    before = {name: value.clone() for name, value in one.items()}
    alone, together, again = evaluate(one), evaluate(two, one), evaluate(one)
    assert alone.loss[0] == together.loss[1] == again.loss[0] != together.loss[0]
    assert all(torch.equal(value, one[name]) for name, value in before.items())


@pytest.mark.parametrize("rows", [[4], list(range(7, 260, 2))])
def test_the_mean_loss_of_some_rows(rows):
    images, net = pictures(260), network()
    logits, labels = net(images.pixels[rows]), images.labels[rows]
    loss, accuracy = mean_loss(net.train(), images, torch.tensor(rows))
    assert loss == pytest.approx(F.cross_entropy(logits, labels).item())
    assert accuracy == pytest.approx((logits.argmax(dim=1) == labels).double().mean().item())


def test_the_mean_of_models_is_weighted():
    one, two, three = states(3)
    found = mean([one, two, three], np.array([0.5, 0.2, 0.3]))
    assert found.keys() == one.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, 0.5 * one[name] + 0.2 * two[name] + 0.3 * three[name])
    assert all(torch.equal(value, states(1)[0][name]) for name, value in one.items())


@pytest.mark.parametrize("rule", names("aggregation"))
def test_credit_equals_that_of_every_coalition_by_hand(rule):
    """Each subset is aggregated and evaluated by itself; values are means over all orders of joining."""
    rule, samples, images = resolve("aggregation", rule), np.array([30, 5, 12, 7]), pictures(120)
    before, *locals_ = states(5)
    everyone = range(len(locals_))

    def value(members):
        net = deepcopy(network(9))
        if members:
            weights = rule(samples[list(members)])
            chosen = [locals_[member] for member in members]
            state = {n: sum(w * s[n] for w, s in zip(weights, chosen, strict=True)) for n in before}
        else:
            state = before
        net.load_state_dict({**net.state_dict(), **state})
        logits = net.eval()(images.pixels)
        hits = (logits.argmax(dim=1) == images.labels).double().mean().item()
        return np.array([hits, -F.cross_entropy(logits, images.labels).item()])

    subsets = {frozenset(k for k in everyone if mask >> k & 1) for mask in range(2 ** len(everyone))}
    values = {members: value(sorted(members)) for members in subsets}
    shapley, orders = np.zeros((len(everyone), 2)), list(permutations(everyone))
    for order in orders:
        for position, member in enumerate(order):
            joined = values[frozenset(order[: position + 1])] - values[frozenset(order[:position])]
            shapley[member] += joined / len(orders)
    everybody = frozenset(everyone)
    influence = np.array([values[everybody] - values[everybody - {member}] for member in everyone])

    found = contributions(before, locals_, samples, rule, Evaluator(network(9), images, 4))
    assert found.shapley_accuracy == pytest.approx(shapley[:, 0], abs=1e-9)
    assert found.shapley_loss == pytest.approx(shapley[:, 1], abs=1e-9)
    assert found.influence_accuracy == pytest.approx(influence[:, 0], abs=1e-9)
    assert found.influence_loss == pytest.approx(influence[:, 1], abs=1e-9)
    for scores in vars(found).values():
        assert np.ptp(scores) > 1e-4


def test_a_round_of_one_client_credits_it_with_all():
    before, after = states(2)
    evaluate = Evaluator(network(9), pictures(40), 4)
    found = contributions(before, [after], np.array([7]), resolve("aggregation", "fedavg"), evaluate)
    scores = evaluate(before, after)
    assert found.shapley_loss == pytest.approx([scores.loss[0] - scores.loss[1]])
    assert found.influence_accuracy == pytest.approx([scores.accuracy[1] - scores.accuracy[0]])
