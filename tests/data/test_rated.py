"""Sets with ratings of quality from miniature archives in their layouts: scores, scenes and distortions."""

import io
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from handmade import packed, photo, photo_entry, tar, totals, zipped
from scipy.io import savemat

from gauntlet import data
from gauntlet.core.errors import GauntletError
from gauntlet.data import fetch, prepared, registry
from gauntlet.data.packed import Album, Listed, check
from gauntlet.data.readers import live

ENTRY = {"zero_shot": False, "terms": "fetch-only"}


def mat(**variables):
    out = io.BytesIO()
    savemat(out, variables)
    return out.getvalue()


def cell(*texts, column=False):
    found = np.array(texts, object)
    return found[:, None] if column else found[None]


class Live:
    """Two photos of a folder for each scene; one is a copy of the reference."""

    archive, pack = "live.tgz", staticmethod(lambda members: tar(*members.items(), mode="w:gz"))
    folders = {"jp2k": 3, "gblur": 2}
    #: Photo, scene, distortion, score.
    rated = [
        ("jp2k/img1.bmp", "bikes", 0, [41.25]),
        ("jp2k/img3.bmp", "caps", 0, [-3.5]),
        ("gblur/img1.bmp", "caps", 1, [70.0]),
        ("gblur/img2.bmp", "bikes", 1, [12.5]),
    ]
    references = {"bikes": "refimgs/bikes.bmp", "caps": "refimgs/caps.bmp"}
    fields = {"attributes": ["jp2k", "gblur"], "values": ["dmos"], "reader": "live"}
    others = {"jp2k/img2.bmp": photo(70, kind="BMP"), "jp2k/info.txt": b"bikes.bmp img1.bmp 0.5\n"}

    def lists(self, scores=(41.25, 0, -3.5, 70, 12.5), names=("bikes", "bikes", "caps", "caps", "bikes")):
        return {
            "refnames_all.mat": mat(refnames_all=cell(*(f"{name}.bmp" for name in names))),
            "dmos_realigned.mat": mat(
                dmos_new=np.array([scores], float), dmos_std=np.ones((1, 5)), orgs=np.array([[0, 1, 0, 0, 0]])
            ),
        }


