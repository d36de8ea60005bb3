"""What attacks on updates made of clients' images, beside the images: the first seed."""

from __future__ import annotations

import textwrap

from gauntlet.core.registry import register
from gauntlet.report import pictures, style
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose
from gauntlet.report.vocabulary import BLOCK

ORIGINAL = "original"
KEYS = ["seed", "target", "index"]


@register("figure", "reconstructions")
def reconstructions(
    measurements: Measurements,
    study: Study,
    *,
    settings: list[str] | None = None,
    methods: list[str] | None = None,
    attacks: list[str] | None = None,
    images: int = 4,
):
    """A line per image of the first clients of a block, and a column per method and attack, with the PSNR in
    dB above each reconstruction. Columns are empty where a server did not see the image, or it was not kept.

    Args:
        attacks: all of the study when absent, in its order.
        images: per block.
    """
    import pandas as pd

    shown = measurements.pictures
    if settings is not None:
        shown = shown[shown["setting"].isin(settings)]
    order = choose(study, shown, methods)
    shown = shown[shown["method"].isin(order)]
    if shown.empty:
        return style.placeholder("No image was reconstructed.", scale=measurements.scale), shown
    wanted = [name for name in study.attacks if attacks is None or name in attacks]
    frame = pd.concat([_of_images(where(shown, block), images) for block in blocks(shown)])
    measured = measurements.reconstructions
    places = [name for name in frame.columns if name in measured.columns and name != "label"]
    frame = frame.merge(measured[[*places, "psnr", "ssim"]], on=places, how="left")
    found = set(zip(frame["method"], frame["attack"], strict=True))
    columns = [(method, attack) for method in order for attack in wanted if (method, attack) in found]
    lines = list(frame[[*BLOCK, "image"]].drop_duplicates().itertuples(index=False))
    figure, axes = style.grid(
        len(lines), 1 + len(columns), height=min(1.1, 6.2 / (1 + len(columns))) + 0.12, legend=0.0
    )
    for axis in axes.flat:
        axis.axis("off")
    last = None
    for row, line in zip(axes, lines, strict=True):
        here = where(frame, line[:3], image=line.image)
        if len(blocks(frame)) > 1 and last != (last := line[:3]):
            pictures.line_label(row[0], textwrap.fill(study.block_label(*line[:3]), 16))
        pictures.show(row[0], here.loc[here["attack"] == ORIGINAL, "png"].iloc[0])
        for axis, (method, attack) in zip(row[1:], columns, strict=True):
            for one in where(here, method=method, attack=attack).itertuples():
                pictures.show(axis, one.png, f"{one.psnr:.1f} dB")
    names = [ORIGINAL, *_names(study, columns)]
    for axis, name in zip(axes[0], names, strict=True):
        text = textwrap.fill(name, max(9, 96 // len(names)), break_long_words=False)
        heading = {"ha": "center", "va": "bottom", "fontsize": 6, "fontweight": "bold"}
        axis.annotate(text, (0.5, 1.22), xycoords="axes fraction", **heading)
    note = "the first seed; above each reconstruction its PSNR"
    return style.finish(figure, scale=measurements.scale, note=note), frame.drop(columns="png")


def _names(study: Study, columns: list[tuple[str, str]]) -> list[str]:
    """What tells the columns apart: their methods, their attacks, or both."""
    if len({attack for _, attack in columns}) == 1:
        return [study.label(method) for method, _ in columns]
    if len({method for method, _ in columns}) == 1:
        return [study.attack_label(attack) for _, attack in columns]
    return [f"{study.label(method)}: {study.attack_label(attack)}" for method, attack in columns]


def _of_images(rows, images: int):
    """The pictures of the first ``images`` originals of a block, with their numbers as column ``image``.

    The server sees an image under another target where it sees sums: what tells originals apart is the
    picture itself.
    """
    rows = rows[rows["seed"] == rows["seed"].min()].sort_values(["target", "index"])
    originals = rows[rows["attack"] == ORIGINAL]
    numbers = {png: number for number, png in enumerate(originals["png"].drop_duplicates().head(images))}
    own = originals.assign(image=originals["png"].map(numbers))[["method", *KEYS, "image"]]
    found = rows.merge(own, on=["method", *KEYS]).dropna(subset="image")
    return found.sort_values(["image", "target", "index"], kind="stable")
