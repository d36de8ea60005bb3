"""Weights of a backbone that was trained on ImageNet: which file, which input, which names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256_file
from gauntlet.core.provenance import read_sidecar

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Prepared weights, relative to the repository's root.
FOLDER = Path("datasets/weights")

#: Of torchvision's networks, for RGB images in [0, 1].
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: From torchvision's names to those of ``gauntlet.models.backbones.residual``.
RESIDUAL = {
    r"^conv1\.": "0.",
    r"^bn1\.": "1.",
    r"^layer1\.": "4.",
    r"^layer2\.": "5.",
    r"^layer3\.": "6.",
    r"^layer4\.": "7.",
}

SMALL = 32  # pixels; networks for images up to here have another stem
SHOWN = 3  # names in an error


@dataclass(frozen=True)
class Pretrained:
    """One published state dict and the backbone (``features``) that it fits.

    Args:
        architecture: the network in ``gauntlet/models/``.
        file: the published file, a key of ``files.yaml``.
        classifier: its names that begin so are left out.
        names: regular expression -> what to put in its place, for names that differ from the backbone's.
        mean, std: normalisation of RGB images in [0, 1].
        bgr: name of the first convolution when it expects BGR images; it is turned to RGB.
    """

    architecture: str
    file: str
    classifier: str
    names: Mapping[str, str] = field(default_factory=dict)
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    bgr: str | None = None

    @property
    def path(self) -> Path:
        """The prepared file: the same tensors under the same names, as safetensors."""
        return (FOLDER / self.file).with_suffix(".safetensors")

    def fill(self, net: nn.Module, channels: int, size: int, *, normalise: bool = True) -> None:
        """Put the weights into ``net.features``, behind their normalisation if ``normalise``.

        Raises:
            GauntletError: images that these weights are not for; the file is absent, damaged or of
                another network.
        """
        import torch

        from gauntlet.models.normalised import Normalised

        if channels != 3 or size <= SMALL:
            raise GauntletError(
                f"ImageNet weights of {self.architecture!r} are for RGB images of more than {SMALL} pixels"
                f" (got {channels} x {size} x {size})",
                key="pretrained",
                remedy="set pretrained: false, or choose a dataset of photos",
            )
        net.features.load_state_dict(self.fitted(self.read(), net.features.state_dict()))
        if normalise:
            net.features = Normalised(net.features, torch.tensor(self.mean), torch.tensor(self.std))

    def read(self) -> dict[str, Tensor]:
        """The published tensors by their published names.

        Raises:
            GauntletError: the file is absent or damaged.
        """
        from safetensors.torch import load_file

        remedy = f"gauntlet models fetch {self.architecture}"
        if not self.path.is_file():
            raise GauntletError(
                f"the ImageNet weights of {self.architecture!r} are not here", file=self.path, remedy=remedy
            )
        if not intact(self.path):
            raise GauntletError(
                "damaged weights", file=self.path, remedy=f"{remedy} (replaces the damaged copy)"
            )
        return load_file(self.path)

    def fitted(self, published: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of ``published`` under the names of ``wanted``, the backbone's state dict.

        Old files have BatchNorm vectors of shape (1, n), and no counts of batches; those stay as they are.

        Raises:
            GauntletError: a tensor is missing, not known, or of another shape; names the first few.
        """
        state = {}
        for name, value in published.items():
            if not name.startswith(self.classifier):
                own = self._own(name)
                like = wanted.get(own)
                squeezed = like is not None and value.shape == (1, *like.shape)
                state[own] = value[0] if squeezed else value
        for own, value in wanted.items():
            if own.endswith(".num_batches_tracked"):
                state.setdefault(own, value)
        faults = {
            "missing": [own for own in wanted if own not in state],
            "unknown": [own for own in state if own not in wanted],
            "other shape": [
                f"{own} {tuple(value.shape)} instead of {tuple(wanted[own].shape)}"
                for own, value in state.items()
                if own in wanted and value.shape != wanted[own].shape
            ],
        }
        if any(faults.values()):
            found = "; ".join(_first(fault, names) for fault, names in faults.items() if names)
            raise GauntletError(
                f"not the weights of {self.architecture!r} ({found})",
                file=self.path,
                remedy=f"delete it, then run `gauntlet models fetch {self.architecture}`",
            )
        if self.bgr:
            state[self.bgr] = state[self.bgr].flip(1)
        return state

    def _own(self, name: str) -> str:
        for pattern, replacement in self.names.items():
            name = re.sub(pattern, replacement, name)
        return name


def intact(path: Path) -> bool:
    """Whether the file at ``path`` is what its sidecar says."""
    try:
        return sha256_file(path) == read_sidecar(path)["sha256"]
    except (OSError, GauntletError, KeyError):
        return False


def _first(fault: str, names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{fault}: {shown}{more}"