class Csiq:
    """The workbook has titles above its header, and a number for an image's name."""

    archive, pack = "csiq.tgz", staticmethod(lambda members: tar(*members.items(), mode="w:gz"))
    rated = [
        ("dst_imgs/awgn/1600.AWGN.1.png", "1600", 0, [0.0625, 1]),
        ("dst_imgs/jpeg2000/1600.jpeg2000.5.png", "1600", 5, [0.75, 5]),
        ("dst_imgs/contrast/lady_liberty.contrast.2.png", "lady_liberty", 2, [0.5, 2]),
    ]
    references = {"1600": "src_imgs/1600.png", "lady_liberty": "src_imgs/lady_liberty.png"}
    fields = {
        "attributes": ["awgn", "blur", "contrast", "fnoise", "jpeg", "jpeg2000"],
        "values": ["dmos", "level"],
        "reader": "csiq",
    }
    others = {"dst_imgs/awgn/1600.AWGN.2.png": b"not rated, so not read"}

    def lists(self, kind="jpeg 2000", dmos=0.75, sheet="all_by_image", header="dmos"):
        book = openpyxl.Workbook()
        book.active.title = "about"
        page = book.create_sheet(sheet)
        for line in (
            ("CSIQ",),
            (),
            (None, None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", header),
            (None, None, 1600, 1, "noise", 1, 0.01, 0.0625),
            (None, None, 1600, 3, kind, 5, 0.02, dmos),
            (None, None, "lady_liberty", 6, "contrast", 2, 0.03, 0.5),
            (None, "a note below"),
        ):
            page.append(line)
        out = io.BytesIO()
        book.save(out)
        return {"csiq.DMOS.xlsx": out.getvalue()}


class Tid:
    """Names in whatever case."""

    archive, pack = "tid2013.tgz", staticmethod(lambda members: tar(*members.items(), mode="w:gz"))
    rated = [
        ("distorted_images/I01_01_1.bmp", "I01", 0, [5.5, 1]),
        ("distorted_images/i01_24_5.bmp", "I01", 23, [2.25, 5]),
        ("distorted_images/i25_02_3.bmp", "i25", 1, [0.5, 3]),
    ]
    references = {"I01": "reference_images/I01.BMP", "i25": "reference_images/i25.bmp"}
    fields = {"attributes": ["type01..24"], "values": ["mos", "level"], "reader": "tid2013"}
    others = {"mos.txt": b"5.5\n2.25\n"}

    def lists(self, last="0.5 i25_02_3.bmp"):
        return {"mos_with_names.txt": f"5.5 I01_01_1.bmp\n2.25 I01_24_5.bmp\n{last}\n".encode()}


class Kadid:
    archive, pack = "kadid10k.zip", staticmethod(lambda members: zipped(*members.items()))
    rated = [
        ("images/I01_01_01.png", "I01", 0, [4.5, 1]),
        ("images/I81_25_05.png", "I81", 24, [1.25, 5]),
    ]
    references = {"I01": "images/I01.png", "I81": "images/I81.png"}
    fields = {"attributes": ["type01..25"], "values": ["dmos", "level"], "reader": "kadid10k"}
    others = {}

    def lists(self, last="I81_25_05.png,I81.png,1.25,0.5"):
        lines = ["dist_img,ref_img,dmos,var", "I01_01_01.png,I01.png,4.5,0.25", last]
        return {"dmos.csv": "\r\n".join([*lines, ""]).encode()}


SETS = {made.archive.split(".")[0]: made for made in (Live(), Csiq(), Tid(), Kadid())}


@pytest.fixture(params=SETS)
def made(request, monkeypatch):
    monkeypatch.setattr(live, "FOLDERS", Live.folders)
    return SETS[request.param]


def members(made, **changes):
    """The archive's files, inside of a folder."""
    kind = "BMP" if made.archive in ("live.tgz", "tid2013.tgz") else "PNG"
    paths = [*made.references.values(), *(path for path, *_ in made.rated)]
    photos = {path: photo(number, kind=kind) for number, path in enumerate(paths)}
    found = {**made.others, **photos, **made.lists(**changes)}
    return {f"folder/{path}": content for path, content in found.items()}


def fields(made, **changes):
    counts = totals(train=(len(made.rated), len(made.references)), reference=(2, 2))
    files = {"archive": {"name": made.archive, "unverified": True}}
    return {**ENTRY, "counts": counts, "files": files, **made.fields, **changes}


def obtain(made, content, tmp_path, monkeypatch):
    (tmp_path / "store").mkdir(exist_ok=True)
    (tmp_path / "store" / made.archive).write_bytes(made.pack(content))
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    return fetch.obtain(photo_entry(**fields(made)), tmp_path / "toy")


def test_the_published_archive(made, tmp_path, monkeypatch):
    """What a study needs: photos with scores, by scene and by distortion, and what they were made of."""
    content = members(made)
    target = obtain(made, content, tmp_path, monkeypatch)
    scenes = list(made.references)
    assert packed(target, "train") == [
        (f"folder/{path}", scenes.index(scene), content[f"folder/{path}"]) for path, scene, *_ in made.rated
    ]
    assert packed(target, "reference") == [
        (f"folder/{path}", label, content[f"folder/{path}"])
        for label, path in enumerate(made.references.values())
    ]
    pins = prepared.hashes(target, photo_entry(**fields(made)).prepared_files)
    assert set(pins) == {path.name for path in target.iterdir()}
    monkeypatch.setattr(registry, "entry", lambda name: photo_entry(**fields(made, prepared=pins)))
    found = data.load("toy", target, splits=["train", "reference"])
    assert found.test is None
    assert list(found.class_names) == scenes
    assert found.value_names == tuple(made.fields["values"])
    assert found.train.values.tolist() == [values for *_, values in made.rated]
    assert found.train.attributes.argmax(1).tolist() == [place for *_, place, _ in made.rated]
    assert found.train.attributes.sum(1).tolist() == [1] * len(made.rated)
    assert (found.reference.values, found.reference.attributes) == (None, None)


def test_a_photo_that_is_not_there(made, tmp_path, monkeypatch):
    for path in (made.rated[-1][0], next(iter(made.references.values()))):
        content = {name: body for name, body in members(made).items() if name != f"folder/{path}"}
        with pytest.raises(GauntletError, match="it has 0 such files, not one"):
            obtain(made, content, tmp_path, monkeypatch)
    assert not (tmp_path / "toy").exists()


def test_a_photo_that_is_there_twice(made, tmp_path, monkeypatch):
    path = made.rated[0][0]
    content = {**members(made), f"folder/copy/{path.upper()}": b"x"}
    with pytest.raises(GauntletError, match="it has 2 such files, not one"):
        obtain(made, content, tmp_path, monkeypatch)


def test_no_list_of_scores(made, tmp_path, monkeypatch):
    content = {name: body for name, body in members(made).items() if name[7:] not in made.lists()}
    with pytest.raises(GauntletError, match="it has 0 such files, not one"):
        obtain(made, content, tmp_path, monkeypatch)


DAMAGE = {
    "live: a score too few": ("live", {"scores": (1, 2, 3, 4)}, "5 references and 4 scores of 5 photos"),
    "live: a score that is none": ("live", {"scores": (np.nan, 0, 1, 1, 1)}, "a score is nan"),
    "live: an unknown scene": (
        "live",
        {"names": ("bikes", "x", "caps", "caps", "y")},
        r"refimgs/y\.bmp: it has 0",
    ),
    "csiq: an unknown type": ("csiq", {"kind": "webp"}, "the type 'webp' is unknown"),
    "csiq: no score": ("csiq", {"dmos": None}, r"csiq\.DMOS\.xlsx: float"),
    "csiq: no sheet": ("csiq", {"sheet": "all"}, "no workbook with the sheet all_by_image"),
    "csiq: no column": ("csiq", {"header": "mos"}, "no workbook with the sheet all_by_image"),
    "tid: another name": ("tid2013", {"last": "0.5 I25.bmp"}, "I25.bmp is no name of a distorted photo"),
    "tid: an unknown type": (
        "tid2013",
        {"last": "0.5 i25_25_3.bmp"},
        "distortion 25, and the registry has 24",
    ),
    "tid: no type": ("tid2013", {"last": "0.5 i25_00_3.bmp"}, "distortion 0, and the registry has 24"),
    "tid: a score that is none": ("tid2013", {"last": "inf i25_02_3.bmp"}, "a score is inf"),
    "tid: a scene less": ("tid2013", {"last": ""}, "2 train images are listed, not 3"),
    "kadid: a line cut short": (
        "kadid10k",
        {"last": "I81_25_05.png,I81.png"},
        "line 3 does not have the 4 fields",
    ),
    "kadid: a score that is none": ("kadid10k", {"last": "I81_25_05.png,I81.png,x,1"}, "could not convert"),
    "kadid: another name": ("kadid10k", {"last": "I81.png,I81.png,1,1"}, "I81.png is no name"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_wrong_lists(tmp_path, monkeypatch, damage):
    name, changes, reason = DAMAGE[damage]
    monkeypatch.setattr(live, "FOLDERS", Live.folders)
    with pytest.raises(GauntletError, match=reason):
        obtain(SETS[name], members(SETS[name], **changes), tmp_path, monkeypatch)
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("kadid10k", "dmos.csv", b"dist_img,ref_img,dmos\n"),
        ("kadid10k", "dmos.csv", b"dist_img,ref_img,mos\n"),
        ("kadid10k", "dmos.csv", b""),
        ("kadid10k", "dmos.csv", b"dist_img,ref_img,dmos\n\xff\n"),
        ("tid2013", "mos_with_names.txt", b"\n"),
        ("tid2013", "mos_with_names.txt", b"\xff\xfe"),
    ],
)
def test_lists_without_scores(tmp_path, monkeypatch, name, file, content):
    made = SETS[name]
    with pytest.raises(GauntletError, match=r"0 train images are listed|does not name a column|not text"):
        obtain(made, {**members(made), f"folder/{file}": content}, tmp_path, monkeypatch)
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize("content", [b"", b"<html>", zipped(("xl/workbook.xml", b"<x"))])
def test_what_is_no_workbook(tmp_path, monkeypatch, content):
    made = SETS["csiq"]
    with pytest.raises(GauntletError, match="no workbook with the sheet all_by_image"):
        obtain(made, {**members(made), "folder/csiq.DMOS.xlsx": content}, tmp_path, monkeypatch)


def album(**changes):
    """Two photos with a value each, and what both were made of."""
    values = {"train": np.array([[1.5], [2.5]], np.float32)}
    splits = {"train": ["1.jpg", "2.jpg"], "reference": ["0.jpg"]}
    listed = {split: [Listed(Path("x.zip"), name, 0) for name in names] for split, names in splits.items()}
    return Album(["scene"], listed, **{"values": values, **changes})


def checked(made, **changes):
    counts = totals(train=(2, 1), reference=(1, 1))
    files = {"archive": {"name": "x.zip", "unverified": True}}
    check(made, photo_entry(reader="live", counts=counts, files=files, values=["mos"], **changes))


def test_a_reference_may_be_of_a_class_for_training():
    """It is no photo to be tested on, even where no class may be in two splits."""
    checked(album(), zero_shot=True)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, r"values are given for the splits \[\], not \['train'\]"),
        ({"train": np.zeros((2, 1))}, r"train values are float64 \(2, 1\), not float32 \(2, 1\)"),
        ({"train": np.zeros((2, 2), np.float32)}, r"train values are float32 \(2, 2\)"),
        ({"train": np.array([[1], [np.inf]], np.float32)}, "a train value is inf"),
        (
            {"train": np.zeros((2, 1), np.float32), "reference": np.zeros((1, 1), np.float32)},
            "for the splits",
        ),
    ],
    ids=["none", "type", "shape", "infinite", "of the reference"],
)
def test_values_that_are_not_those_of_the_registry(values, reason):
    with pytest.raises(GauntletError, match=reason):
        checked(album(values=values))


