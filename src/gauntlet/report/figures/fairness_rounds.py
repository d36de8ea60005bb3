"""How fairly contributions are credited against the data that clients bring, by round."""

from __future__ import annotations

from matplotlib.patches import Patch

from gauntlet.core.registry import register
from gauntlet.report import style
from gauntlet.report.derived.contribution_shares import fairness, from_zero, with_mavericks
from gauntlet.report.measurements import Measurements, where
from gauntlet.report.study import Study
from gauntlet.report.summary import blocks, choose, seeds_note, summarise
from gauntlet.report.vocabulary import CELL


@register("figure", "fairness_rounds")
def fairness_rounds(
    measurements: Measurements,
    study: Study,
    *,
    methods: list[str] | None = None,
    measure: str = "shapley_from_zero",
    bins: int = 10,
):
    """Bars: the mean fairness utility ``1 - |q_k - rc_k|`` in ``bins`` equal parts of the run, with the ideal
    line at 1. A panel per block; over rounds in which a Maverick took part."""
    used = from_zero(with_mavericks(measurements.picks, measurements.clients), measurements.rounds)
    order = choose(study, used, methods)
    used = used[used["method"].isin(order)]
    if used.empty:
        return style.placeholder("No contribution was measured.", scale=measurements.scale), used
    utility = fairness(used, measure).merge(used[[*CELL, "seed", "length"]].drop_duplicates())
    utility["bin"] = ((utility["round"] - 1) * bins // utility["length"]).clip(upper=bins - 1)
    per_seed = utility.groupby([*CELL, "seed", "bin"], as_index=False)["value"].mean()
    frame = summarise(per_seed, [*CELL, "bin"])
    frame["round"] = (frame["bin"] + 0.5) * utility["length"].max() / bins
    order, found = choose(study, frame, methods), blocks(frame)
    width = style.SINGLE if len(found) == 1 else style.DOUBLE
    columns = min(2, len(found))
    figure, axes = style.grid(
        -(-len(found) // columns), columns, width=width, height=1.9, legend=style.legend_room(len(order), 3)
    )
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    slot = utility["length"].max() / bins / (len(order) + 0.6)
    for axis, block in zip(axes.flat, found, strict=False):
        for index, method in enumerate(order):
            bar, look = where(frame, block, method=method), style.look(study, method)
            place = bar["round"] + (index - (len(order) - 1) / 2) * slot
            axis.bar(
                place, bar["mean"], width=slot, color=look.color, alpha=0.75,
                yerr=bar["half_width"].fillna(0), error_kw={"elinewidth": 0.7, "capsize": 1.2},
            )  # fmt: skip
        axis.axhline(1, color="#444444", linestyle="--", linewidth=0.8)
        axis.set(xlabel="round", ylabel="fairness utility U", ylim=(0, 1.08))
        axis.set_title(study.block_label(*block), loc="left", fontsize=6.5)
    handles = [Patch(color=style.look(study, method).color, alpha=0.75) for method in order]
    style.legend(figure, handles, [study.label(method) for method in order], min(3, len(order)))
    note = f"mean and 95% interval over {seeds_note(frame)}"
    return style.finish(figure, scale=measurements.scale, note=note), frame.drop(columns="bin")
