"""What thieves ask about at the end: images of the first seed."""

from __future__ import annotations

import base64
import io

import numpy as np

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose


@register("figure", "query_samples")
def query_samples(
    measurements: Measurements, study: Study, *, methods: list[str] | None = None, images: int = 10
):
    """A line of images per method and block, the target's class above each."""
    from PIL import Image

    samples = measurements.samples
    samples = samples[samples["method"].isin(choose(study, samples, methods))]
    if samples.empty:
        return style.placeholder("No query was kept.", scale=measurements.scale), samples
    lines = [
        (block, method) for block in blocks(samples) for method in choose(study, where(samples, block), None)
    ]
    figure, axes = style.grid(len(lines), images, height=0.78)
    several = len(blocks(samples)) > 1
    drawn = []
    for row, (block, method) in zip(axes, lines, strict=True):
        here = where(samples, block, method=method)
        here = here[here["seed"] == here["seed"].min()].sort_values("index").head(images)
        drawn.append(here.drop(columns="png"))
        for axis in row:
            axis.axis("off")
        for axis, one in zip(row, here.itertuples(), strict=False):
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(one.png))))
            axis.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_title(str(one.label), fontsize=6, pad=1.5)
        name = study.label(method)
        label = f"{name}\n{study.block_label(*block)}" if several else name
        row[0].text(-0.15, 0.5, label, transform=row[0].transAxes, ha="right", va="center", fontsize=6)
    import pandas as pd

    note = "the last queries of the first seed, cut to [0, 1]; above: the class that the target gives"
    return style.finish(figure, scale=measurements.scale, note=note), pd.concat(drawn, ignore_index=True)