def challenge(mos=10, **changes):
    """Ten names, of which seven are the raters'; photos as JPEG and BMP."""
    names = [f"t{number}.bmp" for number in range(1, 8)] + ["10.bmp", "2.JPG", "3.JPG"]
    lists = {
        "Data/AllImages_release.mat": mat(AllImages_release=cell(*names, column=True)),
        "Data/AllMOS_release.mat": mat(AllMOS_release=np.arange(mos, dtype=float)[None] / 4),
    }
    photos = {f"Images/{name}": photo(number) for number, name in enumerate(names[7:])}
    training = {f"Images/trainingImages/{name}": b"not read" for name in names[:7]}
    return {f"ChallengeDB_release/{path}": body for path, body in {**lists, **training, **photos}.items()}


def obtain_challenge(content, tmp_path, monkeypatch):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "ChallengeDB_release.zip").write_bytes(zipped(*content.items()))
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    files = {"archive": {"name": "ChallengeDB_release.zip", "unverified": True}}
    entry = photo_entry(
        **ENTRY, reader="live_challenge", counts=totals(train=(3, 1)), files=files, values=["mos"]
    )
    return fetch.obtain(entry, tmp_path / "toy")


def test_photos_of_the_wild(tmp_path, monkeypatch):
    """The photos that the raters were trained with are left out."""
    content = challenge()
    target = obtain_challenge(content, tmp_path, monkeypatch)
    paths = [f"ChallengeDB_release/Images/{name}" for name in ("10.bmp", "2.JPG", "3.JPG")]
    assert packed(target, "train") == [(path, 0, content[path]) for path in paths]
    assert np.load(target / "train_values.npy").tolist() == [[1.75], [2.0], [2.25]]


