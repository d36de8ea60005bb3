"""Who owns what: images per client and class."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks


@register("figure", "partition")
def partition(
    measurements: Measurements, study: Study, *, settings: list[str] | None = None, columns: int = 2
):
    """A map per block, a column per client and a row per class; Mavericks are marked. One seed, the first."""
    clients = measurements.clients
    if settings is not None:
        clients = clients[clients["setting"].isin(settings)]
    if clients.empty:
        return style.placeholder("No partition was recorded.", scale=measurements.scale), clients
    found = blocks(clients)
    firsts = []
    for block in found:
        here = where(clients, block)
        here = where(here, method=here["method"].min(), seed=here["seed"].min())
        firsts.append(here)
    columns = min(columns, len(found))
    figure, axes = style.grid(-(-len(found) // columns), columns, height=1.7)
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    highest = max(frame["samples"].max() for frame in firsts)
    for axis, block, frame in zip(axes.flat, found, firsts, strict=False):
        counts = frame.pivot(index="label", columns="client", values="samples").to_numpy().astype(float)
        counts[counts == 0] = np.nan
        image = axis.imshow(
            counts,
            aspect="auto",
            origin="lower",
            cmap="cividis",
            norm=LogNorm(1, highest),
            interpolation="none",
        )
        axis.grid(False)
        marked = sorted(frame.loc[frame["maverick"], "client"].unique())
        if marked:  # a line without points would upset the layout
            top = [counts.shape[0] - 0.1] * len(marked)
            axis.plot(marked, top, "v", color="#D55E00", clip_on=False, markersize=4)
        axis.set(xlabel="client", ylabel="class")
        axis.set_title(study.block_label(*block), loc="left", fontsize=6.5, pad=8)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label("images")
    bar.outline.set_visible(False)
    import pandas as pd

    note = "white: none; triangles: Mavericks; the first seed"
    numbers = pd.concat(firsts, ignore_index=True)
    return style.finish(figure, scale=measurements.scale, note=note), numbers
