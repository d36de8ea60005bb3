"""Coverage-guided fuzzing of the readers of IDX, CIFAR and MATLAB files, by atheris (libFuzzer):

    pip install --target FOLDER atheris
    PYTHONPATH=FOLDER python tests/data/fuzzing.py idx|cifar|mat [SECONDS]

New inputs that reach new code join ``corpus/<reader>``, which the tests replay. An input at which a reader
raises anything but GauntletError, crashes, hangs for 10 s or takes 2 GB is left in the working directory.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
LONGEST = 8192  # bytes of an input


def idx(content: bytes, scratch: Path) -> None:
    from gauntlet.data.readers.idx import read_idx

    path = scratch / "x"
    path.write_bytes(content)
    assert read_idx(path).nbytes <= len(content)


def cifar(content: bytes, scratch: Path) -> None:
    """The archive, which may be compressed."""
    from handmade import ten_classes

    from gauntlet.data.readers import cifar

    path = scratch / "x.tar"
    path.write_bytes(content)
    listed = {"archive": {"name": "x.tar", "size": 1, "sha256": "0" * 64}}
    counts = {"train": 5, "test": 1}
    entry = ten_classes(reader="cifar", shape=[1, 1, 2], counts=counts, files=listed)
    arrays = cifar.read({"archive": path}, entry)
    assert sum(array.nbytes for array in arrays.values()) <= 3 * 60


def mat(content: bytes, scratch: Path) -> None:
    """As the annotations of Cars196, and as the digits of SVHN."""
    from handmade import ten_classes

    from gauntlet.core.errors import GauntletError
    from gauntlet.data.readers import structs, svhn

    path = scratch / "x.mat"
    path.write_bytes(content)
    with suppress(GauntletError):
        structs.structs(content, path, "annotations", ("relative_im_path", "class"))
    with suppress(GauntletError):
        structs.cells(content, path, "class_names")
    listed = {split: {"name": f"{split}.mat", "size": 1, "sha256": "0" * 64} for split in ("train", "test")}
    entry = ten_classes(reader="svhn", shape=[3, 2, 2], counts={"train": 1, "test": 1}, files=listed)
    svhn.read({"train": path, "test": path}, entry)


READERS: dict[str, Callable[[bytes, Path], None]] = {"idx": idx, "cifar": cifar, "mat": mat}


def read(reader: str, content: bytes, scratch: Path) -> bool:
    """Whether the reader takes ``content``. Raises whatever it raises but GauntletError."""
    from gauntlet.core.errors import GauntletError

    try:
        READERS[reader](content, scratch)
    except GauntletError:
        return False
    return True


def main() -> None:
    reader, seconds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "60"
    import atheris

    with atheris.instrument_imports(include=["gauntlet.data", "tarfile", "gzip"]):
        from gauntlet.data.readers import cifar, idx, structs, svhn  # noqa: F401
    scratch = Path(tempfile.gettempdir()) / f"gauntlet-fuzzing-{reader}"
    for folder in (scratch, CORPUS / reader):
        folder.mkdir(parents=True, exist_ok=True)
    options = ["-timeout=10", "-rss_limit_mb=2048", f"-max_len={LONGEST}", f"-max_total_time={seconds}"]
    options.append(str(CORPUS / reader))
    atheris.Setup([sys.argv[0], *options], lambda content: read(reader, content, scratch))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
