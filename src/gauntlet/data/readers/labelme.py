"""LabelMe with labels of Mechanical Turk (Rodrigues, Pereira: Deep Learning from Crowds, 2018).

``LabelMe/answers.txt`` has a line per training image and a column per worker, -1 where there is no label.
``filenames_train.txt`` and ``labels_train.txt`` have the name and the true class of each.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from gauntlet.core.registry import register
from gauntlet.data.extract import read_members
from gauntlet.data.prepared_crowd import Crowd
from gauntlet.data.readers.rows import not_a_list, rows
from gauntlet.data.readers.triples import crowd
from gauntlet.data.registry import CrowdEntry

ANSWERS, NAMES, TRUTH = "answers.txt", "filenames_train.txt", "labels_train.txt"
LIMIT = 1 << 24  # bytes of the three lists
NONE = -1


@register("reader", "labelme")
def read(files: dict[str, Path], entry: CrowdEntry) -> Crowd:
    """All labels, image by image. A worker is a column with a label, called by its number from 0 on.

    Raises:
        GauntletError: a list is missing, is no such list, or does not have a line for every image.
    """
    archive = files["archive"]
    found = read_members(archive, {ANSWERS, NAMES, TRUTH}, limit=LIMIT)
    answers = _integers(found[ANSWERS], archive, ANSWERS)
    truth = _integers(found[TRUTH], archive, TRUTH).ravel()
    names = [name for (name,) in rows(found[NAMES], archive, NAMES, 1)]
    if not len(names) == len(answers) == len(truth):
        problem = f"{len(names)} names, {len(answers)} lines of answers and {len(truth)} true classes"
        raise not_a_list(archive, NAMES, problem)
    if len(set(names)) < len(names):
        raise not_a_list(archive, NAMES, "two images have one name")
    given = zip(*np.nonzero(answers != NONE), strict=True)
    return crowd(
        [(names[item], str(worker), int(answers[item, worker])) for item, worker in given],
        zip(names, truth.tolist(), strict=True),
        archive,
        TRUTH,
    )


def _integers(content: bytes, archive: Path, key: str) -> np.ndarray:
    """int64 (lines, columns). Written as integers or as floats."""
    try:
        table = np.loadtxt(io.BytesIO(content), ndmin=2)
    except ValueError as error:
        raise not_a_list(archive, key, str(error)) from error
    whole = table.astype(np.int64)
    if (whole != table).any():
        raise not_a_list(archive, key, "a class is not an integer")
    return whole
