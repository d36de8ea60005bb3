"""The registry's file is checked when it is read, and a fault names the file and the key."""

import copy

import pytest
import yaml

from gauntlet.core.errors import GauntletError
from gauntlet.core.registry import names as methods
from gauntlet.data import registry
from gauntlet.data.sources import folder

CONTENT = yaml.safe_load(registry.REGISTRY.read_text())
RATED = {"csiq", "kadid10k", "koniq10k", "live", "live-challenge", "tid2013"}
SCENES = {"lsun-bedroom", "lsun-church-outdoor", "lsun-classroom"}
FACES = {"celeba", "lfw", "utkface"}
PHOTOS = {"cars196", "cub200", "imagenet", "imagenet-val", "in-shop", "sop"} | FACES | RATED | SCENES
PARTS = {"cifar10-c", "mnist-c", "stl10-unlabelled", "svhn-extra"}  # for training or testing alone
CHARACTERS = {"glyphs", "glyphs-fonts", "omniglot", "omniglot-small"}
TABLES = {"breast-cancer", "iris", "letter", "wine"}
CROWDS = {
    f"crowd-{name}" for name in ("bluebird", "dog", "rte", "temporal", "trec", "web", "cifar10h", "labelme")
}
FILES = {"groove", "nuscenes", "nuscenes-mini"}
NAMES = sorted(
    {"cifar10", "cifar100", "digits", "fashion-mnist", "mnist", "mnist-5k", "stl10", "svhn"}
    | {"mini-imagenet", "tiny-imagenet"}
    | CHARACTERS
    | PARTS
    | PHOTOS
    | TABLES
    | CROWDS
    | FILES
)
WEAK = {  # of these only an MD5 is known
    "ILSVRC2012_devkit_t12.tar.gz",
    "lfw_attributes.txt",
    "mini-imagenet-cache-test.pkl",
    "mini-imagenet-cache-train.pkl",
    "mini-imagenet-cache-validation.pkl",
    "tiny-imagenet-200.zip",
    "v1.0-mini.tgz",
}
UNPINNED = {  # nobody has prepared them yet, for want of the published files
    "cifar100",
    "mini-imagenet",
    "mnist",
    "omniglot",
    "stl10",
    "svhn",
    "tiny-imagenet",
    *PARTS,
    *PHOTOS,
    "crowd-cifar10h",
    "crowd-labelme",
    *FILES,
}


def test_what_it_holds():
    assert registry.names() == NAMES
    for name in registry.names():
        entry = registry.entry(name)
        assert entry.reader in methods("reader")
        assert (entry.prepared is None) == (name in UNPINNED)
        if registry.folder(name).parts[0] == "data":
            assert entry.terms == "vendor"  # data/ is pushed to remotes that others can read
        hashed = {file.name: file.sha256 or file.unverified for file in entry.files.values()}
        assert {name for name in hashed if not hashed[name]} <= WEAK
        downloaded = any(source.kind == "url" for source in entry.sources)
        assert not (downloaded and any(file.unverified for file in entry.files.values()))


def test_the_form_is_named():
    forms = {"photos": PHOTOS, "table": TABLES, "labels": CROWDS, "files": FILES}
    for form, names in forms.items():
        assert {name for name in registry.names() if registry.entry(name).form == form} == names


def test_published_archives_are_what_the_reader_reads():
    """Said twice, once for the download and once for a folder of the user: they must agree."""
    for name in ("cifar10", "cifar10-c", "cifar100", "mnist-c", "stl10", "stl10-unlabelled", "cub200", "sop"):
        entry = registry.entry(name)
        (archive,) = entry.files.values()
        published = [source.files for source in entry.sources if source.kind == "url"]
        assert published == [{archive.name: registry.File(size=archive.size, sha256=archive.sha256)}]


def test_what_is_read_is_what_is_downloaded():
    """File by file, where every one of them is downloaded as the reader reads it."""
    for name in ("svhn", "svhn-extra", "tiny-imagenet", "mini-imagenet", *SCENES):
        entry = registry.entry(name)
        (published,) = [source.files for source in entry.sources if source.kind == "url"]
        facts = {file.name: (file.size, file.sha256, file.md5) for file in entry.files.values()}
        assert facts == {key: (file.size, file.sha256, file.md5) for key, file in published.items()}


def test_sets_without_training_or_without_testing():
    """Every other set of images has both."""
    images = [name for name in NAMES if registry.entry(name).form in ("arrays", "photos")]
    lacking = {name for name in images if not {"train", "test"} <= set(registry.entry(name).splits)}
    assert lacking == PARTS | (RATED - {"koniq10k"})


def test_listings_of_other_forms():
    for name in registry.names():
        for source in registry.entry(name).sources:
            if source.kind == "folder":
                assert source.reader in methods("reader")
                files = folder.listing(source)
                assert all(file.name == key for key, file in files.items())
                assert name in ("cars196", "nuscenes") or all(file.sha256 for file in files.values())
    (mosaics,) = (source for source in registry.entry("cifar10").sources if source.kind == "folder")
    names = set(folder.listing(mosaics))
    assert {f"train-{number:03}.webp" for number in range(125)} < names
    assert {f"test-{number:03}.webp" for number in range(25)} < names
    assert {"train-labels.txt", "test-labels.txt"} < names
    assert len(names) == 152