def test_scores_of_other_photos_of_the_wild(tmp_path, monkeypatch):
    with pytest.raises(GauntletError, match="9 scores of 10 photos"):
        obtain_challenge(challenge(mos=9), tmp_path, monkeypatch)


KONIQ = [
    ("3.jpg", 55.5, "training"),
    ("1.jpg", 20.25, "test"),
    ("2.jpg", 99.0, "validation"),
    ("4.jpg", 3.75, "training"),
]


def obtain_koniq(rows, tmp_path, monkeypatch):
    """The columns of the published list, and photos that it does not have."""
    lines = ["image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set"]
    lines += [f'"{name}",0,1,2,3,4,10,{mos},0.5,{part}' for name, mos, part in rows]
    photos = {f"1024x768/{number}.jpg": photo(number) for number in range(1, 6)}
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "koniq10k_distributions_sets.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "store" / "koniq10k_1024x768.zip").write_bytes(zipped(*photos.items()))
    monkeypatch.setenv("GAUNTLET_DATA", str(tmp_path / "store"))
    files = {
        "images": {"name": "koniq10k_1024x768.zip", "unverified": True},
        "scores": {"name": "koniq10k_distributions_sets.csv", "unverified": True},
    }
    counts = totals(train=(2, 1), test=(1, 1), validation=(1, 1))
    entry = photo_entry(**ENTRY, reader="koniq10k", counts=counts, files=files, values=["mos"])
    return fetch.obtain(entry, tmp_path / "toy"), photos


