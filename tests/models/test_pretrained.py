"""ImageNet weights: obtained, verified, read without running their code, and put into networks."""

import dataclasses
import hashlib
import io
import os
import pickle
import subprocess
import sys

import published_states
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import loopback
from gauntlet.core import transfer
from gauntlet.core.errors import GauntletError
from gauntlet.core.provenance import read_sidecar
from gauntlet.core.registry import names, resolve
from gauntlet.models import build, restore, weights
from gauntlet.models.bn_inception import Features
from gauntlet.models.weights.fetch import FILES, fetch

ZIP, OLD = {}, {"_use_new_zipfile_serialization": False}
FILE = "resnet18-f37072fd.pth"


def pth(state, form=ZIP) -> bytes:
    """What ``torch.save`` writes, in today's format or that of before 2020."""
    buffer = io.BytesIO()
    torch.save(state, buffer, **form)
    return buffer.getvalue()


def listing(here, name, content, url="http://127.0.0.1:9/nothing", digits=8, **more):
    """A ``files.yaml`` with one file of this content."""
    entry = {"url": url, "sha256": hashlib.sha256(content).hexdigest()[:digits], **more}
    path = here / "files.yaml"
    path.write_text(yaml.safe_dump({name: entry}))
    return path


def prepare(here, architecture, state, form=ZIP):
    """Fetch the weights of an architecture from a file that the user has put there."""
    name = resolve("weights", architecture)().file
    content = pth(state, form)
    folder = here / "datasets" / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return fetch(architecture, listing(here, name, content))


@pytest.fixture(scope="module")
def tiny():
    """Not the weights of any network, but a state dict; obtaining does not look closer."""
    return {"fc.weight": torch.rand(2, 3), "bn.num_batches_tracked": torch.tensor(7)}


def left_in(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


# --- obtaining


@pytest.mark.parametrize("form", [ZIP, OLD], ids=["zip", "old"])
@pytest.mark.parametrize("digits", [8, 64])
def test_a_download_becomes_safetensors(here, web, tiny, form, digits, capsys):
    base, content, requests = web
    content[f"/models/{FILE}"] = body = pth(tiny, form)
    files = listing(here, FILE, body, f"{base}/models/{FILE}", digits, size=len(body))
    path = fetch("resnet18", files)
    assert path == weights.path("resnet18")
    assert str(path) == "datasets/weights/resnet18-f37072fd.safetensors"
    found = load_file(path)
    assert found.keys() == tiny.keys()
    assert all(torch.equal(found[name], tiny[name]) for name in tiny)
    assert read_sidecar(path)["source"]["sha256"] == hashlib.sha256(body).hexdigest()
    assert left_in(path.parent) == [path.name, f"{path.name}.provenance.json"]
    assert fetch("resnet18", files) == path
    assert len(requests) == 1
    assert "already prepared" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["mine", "mine/weights", "datasets/weights", "../torch/hub/checkpoints"])
def test_files_that_are_there_are_not_downloaded(here, tiny, place, monkeypatch):
    monkeypatch.setenv("GAUNTLET_DATA", str(here / "mine"))
    body = pth(tiny)
    (here / place).mkdir(parents=True)
    (here / place / FILE).write_bytes(body)
    path = fetch("resnet18", listing(here, FILE, body))
    assert torch.equal(load_file(path)["fc.weight"], tiny["fc.weight"])
    assert (here / place / FILE).read_bytes() == body


def test_a_wrong_file_is_passed_over(here, web, tiny, monkeypatch):
    base, content, _ = web
    content["/x"] = body = pth(tiny)
    monkeypatch.setenv("GAUNTLET_DATA", str(here))
    (here / FILE).write_bytes(b"something else")
    path = fetch("resnet18", listing(here, FILE, body, f"{base}/x"))
    assert torch.equal(load_file(path)["fc.weight"], tiny["fc.weight"])


def test_offline_the_error_says_where_to_put_the_file(here, web, tiny, monkeypatch):
    base, content, requests = web
    content["/x"] = body = pth(tiny)
    monkeypatch.setenv("GAUNTLET_OFFLINE", "1")
    with pytest.raises(GauntletError, match="GAUNTLET_OFFLINE=1") as caught:
        fetch("resnet18", listing(here, FILE, body, f"{base}/x"))
    assert f"put {FILE} from {base}/x into datasets/weights" in caught.value.remedy
    assert f"datasets/weights: has no {FILE}" in caught.value.problem
    assert requests == []
    assert left_in(here / "datasets" / "weights") == []


