"""Obtain ImageNet weights: verified, read without running any of their code, converted to safetensors."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from filelock import FileLock
from pydantic import Field

from gauntlet.core.config import Strict, load_yaml, parse
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import atomic, sha256_file
from gauntlet.core.provenance import Recorder
from gauntlet.core.registry import resolve
from gauntlet.core.transfer import Failed, Wanted
from gauntlet.models.weights.base import FOLDER, Pretrained, intact

if TYPE_CHECKING:
    from torch import Tensor

FILES = Path(__file__).with_name("files.yaml")
LIMIT = 1 << 30  # bytes of a file whose size is not known


class Published(Strict):
    """A file of ``files.yaml``."""

    url: Annotated[str, Field(pattern=r"^https?://.+")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$", description="its first digits, or all 64")]
    size: Annotated[int, Field(gt=0)] | None = Field(None, description="bytes")


def fetch(architecture: str, files: Path = FILES) -> Path:
    """Make sure that the prepared weights are there and intact, obtaining them if they are not.

    The published file is looked for in ``$GAUNTLET_DATA`` and its folder ``weights``, in
    ``datasets/weights``, and where torch keeps its downloads. Then it is downloaded, unless
    ``GAUNTLET_OFFLINE=1``. Two processes may do this at once: one works and the other waits.

    Args:
        architecture: a file in this folder.
        files: what is published where.

    Returns:
        The prepared file, safetensors with a sidecar.

    Raises:
        GauntletError: no weights are known for this architecture; nobody could serve them (says what each
            answered). Nothing half-prepared is left.
    """
    wanted: Pretrained = resolve("weights", architecture)()
    if intact(wanted.path):
        _say(f"{architecture}: already prepared, verified")
        return wanted.path
    try:
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(wanted.path.with_name(f".{wanted.path.name}.lock"))
        lock.acquire()
    except OSError as error:
        raise GauntletError(
            f"cannot write here ({error.strerror})",
            file=wanted.path.parent,
            remedy="make the folder writable",
        ) from error
    try:
        if not intact(wanted.path):
            _obtain(wanted, parse(Published, load_yaml(files).get(wanted.file), file=files, key=wanted.file))
    finally:
        lock.release()
    return wanted.path


def _obtain(wanted: Pretrained, published: Published) -> None:
    kept = wanted.path.with_name(f".{wanted.path.name}.partial")
    for left in wanted.path.parent.glob(f".{wanted.path.name}.*"):
        if left.is_dir() and left != kept:  # of a killed process; the lock says that nobody is using it
            shutil.rmtree(left, ignore_errors=True)
    recorder = Recorder("models fetch", {"architecture": wanted.architecture, "file": wanted.file})
    answers = []
    with atomic(wanted.path) as temporary:
        for label, file, fault in _candidates(wanted.file, published, kept):
            digest = "" if fault else sha256_file(file)
            if not fault and not digest.startswith(published.sha256):
                fault = f"its SHA-256 begins with {digest[:16]}, not {published.sha256[:16]}"
            if fault:
                answers.append(f"{label}: {fault}")
                continue
            _say(f"{wanted.architecture}: from {label}")
            _convert(read_state(file), temporary)
            break
        else:
            raise GauntletError(
                f"the ImageNet weights {wanted.file} cannot be obtained\n    " + "\n    ".join(answers),
                remedy=f"run it again where there is a network, or put {wanted.file} from {published.url}"
                f" into {FOLDER} or the folder that GAUNTLET_DATA names",
            )
    shutil.rmtree(kept, ignore_errors=True)
    recorder.write(wanted.path, source={"file": wanted.file, "sha256": digest, "from": label})
    _say(f"{wanted.architecture}: {wanted.path}, SHA-256 of {wanted.file}: {digest}")


def _candidates(name: str, published: Published, kept: Path) -> Iterator[tuple[str, Path, str | None]]:
    """Where the published file may be, in order: a label, the file, and why it is not there."""
    for folder in _folders():
        yield str(folder), folder / name, None if (folder / name).is_file() else f"has no {name}"
    yield published.url, *_download(name, published, kept)


def _folders() -> Iterator[Path]:
    import torch

    if given := os.environ.get("GAUNTLET_DATA"):
        yield Path(given)
        yield Path(given) / "weights"
    yield FOLDER
    yield Path(torch.hub.get_dir()) / "checkpoints"


def _download(name: str, published: Published, kept: Path) -> tuple[Path, str | None]:
    """The downloaded file in the folder ``kept``, and why it could not be downloaded, or None."""
    from gauntlet.core.transfer.download import download  # late: most weights are there already

    size = published.size
    file = Wanted(name, published.sha256, "sha256", size, size or LIMIT)
    try:
        return download([published.url], file, kept, later=size or 0).path, None
    except Failed as error:
        return kept, str(error).removeprefix(f"{published.url}: ")


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.pth`` file, zipped or of the older format, by torch's restricted unpickler.

    Raises:
        GauntletError: it is damaged, or holds anything but tensors by name.
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever it likes
        reason = str(error).strip().split("\n")[0]
        raise GauntletError(
            f"not a plain state dict of tensors ({reason})",
            file=path,
            remedy="get it again from its publisher; it is not unpickled freely, because that runs its code",
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise GauntletError(
            "holds something else than tensors by name", file=path, remedy="get it again from its publisher"
        )
    return state


def _convert(state: dict[str, Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    # Copies, because safetensors refuses tensors that share memory.
    save_file({name: value.detach().clone().contiguous() for name, value in state.items()}, path)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
