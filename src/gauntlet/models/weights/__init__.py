"""ImageNet weights: one file per architecture says which they are and how they fit.

``gauntlet models fetch`` (``fetch.py``) obtains them, ``build(..., pretrained=True)`` reads them. Nothing
here imports torch before it needs it, so that the workflow may ask for ``path`` while parsing.
"""

from __future__ import annotations

from pathlib import Path

from gauntlet.core.registry import resolve

#: What the files of this folder register.
KIND = "weights"


def path(architecture: str) -> Path:
    """The file that ``build(architecture, ..., pretrained=True)`` reads, relative to the repository's root.

    Raises:
        GauntletError: no ImageNet weights are known for this architecture.
    """
    return resolve("weights", architecture)().path