DAMAGE = {
    "absent": (None, "404"),
    "altered": (lambda body: body[:-1] + bytes([body[-1] ^ 1]), "altered"),
    "truncated": (lambda body: body[:-9], "truncated"),
    "longer": (lambda body: body + b"x", "another file"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_download_leaves_nothing(here, web, tiny, damage):
    base, content, _ = web
    change, reason = DAMAGE[damage]
    body = pth(tiny)
    if change:
        content["/x"] = change(body)
    with pytest.raises(GauntletError, match=reason):
        fetch("resnet18", listing(here, FILE, body, f"{base}/x", size=len(body)))
    assert left_in(here / "datasets" / "weights") == []


def test_a_download_goes_on_where_it_stopped(here, tiny, monkeypatch):
    monkeypatch.setattr(transfer, "POLICY", dataclasses.replace(transfer.POLICY, tries=1))
    body = pth(tiny)
    with loopback.running() as server:
        server.content["/x"] = body
        server.faults["/x"] = [loopback.closes(1000)]
        files = listing(here, FILE, body, f"{server.base}/x", size=len(body))
        with pytest.raises(GauntletError, match="IncompleteRead") as caught:
            fetch("resnet18", files)
        assert f"{server.base}/x" in caught.value.remedy
        assert not weights.path("resnet18").exists()
        path = fetch("resnet18", files)
    assert server.ranges == [None, f"bytes=1000-{len(body) - 1}"]
    assert torch.equal(load_file(path)["fc.weight"], tiny["fc.weight"])
    assert left_in(path.parent) == [path.name, f"{path.name}.provenance.json"]


def test_a_server_that_is_not_there(here, tiny):
    with pytest.raises(GauntletError, match=r"127.0.0.1:9.*refused"):
        fetch("resnet18", listing(here, FILE, pth(tiny)))


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hostile",)


@pytest.mark.parametrize("form", [ZIP, OLD], ids=["zip", "old"])
def test_a_file_that_runs_code_is_refused_and_does_not_run_it(here, form):
    with pytest.raises(GauntletError, match="not a plain state dict"):
        prepare(here, "resnet18", {"fc.weight": Hostile()}, form)
    assert not (here / "hostile").exists()
    assert left_in(here / "datasets" / "weights") == [FILE]


BAD = {
    "a bare pickle": pickle.dumps([1, 2], protocol=2),
    "empty": b"",
    "text": b"<html>Sorry</html>",
    "no names": pth([torch.zeros(2)]),
    "wrapped": pth({"state_dict": {"a": torch.zeros(2)}}),
    "half a zip": pth({"a": torch.zeros(999)})[:2000],
}


@pytest.mark.parametrize("content", BAD.values(), ids=list(BAD))
def test_anything_but_tensors_by_name_is_refused(here, content):
    (here / "datasets" / "weights").mkdir(parents=True)
    (here / "datasets" / "weights" / FILE).write_bytes(content)
    with pytest.raises(GauntletError, match=r"not a plain state dict|something else than tensors"):
        fetch("resnet18", listing(here, FILE, content))
    assert left_in(here / "datasets" / "weights") == [FILE]


def test_a_damaged_copy_is_noticed_and_replaced(here, tiny):
    path = prepare(here, "resnet18", tiny)
    save_file({"fc.weight": torch.zeros(2, 3)}, path)
    with pytest.raises(GauntletError, match="damaged weights") as caught:
        build("resnet18", 3, 64, 4, pretrained=True)
    assert "gauntlet models fetch resnet18" in caught.value.remedy
    prepare(here, "resnet18", tiny)
    assert torch.equal(load_file(path)["fc.weight"], tiny["fc.weight"])


def test_every_architecture_with_weights_has_a_published_file():
    published = yaml.safe_load(FILES.read_text())
    found = {name: resolve("weights", name)() for name in names("weights")}
    assert set(found) == {"bn_inception", "mobilenet_v2", "resnet18", "resnet50"}
    assert set(found) <= set(names("model"))
    assert {entry.file for entry in found.values()} == set(published)
    for name, entry in found.items():
        assert entry.architecture == name
        facts = published[entry.file]
        assert facts["url"].endswith(f"/{entry.file}")
        assert facts["sha256"][:8] == entry.file.removesuffix(".pth").rsplit("-")[-1][:8]
    for name in ("resnet18", "resnet50", "mobilenet_v2"):
        import torchvision

        assert published[found[name].file]["url"] == (
            torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].url
        )


def test_the_workflow_can_ask_for_the_path_without_torch():
    ask = "import sys; from gauntlet.models.weights import path; path('resnet50')"
    run = subprocess.run(
        [sys.executable, "-c", f"{ask}; print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "False"


def test_the_command_checks_all_names_first(here):
    run = subprocess.run(
        [sys.executable, "-m", "gauntlet.cli", "models", "fetch", "resnet18", "resnet5"],
        capture_output=True,
        text=True,
        env={**os.environ, "GAUNTLET_OFFLINE": "1"},
    )
    assert run.returncode == 2
    assert "unknown weights 'resnet5'" in run.stderr
    assert not (here / "datasets").exists()


# --- building


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50", "mobilenet_v2"])
def test_the_backbone_is_torchvisions_on_normalised_images(here, architecture):
    torch.manual_seed(0)
    reference = published_states.torchvision_net(architecture)
    prepare(here, architecture, reference.state_dict(), OLD if architecture == "resnet18" else ZIP)
    net = build(architecture, 3, 64, 8, pretrained=True).eval()
    images = torch.rand(2, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (images - mean[:, None, None]) / std[:, None, None]
    parts = list(reference.children())[:-2] if architecture.startswith("resnet") else [reference.features]
    with torch.no_grad():
        expected = torch.nn.Sequential(*parts)(x)
        torch.testing.assert_close(net.features(images), expected)
        torch.testing.assert_close(net(images), net.head(expected))
        raw = build(architecture, 3, 64, 8, pretrained=True, normalise=False).eval()
        torch.testing.assert_close(raw.features(images), torch.nn.Sequential(*parts)(images))


def test_bn_inception_sees_what_it_saw_in_caffe(here):
    torch.manual_seed(0)
    state = published_states.bn_inception()
    prepare(here, "bn_inception", state, OLD)
    net = build("bn_inception", 3, 64, 8, pretrained=True).eval()
    images = torch.rand(2, 3, 64, 64, requires_grad=True)
    caffe = images.flip(1) * 255 - torch.tensor([104.0, 117.0, 128.0])[:, None, None]

    first = torch.nn.functional.conv2d(
        caffe, state["conv1_7x7_s2.weight"], state["conv1_7x7_s2.bias"], stride=2, padding=3
    )
    inner = net.features.net
    own = inner.conv1_7x7_s2((images - net.features.mean) / net.features.std)
    torch.testing.assert_close(own, first, rtol=1e-4, atol=1e-2)

    plain = Features(3, small=False).eval()
    facts = dataclasses.replace(resolve("weights", "bn_inception")(), bgr=None)
    plain.load_state_dict(facts.fitted(state, plain.state_dict()))
    expected = plain(caffe)
    torch.testing.assert_close(net.features(images), expected, rtol=1e-3, atol=1e-4 * expected.max().item())

    (gradient,) = torch.autograd.grad(net(images)[:, 0].sum(), images)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).abs().sum(dim=1) > 0).all()


@pytest.fixture
def small(here):
    """A prepared resnet18, its published state dict, and the function that makes networks from it."""
    torch.manual_seed(0)
    state = published_states.torchvision_net("resnet18").state_dict()

    def make(change=lambda state: state, **options):
        prepare(here, "resnet18", change(dict(state)))
        return build("resnet18", 3, 64, 8, pretrained=True, **options)

    return make


def test_the_head_is_drawn_as_without_weights(small):
    torch.manual_seed(3)
    plain = build("resnet18", 3, 64, 8)
    small()
    torch.manual_seed(3)
    net = build("resnet18", 3, 64, 8, pretrained=True)
    assert torch.equal(net.head.linear.weight, plain.head.linear.weight)
    assert not torch.equal(net.features.net[0].weight, plain.features[0].weight)


@pytest.mark.parametrize("normalise", [True, False])
def test_a_trained_network_is_restored_without_the_weights(small, here, normalise):
    net = small(normalise=normalise).eval()
    weights.path("resnet18").unlink()
    restored = restore("resnet18", 3, 64, net.state_dict()).eval()
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(restored(images), net(images), rtol=0, atol=0)


def without(state):
    return {name: value for name, value in state.items() if "layer4" not in name}


def renamed(state):
    return {name.replace("layer", "stage"): value for name, value in state.items()}


def reshaped(state):
    return {**state, "layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, r"\(missing: 7.0.conv1.weight, .* and \d+ more\)"),
        (renamed, r"missing: 4.0.conv1.weight, .*; unknown: stage\d.*, "),
        (reshaped, r"other shape: 4.0.conv1.weight \(64, 64, 1, 1\) instead of \(64, 64, 3, 3\)\)"),
    ],
)
def test_weights_of_another_network_are_named(small, change, message):
    with pytest.raises(GauntletError, match=message):
        small(change)


@pytest.mark.parametrize(("channels", "size"), [(1, 64), (3, 32)])
def test_images_that_the_weights_are_not_for(channels, size):
    with pytest.raises(GauntletError, match="are for RGB images of more than 32 pixels"):
        build("mobilenet_v2", channels, size, 8, pretrained=True)


def test_weights_that_are_not_here_say_how_to_get_them(here):
    with pytest.raises(GauntletError, match="are not here") as caught:
        build("resnet18", 3, 64, 8, pretrained=True)
    assert caught.value.remedy == "gauntlet models fetch resnet18"


def test_an_architecture_without_weights(here):
    with pytest.raises(GauntletError, match="unknown weights 'conv'"):
        build("conv", 3, 64, 8, pretrained=True)