def test_the_order_of_the_sources():
    kinds = [source.kind for source in registry.entry("fashion-mnist").sources]
    assert kinds == ["dvc", "apt", "url", "url"]


def change(*path):
    def apply(entry, value):
        for part in path[:-1]:
            entry = entry[part]
        if value is None:
            del entry[path[-1]]
        else:
            entry[path[-1]] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (["licence"], None, "licence"),
        (["license"], "MIT", "license"),
        (["terms"], "free", "terms"),
        (["peak"], "255", "peak"),
        (["peak"], 256, "peak"),
        (["shape"], [28, 28], "shape"),
        (["folder"], "elsewhere/fashion-mnist", ""),
        (["folder"], "data/../../etc", ""),
        (["counts", "train"], [1, 2], ""),
        (["files", "train_images", "name"], "../evil", "files.train_images.name"),
        (["files", "train_images", "sha256"], "abc", "files.train_images.sha256"),
        (["files", "train_images", "sha256"], None, "files.train_images"),
        (["files", "train_images", "size"], -1, "files.train_images.size"),
        (["sources", 2, "bases"], ["file:///etc/"], "sources.2.url.bases.0"),
        (["sources", 1, "kind"], "rpm", "sources.1"),
        (["sources", 1, "package"], "--option", "sources.1.apt.package"),
        (["prepared", "dataset.json"], None, ""),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_fault_names_file_and_key(tmp_path, path, value, key):
    content = {"fashion-mnist": copy.deepcopy(CONTENT["fashion-mnist"])}  # the whole registry takes a second
    change(*path)(content["fashion-mnist"], value)
    file = tmp_path / "registry.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(GauntletError) as caught:
        registry.load(file)
    assert caught.value.file == file
    assert caught.value.key == f"fashion-mnist.{key}".rstrip(".")


def test_the_unchanged_file_passes(tmp_path):
    file = tmp_path / "registry.yaml"
    file.write_text(yaml.safe_dump(CONTENT))
    assert registry.load(file) == registry.load()


@pytest.mark.parametrize(
    ("name", "path", "value", "key"),
    [
        ("cub200", ["form"], "photo", "cub200.form"),
        ("cub200", ["counts", "train", "images"], 0, "cub200.counts.train.images"),
        ("cub200", ["counts", "train"], None, "cub200.counts.train"),
        ("cub200", ["shape"], [3, 224, 224], "cub200.shape"),
        ("in-shop", ["files", "images", "unverified"], None, "in-shop.files.images"),
        ("in-shop", ["files", "images", "md5"], "0" * 32, "in-shop.files.images"),
        ("sop", ["terms"], "account", "sop"),
        (
            "sop",
            ["sources", 1, "files", "Stanford_Online_Products.zip"],
            {"unverified": True},
            "sop.sources.1",
        ),
        ("lfw", ["sources", 1, "files", "lfw_attributes.txt", "most"], None, "lfw.sources.1"),
        ("lfw", ["sources", 1, "files", "lfw_attributes.txt", "size"], 9, "lfw.sources.1"),
        ("lfw", ["attributes", 1], "Male", "lfw"),
        ("lfw", ["attributes"], [], "lfw.attributes"),
        ("csiq", ["values", 1], "dmos", "csiq"),
        ("csiq", ["values"], [], "csiq.values"),
        ("lsun-classroom", ["files", "train", "member"], "../x", "lsun-classroom.files.train.member"),
        ("cifar10-c", ["counts"], {}, "cifar10-c"),
        ("cifar10-c", ["conditions"], [], "cifar10-c.conditions"),
        ("cifar10-c", ["conditions", 0], "fog/3..1", "cifar10-c.conditions"),
        ("mini-imagenet", ["validation_classes"], None, "mini-imagenet"),
        ("mini-imagenet", ["validation_classes"], 36, "mini-imagenet"),
        ("mini-imagenet", ["counts", "validation"], None, "mini-imagenet"),
        ("mini-imagenet", ["train_classes"], None, "mini-imagenet"),
        ("imagenet-val", ["listing"], "../x", "imagenet-val.listing"),
        ("sop", ["prepared"], {"train_images.npy": "0" * 64}, "sop"),
        ("iris", ["features"], [], "iris.features"),
        ("iris", ["shape"], [1, 2, 2], "iris.shape"),
        ("iris", ["counts", "train"], [40, 40], "iris"),
        ("iris", ["counts", "test"], None, "iris"),
        ("iris", ["prepared", "test_labels.npy"], None, "iris"),
        ("crowd-web", ["counts", "workers"], None, "crowd-web.counts.workers"),
        ("crowd-web", ["counts", "truth"], [1, 2], "crowd-web"),
        ("crowd-web", ["classes"], ["0"], "crowd-web.classes"),
        ("groove", ["counts", "validation"], [1, 2, 3], "groove"),
        ("nuscenes", ["listing"], "../x", "nuscenes.listing"),
    ],
    ids=str,
)
def test_a_fault_in_an_entry_of_another_form(tmp_path, name, path, value, key):
    content = {name: copy.deepcopy(CONTENT[name])}
    change(*path)(content[name], value)
    file = tmp_path / "registry.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(GauntletError) as caught:
        registry.load(file)
    assert caught.value.key.startswith(key)