def test_the_official_split_of_koniq(tmp_path, monkeypatch):
    target, photos = obtain_koniq(KONIQ, tmp_path, monkeypatch)
    for split, part in (("train", "training"), ("test", "test"), ("validation", "validation")):
        expected = [(f"1024x768/{name}", mos) for name, mos, at in KONIQ if at == part]
        assert packed(target, split) == [(path, 0, photos[path]) for path, _ in expected]
        assert np.load(target / f"{split}_values.npy").tolist() == [[mos] for _, mos in expected]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([*KONIQ[:3], ("4.jpg", 1, "train")], "the part 'train' is unknown"),
        ([*KONIQ[:3], ("9.jpg", 1, "training")], r"1024x768/9\.jpg: it has 0 such files"),
        ([*KONIQ[:3], ("4.jpg", "nan", "training")], "a score is nan"),
        (KONIQ[:3], "1 train images are listed, not 2"),
        ([*KONIQ[:3], ("3.jpg", 1, "training")], r"1024x768/3\.jpg is listed twice"),
    ],
    ids=["part", "photo", "score", "count", "twice"],
)
def test_other_splits_of_koniq(rows, reason, tmp_path, monkeypatch):
    with pytest.raises(GauntletError, match=reason):
        obtain_koniq(rows, tmp_path, monkeypatch)


def test_the_entries_of_the_registry():
    """LIVE: 982 files, of which 203 are references; others: scenes by types by levels."""
    counts = {name: registry.entry(name).examples("train") for name in ("live", "tid2013", "kadid10k")}
    assert counts == {
        "live": sum(live.FOLDERS.values()) - 203,
        "tid2013": 25 * 24 * 5,
        "kadid10k": 81 * 25 * 5,
    }
    koniq = registry.entry("koniq10k")
    assert sum(koniq.examples(split) for split in koniq.splits) == 10_073
    assert registry.entry("kadid10k").attributes[-1] == "type25"
