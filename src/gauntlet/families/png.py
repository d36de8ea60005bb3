"""Images in tables."""

from __future__ import annotations

import base64
import io

from PIL import Image
from torch import Tensor


def as_png(image: Tensor) -> str:
    """(C, H, W), cut to [0, 1], as a PNG in base 64."""
    pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
