"""Photos of a prepared set: their crops against torchvision's, and batches that come in the background."""

import io
import itertools
import os
import threading

import numpy as np
import pytest
import torch
from handmade import facts, photo, photo_entry, totals, zipped
from PIL import Image
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as tv

from gauntlet import data
from gauntlet.core import devices
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, registry
from gauntlet.data.crops import TRIES, CentreCrop, RandomCrop
from gauntlet.data.photos import Photos, unreadable
from gauntlet.data.prefetch import batches

COUNT = 12
SIZES = [(64, 48), (48, 64), (90, 40), (33, 33)]
TABLE = "image_id class_id super_class_id path\n"
ARCHIVE = "Stanford_Online_Products.zip"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A prepared set of photos of several sizes and kinds, and its entry with hashes."""
    base = tmp_path_factory.mktemp("photos")
    kinds = ["RGB", "L", "CMYK", "RGB"]
    bodies = [photo(index, SIZES[index % 4], kinds[index // 3 % 4]) for index in range(COUNT)]
    bodies[3] = photo(3, (50, 40), "P", "PNG")
    rows = {"train": range(8), "test": range(8, COUNT)}
    members = {f"x/{index}.JPG": body for index, body in enumerate(bodies)}
    for split, numbers in rows.items():
        lines = [f"{index} {index // 2} 1 x/{index}.JPG\n" for index in numbers]
        members[f"Ebay_{split}.txt"] = (TABLE + "".join(lines)).encode()
    content = zipped(*((f"Stanford_Online_Products/{name}", body) for name, body in members.items()))
    (base / ARCHIVE).write_bytes(content)
    fields = {
        "reader": "sop",
        "counts": totals(train=(8, 4), test=(4, 2)),
        "files": {"archive": {"name": ARCHIVE, **facts(content)}},
    }
    entry = photo_entry(**fields)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAUNTLET_DATA", str(base))
        folder = fetch.obtain(entry, base / "datasets" / "toy")
    pins = prepared.hashes(folder, entry.prepared_files)
    return folder, photo_entry(**fields, prepared=pins), bodies


@pytest.fixture
def toy(made, monkeypatch):
    folder, entry, _ = made
    monkeypatch.setattr(registry, "entry", lambda name: entry)
    return data.load("toy", folder)


def test_what_load_gives(made, toy):
    _, _, bodies = made
    assert (toy.name, toy.class_names, toy.peak) == ("toy", ("0", "1", "2", "3", "4", "5"), 255)
    assert (len(toy.train), len(toy.test), toy.gallery) == (8, 4, None)
    assert toy.test.labels.tolist() == [4, 4, 5, 5]
    assert toy.test.labels.dtype == np.int64
    assert [toy.test.encoded(row) for row in range(4)] == bodies[8:]
    assert toy.train.names[2] == "Stanford_Online_Products/x/2.JPG"
    for row in (-1, 4):
        with pytest.raises(IndexError):
            toy.test.encoded(row)


def test_a_damaged_set_is_not_loaded(made, monkeypatch, tmp_path):
    folder, entry, _ = made
    monkeypatch.setattr(registry, "entry", lambda name: entry)
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = bytearray((tmp_path / "test_images.bin").read_bytes())
    content[50] ^= 1
    (tmp_path / "test_images.bin").write_bytes(content)
    with pytest.raises(GauntletError, match=r"test_images\.bin: this file is damaged"):
        data.load("toy", tmp_path)


def jpeg(width, height, quality=90, seed=0):
    """A photo-like picture: smooth shapes and some noise."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8)).resize((width, height), 3)
    noisy = np.asarray(coarse).astype(int) + random.normal(0, 6, (height, width, 1)).astype(int)
    out = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=quality)
    return out.getvalue()


@pytest.fixture(scope="module", params=[(500, 375), (333, 500), (224, 224), (260, 900), (120, 90)], ids=str)
def encoded(request):
    return jpeg(*request.param)


def apart(ours, theirs):
    """Greatest and mean distance in grey levels, of ours from an image of Pillow."""
    theirs = torch.from_numpy(np.array(theirs)).permute(2, 0, 1).int()
    distance = (ours.int() - theirs).abs()
    return distance.max().item(), distance.float().mean().item()


