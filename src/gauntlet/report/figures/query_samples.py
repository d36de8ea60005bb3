"""What thieves ask about at the end, or what clients share: images of the first seed."""

from __future__ import annotations

from gauntlet.core.registry import register
from gauntlet.report import pictures, style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose


@register("figure", "query_samples")
def query_samples(
    measurements: Measurements,
    study: Study,
    *,
    methods: list[str] | None = None,
    images: int = 10,
    note: str = "the last queries of the first seed, cut to [0, 1]; above: the class that the target gives",
):
    """A line of images per method and block, its class above each.

    Args:
        images: of a line.
        note: what they are.
    """
    import pandas as pd

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
            pictures.show(axis, one.png, str(one.label))
        name = study.label(method)
        label = f"{name}\n{study.block_label(*block)}" if several else name
        pictures.line_label(row[0], label)
    return style.finish(figure, scale=measurements.scale, note=note), pd.concat(drawn, ignore_index=True)
