"""Federations to select from, without images or training."""

import numpy as np

from gauntlet.core.registry import resolve
from gauntlet.selection.base import Federation


def maverick_histograms(clients=50, classes=10, per_class=120, mavericks=1, pure=False):
    """Fashion-MNIST in the paper: the last clients own the classes 1, 2, ... whole."""
    histograms = np.full((clients, classes), per_class, dtype=np.int64)
    for position in range(mavericks):
        label, owner = 1 + position, clients - mavericks + position
        histograms[:, label] = 0
        if pure:
            histograms[owner] = 0
        histograms[owner, label] = clients * per_class
    return histograms


def federation(histograms, selected=5, rounds=200, mavericks=()):
    return Federation(np.asarray(histograms, dtype=np.int64), selected, rounds, tuple(mavericks))


def paper(selected=5, mavericks=1, **options):
    histograms = maverick_histograms(mavericks=mavericks, **options)
    clients = len(histograms)
    return federation(histograms, selected, mavericks=range(clients - mavericks, clients))


def begun(name, told, **options):
    method = resolve("selection", name)(**options)
    method.begin(told)
    return method


def uniforms(round, clients=50, seed=0):
    """The common random numbers of a round, in (0, 1]."""
    return 1 - np.random.default_rng((seed, round)).random((2, clients))


def no_probe(clients, images):
    raise AssertionError("this method does not look at losses")