def test_the_centre_crop_is_torchvisions(encoded):
    image = Image.open(io.BytesIO(encoded))
    theirs = tv.center_crop(tv.resize(image, 256, InterpolationMode.BILINEAR), [224, 224])
    ours = CentreCrop()(encoded)
    assert (ours.shape, ours.dtype) == ((3, 224, 224), torch.uint8)
    most, mean = apart(ours, theirs)
    assert most <= 1
    assert mean < 0.3


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_random_crop_is_torchvisions_in_the_same_box(encoded, mirrored):
    crop = RandomCrop(draft=False)
    uniforms = np.random.default_rng(3).random(crop.draws)
    uniforms[-1] = 0.1 if mirrored else 0.9
    image = Image.open(io.BytesIO(encoded))
    left, top, width, height = crop.box(*image.size, uniforms)
    theirs = tv.resized_crop(image, top, left, height, width, [224, 224], InterpolationMode.BILINEAR)
    most, mean = apart(crop(encoded, uniforms), tv.hflip(theirs) if mirrored else theirs)
    assert most <= 1
    assert mean < 0.3


@pytest.mark.parametrize("size", [(1600, 1200), (1023, 2001)], ids=str)
def test_a_draft_is_near_the_whole(size):
    encoded = jpeg(*size)
    generator = np.random.default_rng(0)
    for _ in range(4):
        uniforms = generator.random(RandomCrop.draws)
        whole = RandomCrop(scale=(0.5, 1), draft=False)(encoded, uniforms)
        draft = RandomCrop(scale=(0.5, 1))(encoded, uniforms)
        assert (whole.int() - draft.int()).abs().float().mean() < 2


def test_boxes_are_torchvisions_in_distribution():
    """Areas and shapes within their ranges, with the means of torchvision's own draws."""
    generator = np.random.default_rng(0)
    torch.manual_seed(0)
    image = torch.empty(3, 375, 500)
    crop = RandomCrop(scale=(0.2, 0.9))
    ours = np.array([crop.box(500, 375, generator.random(crop.draws)) for _ in range(4000)])
    drawn = [RandomResizedCrop.get_params(image, [0.2, 0.9], [3 / 4, 4 / 3]) for _ in range(4000)]
    theirs = np.array([(left, top, width, height) for top, left, height, width in drawn])
    left, top, width, height = ours.T
    assert min(left.min(), top.min()) >= 0
    assert (left + width).max() <= 500
    assert (top + height).max() <= 375
    area = width * height / (500 * 375)
    assert (area.min(), area.max()) == pytest.approx((0.2, 0.9), abs=0.01)
    assert ((width / height).min(), (width / height).max()) == pytest.approx((3 / 4, 4 / 3), abs=0.02)
    error = 6 * np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 4000)
    assert (abs(ours.mean(axis=0) - theirs.mean(axis=0)) < error).all()


@pytest.mark.parametrize("size", [(1000, 10), (10, 1000)], ids=str)
def test_a_photo_too_long_for_any_box(size):
    """The centre, as torchvision falls back to."""
    crop = RandomCrop(scale=(1.0, 1.0))
    uniforms = np.concatenate([np.full(2 * TRIES, 0.5), np.full(3, 0.9)])
    left, top, width, height = crop.box(*size, uniforms)
    theirs = RandomResizedCrop.get_params(torch.empty(3, size[1], size[0]), [1.0, 1.0], [3 / 4, 4 / 3])
    assert (top, left, height, width) == theirs
    assert min(width, height) == 10


def test_half_of_the_photos_are_mirrored(toy):
    whole = {"size": 8, "scale": (1.0, 1.0), "ratio": (4 / 3, 4 / 3)}
    (plain,) = batches(toy.train, [[0]], RandomCrop(**whole, flip=0))
    mirrored = 0
    for epoch in range(400):
        (batch,) = batches(toy.train, [[0]], RandomCrop(**whole), epoch=epoch, workers=1)
        assert torch.equal(batch, plain) or torch.equal(batch, plain.flip(3))
        mirrored += not torch.equal(batch, plain)
    assert 150 < mirrored < 250


def test_grey_cmyk_and_palette_become_rgb(toy):
    (batch,) = batches(toy.train, [range(8)], CentreCrop(16, 20))
    assert batch.shape == (8, 3, 16, 16)
    modes = [Image.open(io.BytesIO(toy.train.encoded(row))).mode for row in range(8)]
    assert {"L", "CMYK", "P", "RGB"} == set(modes)
    for row, mode in enumerate(modes):
        grey = torch.equal(batch[row, 0], batch[row, 1]) and torch.equal(batch[row, 1], batch[row, 2])
        assert grey == (mode == "L")
        image = Image.open(io.BytesIO(toy.train.encoded(row))).convert("RGB")
        theirs = tv.center_crop(tv.resize(image, 20, InterpolationMode.BILINEAR), [16, 16])
        assert apart(batch[row], theirs)[0] <= 1


def collect(toy, groups, **options):
    return list(batches(toy.train, groups, RandomCrop(16, draft=False), **options))


