"""Photos of people in CelebA's published files, from the archive to attacks on what the task has no need of.

The grey level of a face says whether it is male, a white mouth whether it smiles; hats are drawn at random,
and never painted.
"""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from handmade import facts, photo_entry, totals, zipped
from PIL import Image
from toy_privacy import SAMPLES, UPDATES, attacks, identity, measured, values

from gauntlet import data
from gauntlet.core.config import parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import read_parquet
from gauntlet.data import fetch, prepared, registry, small
from gauntlet.data.photos import UNKNOWN
from gauntlet.families.federated import world
from gauntlet.families.inversion import evaluate as invert
from gauntlet.families.inversion import settings as inversion
from gauntlet.families.inversion import train as capture
from gauntlet.families.privacy import settings
from gauntlet.report.derived.hidden_attributes import hidden_attributes

ATTRIBUTES = ["Male", "Smiling", "Wearing_Hat"]
#: Photos of the parts, two of each person.
PARTS = {"train": (0, 128), "validation": (1, 4), "test": (2, 64)}
SIZE = 16
FACES = {"photo_size": SIZE, "task": "Smiling", "private": ["Male", "Wearing_Hat"]}
HERE = {"clients": 2, "per_class": 32, "held_out": 24, "test_per_class": 32}


def face(male: int, smiling: int, number: int) -> bytes:
    """18 x 22 pixels, as CelebA's 178 x 218, a tenth of them."""
    random = np.random.default_rng(number)
    pixels = np.full((22, 18, 3), 60 + 90 * male, dtype=np.int64) + random.integers(-12, 13, (22, 18, 3))
    if smiling:
        pixels[14:17, 4:14] = 255
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """The folder of the prepared set, its entry, and the attributes of each photo by split."""
    root = tmp_path_factory.mktemp("faces")
    random, rows, photos = np.random.default_rng(0), [], {}
    for part, count in PARTS.values():
        # Three in four of those who smile are male, one in four of the others.
        for i in range(count):
            smiling = i % 2
            male = int((i // 2) % 4 < 3) if smiling else int((i // 2) % 4 == 3)
            name = f"{len(rows) + 1:06}.jpg"
            rows.append((name, part, 100 * part + i // 2, (male, smiling, int(random.integers(2)))))
            photos[f"img_align_celeba/{name}"] = face(male, smiling, len(rows))
    signed = [f"{name} " + " ".join(f"{2 * bit - 1:2}" for bit in bits) for name, _, _, bits in rows]
    files = {
        "img_align_celeba.zip": zipped(*photos.items()),
        "list_attr_celeba.txt": lines(len(rows), " ".join(ATTRIBUTES) + " ", *signed),
        "identity_CelebA.txt": lines(*(f"{name} {person}" for name, _, person, _ in rows)),
        "list_eval_partition.txt": lines(*(f"{name} {part}" for name, part, *_ in rows)),
    }
    store = root / "store" / "toy"
    store.mkdir(parents=True)
    for name, content in files.items():
        (store / name).write_bytes(content)
    roles = dict(zip(("images", "attributes", "people", "partition"), files, strict=True))
    toy = photo_entry(
        reader="celeba",
        counts=totals(**{split: (count, count // 2) for split, (_, count) in PARTS.items()}),
        attributes=ATTRIBUTES,
        files={role: {"name": name, **facts(files[name])} for role, name in roles.items()},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAUNTLET_DATA", str(root / "store"))
        folder = fetch.obtain(toy, root / "toy")
    toy = toy.model_copy(update={"prepared": prepared.hashes(folder, toy.prepared_files)})
    bits = {split: np.array([row[3] for row in rows if row[1] == part]) for split, (part, _) in PARTS.items()}
    return folder, toy, bits


def lines(*given):
    return "".join(f"{line}\r\n" for line in given).encode()


@pytest.fixture
def registered(faces, monkeypatch):
    """The registry knows the set as ``toy``; returns its folder and the attributes."""
    folder, toy, bits = faces
    known = registry.load()
    monkeypatch.setattr(registry, "load", lambda *_: {**known, "toy": toy})
    return folder, bits


@pytest.fixture
def loaded(registered):
    return data.load("toy", registered[0])


def settings_of(**changes):
    return parse(settings.Data, {**HERE, **FACES, **changes}, file="grid.yaml", key="data")


def test_photos_become_images_of_one_size_and_an_attribute_their_class(loaded, registered):
    bits = registered[1]
    found = small.view(loaded, SIZE, "Smiling", ["Male"])
    assert found.class_names == ("not Smiling", "Smiling")
    assert len(found.train) == 128
    assert found.train.labels.tolist() == bits["train"][:, 1].tolist()
    assert found.test.attributes["Male"].tolist() == bits["test"][:, 0].tolist()
    some = found.train.images[np.array([5, 0, 6])]
    assert some.shape == (3, 3, SIZE, SIZE)
    assert some.dtype == np.uint8
    for place, row in enumerate((5, 0, 6)):
        # Pillow: the short side to 16 pixels, and the middle 16 rows of 19.
        whole = Image.open(io.BytesIO(loaded.train.encoded(row))).resize((16, 19), Image.BILINEAR)
        expected = np.asarray(whole).transpose(2, 0, 1)[:, 2:18].astype(int)
        assert abs(some[place].astype(int) - expected).max() <= 2


def test_photos_of_which_something_is_not_known_are_left_out(loaded):
    values = np.array(loaded.train.attributes)
    values[[3, 7], 0] = UNKNOWN  # Male
    values[9, 2] = UNKNOWN  # Wearing_Hat
    loaded.train.__dict__["attributes"] = values
    rows = np.setdiff1d(np.arange(128), [3, 7])
    found = small.view(loaded, SIZE, "Smiling", ["Male"])
    assert found.train.labels.tolist() == values[rows, 1].tolist()
    assert found.train.attributes["Male"].tolist() == values[rows, 0].tolist()
    np.testing.assert_array_equal(
        found.train.images[[7]], small.view(loaded, SIZE, None, []).train.images[[rows[7]]]
    )
    values[:, 0] = UNKNOWN
    with pytest.raises(GauntletError, match="no photo of toy, train, has all of Smiling, Male"):
        small.view(loaded, SIZE, "Smiling", ["Male"])


def test_a_federation_knows_the_attributes_of_its_own_images(loaded):
    there = world.build(loaded, settings_of(plant=["bright_patch"]), 0, torch.device("cpu"))
    assert list(there.attributes) == ["Male", "Wearing_Hat", "bright_patch"]
    assert there.classes == 2
    assert there.histograms.sum(0).tolist() == [32, 32]
    assert len(there.held_out) == 48
    for part in ("train", "held_out", "test"):
        images, male = getattr(there, part), getattr(there.attributes["Male"], part)
        grey = images.pixels[:, :, :4].mean((1, 2, 3))
        assert (grey > 105 / 255).numpy().astype(int).tolist() == male.tolist()
        mouths = images.pixels[:, :, 11:13, 5:11].mean((1, 2, 3))
        assert (mouths > 0.75).long().tolist() == images.labels.tolist()


@pytest.mark.parametrize("method", [UPDATES, SAMPLES], ids=["updates", "samples"])
def test_attacks_find_what_is_seen_beyond_what_anyone_may_guess(registered, tmp_path, method):
    folder, _ = registered
    what = identity(method, federated={"selected": 2, "rounds": 6, "epochs": 4})
    what = {**what, "dataset": "toy", "data": settings_of().model_dump(mode="json")}
    how = attacks(["loss", "lira_online"], ["representation"])
    scores = measured(what, how, tmp_path / "cells", folder, tmp_path / "out")["scores"]
    assert values(scores, "clean")["accuracy"] > 0.8  # who smiles is plain to see
    male, hat = (values(scores, "representation", detail=name) for name in ("Male", "Wearing_Hat"))
    # Three in four who smile are male: who guesses from the class knows that, and has not seen a face.
    assert male["imputation"] == pytest.approx(0.75, abs=0.15)
    assert male["advantage"] == pytest.approx(male["accuracy"] - male["imputation"])
    assert male["accuracy"] > 0.9
    assert male["advantage"] > 0.05
    assert abs(hat["advantage"]) < 0.3  # never painted: chance, of 64 photos
    assert values(scores, "loss")["auc"] >= 0.3
    found = hidden_attributes({"scores": scores.assign(**trial(scores))}).set_index("metric")["value"]
    assert found["attributes_hidden"] <= 0.5


def test_photos_are_found_in_what_clients_send(registered, loaded, tmp_path):
    """From the archive to an inverted update: what was attacked are the photos themselves."""
    folder, _ = registered
    given = {
        "data": {"clients": 2, "per_class": 1, "photo_size": SIZE, "task": "Smiling"},
        "method": {"selection": "random"},
        "train": {"rounds": 1, "selected": 2, "batch": 1, "lr": 0.01},
    }
    shapes = {"data": inversion.Data, "method": inversion.Method, "train": inversion.Train}
    what = {"family": "inversion", "dataset": "toy", "architecture": "plain3conv"} | {
        part: parse(shapes[part], value, file=part).model_dump(mode="json") for part, value in given.items()
    }
    how = {"iterations": 120, "shown": 2, "attacks": {"agic": {"inversion": "agic"}}}
    how = parse(inversion.Evaluate, how, file="evaluate").model_dump(mode="json")
    capture.run(what, [0], tmp_path / "cell", None, "cpu", folder)
    model = tmp_path / "cell" / "model.safetensors"
    invert.run(what, how, [0], model, tmp_path / "out", "cpu", folder)
    scores = read_parquet(tmp_path / "out" / "scores.parquet")
    psnr = scores[(scores["metric"] == "psnr") & (scores["attack"] == "agic")]["value"]
    there = world.build(loaded, inversion.Data(**what["data"]), 0, torch.device("cpu"))
    grey = there.train.pixels.mean(dim=(1, 2, 3), keepdim=True)
    blank = -10 * (there.train.pixels - grey).square().mean(dim=(1, 2, 3)).log10()
    assert psnr.iloc[0] > float(blank.mean()) + 1  # closer than a photo of their mean grey


def trial(scores):
    """The columns that say which trial a row is of, where they are not there."""
    from gauntlet.report.rounds import TRIAL

    return {name: "x" for name in TRIAL if name not in scores}


@pytest.mark.parametrize(
    ("dataset", "changes", "said"),
    [
        ("toy", {"photo_size": None}, r"data\.photo_size: the images of toy have many sizes"),
        ("toy", {"task": "Smilling"}, r"data\.task: toy has no attribute 'Smilling'\n.*Smiling"),
        ("toy", {"private": ["Hat"]}, r"data\.private: toy has no attribute 'Hat'"),
        (
            "toy",
            {"task": None},
            r"data\.task: there is nothing to learn of the classes of toy.*\n.*Male, Smiling",
        ),
        ("imagenet-val", {}, r"data\.task: imagenet-val has no attribute 'Smiling'\n.*leave it out"),
        ("live", {}, r"data: live has no images to test on"),
        ("digits", {}, r"data\.photo_size: the images of digits have one size\n.*leave it out"),
        ("digits", {"photo_size": None, "private": []}, r"data\.task: digits has no attribute 'Smiling'"),
    ],
)
def test_settings_that_do_not_fit_the_dataset_are_refused(registered, dataset, changes, said):
    given = settings_of(**changes)
    with pytest.raises(GauntletError, match=rf"grid\.yaml: grids\.0\.{said}"):
        given.check_dataset(dataset, file="grid.yaml", key="grids.0.data")


def test_no_attribute_is_named_twice():
    for changes in ({"private": ["Smiling"]}, {"private": ["Male", "Male"]}):
        with pytest.raises(GauntletError, match="is named twice"):
            settings_of(**changes)


def test_an_adversary_whose_images_are_alike_in_an_attribute_is_refused_before_any_attack(
    registered, tmp_path
):
    what = identity(UPDATES, federated={"selected": 2}, shadows=None)
    what = {**what, "dataset": "toy", "data": settings_of(held_out=1).model_dump(mode="json")}
    how = attacks(["loss"], ["representation"])
    seeds = [seed for seed in range(8) if alike(registered, what, seed)]
    with pytest.raises(GauntletError, match=rf"alike in '\w+' \(seed {seeds[0]}\)"):
        measured(what, how, tmp_path / "cells", registered[0], tmp_path / "out", seeds[:1])
    assert not (tmp_path / "out").exists()


def alike(registered, what, seed):
    """Whether the two images that the server holds out have the same value of some attribute."""
    there = world.build(
        data.load("toy", registered[0]), settings.Data(**what["data"]), seed, torch.device("cpu")
    )
    return any(len(set(bits.held_out.tolist())) < 2 for bits in there.attributes.values())


def test_a_job_whose_settings_do_not_fit_its_dataset_ends_at_once(loaded, digits):
    for given, said in (
        ((loaded, None, "Smiling", []), "photo_size: the photos of toy have many sizes"),
        ((loaded, SIZE, "Smilling", []), "toy has no attribute 'Smilling'"),
        ((digits, None, None, ["Male"]), "digits has no attributes"),
    ):
        with pytest.raises(GauntletError, match=said):
            small.view(*given)
    assert small.view(digits, None, None, []) is digits
    whole = small.view(replace(loaded, test=None), SIZE, None, [])
    assert whole.test is None
    assert whole.class_names == loaded.class_names


def test_settings_that_are_absent_are_no_part_of_an_identity():
    plain = parse(settings.Data, HERE, file="x").model_dump(mode="json")
    assert not {"photo_size", "task", "private"} & set(plain)