def test_neither_workers_nor_order_change_a_photo(toy):
    (whole,) = collect(toy, [range(8)], workers=1, seed=5, epoch=2)
    for workers, ahead in ((1, 0), (2, 1), (5, 4)):
        parts = collect(toy, [[6, 0, 3], [1], [7, 2, 5, 4]], workers=workers, ahead=ahead, seed=5, epoch=2)
        assert [len(part) for part in parts] == [3, 1, 4]
        assert torch.equal(torch.cat(parts), whole[[6, 0, 3, 1, 7, 2, 5, 4]])
    for other in ({"seed": 6, "epoch": 2}, {"seed": 5, "epoch": 3}):
        assert not torch.equal(collect(toy, [range(8)], **other)[0], whole)
    twice = collect(toy, [[0, 0]], seed=1)[0]
    assert torch.equal(twice[0], twice[1])


def test_rows_may_be_arrays_or_tensors(toy):
    plain = collect(toy, [[1, 2]])[0]
    assert torch.equal(collect(toy, [np.array([1, 2])])[0], plain)
    assert torch.equal(collect(toy, [torch.tensor([1, 2])])[0], plain)
    assert collect(toy, []) == []


def workers_alive():
    return [thread for thread in threading.enumerate() if thread.name.startswith("photos")]


def test_an_early_end_leaves_no_thread(toy):
    loop = batches(toy.train, itertools.repeat(range(8)), RandomCrop(64), workers=3)
    next(loop)
    assert workers_alive()
    loop.close()
    assert not workers_alive()
    for _ in batches(toy.train, itertools.repeat([0]), CentreCrop(), workers=2):
        break
    assert not workers_alive()


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_workers_start_no_threads_of_torchs(tmp_path):
    """A team for each worker would have more threads than there are cores. Torch resizes without one, but it
    copies with one, as when a photo has the size already."""

    def count():
        with open("/proc/self/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith("Threads")).split()[1])

    encoded = jpeg(224, 224)
    (tmp_path / "train_images.bin").write_bytes(encoded)
    np.save(tmp_path / "train_offsets.npy", np.array([0, len(encoded)]))
    np.save(tmp_path / "train_labels.npy", np.zeros(1, np.uint8))
    photos = Photos(tmp_path, "toy", "train")
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    devices.setup("cpu", threads=8)
    threads = count()
    try:
        for crop in (CentreCrop(), CentreCrop(side=224), RandomCrop(flip=1), RandomCrop(224, (1, 1), (1, 1))):
            loop = batches(photos, itertools.repeat([0] * 8), crop, workers=2)
            for _ in range(3):
                next(loop)
            assert count() <= threads + 2
            loop.close()
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])


def test_no_more_than_ahead_is_read(toy):
    taken = itertools.count()
    groups = ([next(taken) % 8] for _ in range(100))
    loop = batches(toy.train, groups, CentreCrop(8, 8), ahead=3)
    for done in range(1, 4):
        next(loop)
        assert next(taken) <= done + 3 + done  # each look takes one itself
    loop.close()


@pytest.fixture
def damaged(made, tmp_path):
    """A split whose photo 5 was overwritten, as when a disk fails under a running job."""
    folder, _, _ = made
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    offsets = np.load(folder / "train_offsets.npy")
    content = bytearray((tmp_path / "train_images.bin").read_bytes())
    content[offsets[5] : offsets[6]] = bytes(offsets[6] - offsets[5])
    (tmp_path / "train_images.bin").write_bytes(content)
    return Photos(tmp_path, "toy", "train")


@pytest.mark.parametrize("workers", [1, 4])
def test_a_photo_that_does_not_decode_is_named(damaged, workers):
    loop = batches(damaged, [[0, 1], [2, 5], [3]], CentreCrop(), workers=workers)
    assert next(loop).shape == (2, 3, 224, 224)
    with pytest.raises(GauntletError, match=r"photo 5 of train \(.*x/5\.JPG\) does not decode") as caught:
        next(loop)
    assert caught.value.file.name == "train_images.bin"
    assert "gauntlet data fetch toy" in caught.value.remedy
    assert not workers_alive()


def test_a_row_that_is_not_there(toy):
    with pytest.raises(IndexError, match="row 8 of 8"):
        list(batches(toy.train, [[8]], CentreCrop()))


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (700, 500)], ids=str)
def test_what_is_readable(size):
    whole = jpeg(*size)
    assert unreadable(whole) is None
    assert unreadable(whole[: len(whole) - 20])
    assert unreadable(b"") == "it is empty"
    assert unreadable(b"GIF89a" + whole)
