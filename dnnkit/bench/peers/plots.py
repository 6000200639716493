"""Results as pictures: a bar per peer, and the cost of a step as a network grows."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .results import MEASURED, Results, Summary, duration, with_unit
from .works import OWN, Work

COLORS = {"own": "#1f6fb4", "peer": "#b9c0c7", "floor": "#c8321e"}
LINES = ("#e08214", "#3a9d5d", "#8c5fb0", "#c8321e", "#7f7f7f", "#17becf")


def plot_works(results: Results) -> Figure:
    """A panel per work: a bar per peer on a logarithmic scale, quartiles as whiskers, the floor as a line."""
    works = [work for work in results.works if work.kind in MEASURED and results.summaries(work)]
    rows = -(-len(works) // 2)
    height = 0.9 + 0.27 * max((len(results.summaries(work)) for work in works), default=1)
    figure = Figure(figsize=(12, height * max(1, rows)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(max(1, rows), 2)).reshape(-1)
    for axes in panels[len(works) :]:
        axes.axis("off")
    for axes, work in zip(panels, works, strict=False):
        _bars(axes, work, results.summaries(work), results.floor(work))
    return figure


def _bars(axes: Axes, work: Work, summaries: Sequence[Summary], floor: float | None) -> None:
    seconds = [summary.seconds for summary in summaries]
    whiskers = [
        [summary.seconds - summary.quartiles[0] for summary in summaries],
        [summary.quartiles[1] - summary.seconds for summary in summaries],
    ]
    colors = [COLORS["own" if summary.family == OWN else "peer"] for summary in summaries]
    names = [summary.peer for summary in summaries]
    axes.barh(names, seconds, xerr=np.maximum(whiskers, 0), color=colors, ecolor="#404040", capsize=2)
    axes.invert_yaxis()
    axes.set_xscale("log")
    smallest = min([*seconds, floor or seconds[0]])
    largest = max(summary.quartiles[1] for summary in summaries)
    axes.set_xlim(smallest / 1.5, largest * (largest / smallest) ** 0.25 * 1.7)
    for place, summary in enumerate(summaries):
        text = duration(summary.seconds)
        axes.annotate(text, (summary.quartiles[1], place), (6, 0), textcoords="offset points", va="center", fontsize=8)
    if floor:
        axes.axvline(floor, color=COLORS["floor"], linestyle="--", label=f"arithmetic floor, {duration(floor)}")
        axes.legend(frameon=False, fontsize=8, loc="upper right")
    axes.set_title(f"{work.name}. {work.title}", fontsize=10, loc="left")
    _in_durations(axes.xaxis, largest > 30 * smallest)
    axes.set_xlabel("per epoch" if work.kind == "train" else "per call", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)


def _in_durations(axis: Axis, wide: bool) -> None:
    """Ticks of a logarithmic axis as durations, fewer where the axis is wide."""
    axis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: "{:g} {}".format(*with_unit(value))))
    axis.set_minor_formatter(NullFormatter())


def plot_growth(results: Results) -> Figure:
    """A panel per axis: time per step, both scales logarithmic, quartiles as a band."""
    axes_names = list(dict.fromkeys(work.axis for work in results.works))
    figure = Figure(figsize=(12, 4.2 * -(-len(axes_names) // 2)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(-(-len(axes_names) // 2), 2)).reshape(-1)
    labels = {"width": "hidden units", "depth": "hidden layers of 256", "batch": "rows per batch", "samples": "samples"}
    peers = list(results.raw["peers"])
    colors = dict(zip([peer for peer in peers if peer != OWN], cycle(LINES), strict=False)) | {OWN: COLORS["own"]}
    for axes, axis in zip(panels, axes_names, strict=False):
        works = [work for work in results.works if work.axis == axis]
        for peer in peers:
            found = [(work, s) for work in works for s in results.summaries(work) if s.peer == peer]
            if not found:
                continue
            values = [work.value for work, _ in found]
            times = [summary.seconds / work.steps for work, summary in found]
            width = 2.2 if peer == OWN else 1.4
            axes.plot(values, times, marker="o", markersize=4, label=peer, color=colors[peer], linewidth=width)
            low, high = zip(*(np.divide(s.quartiles, work.steps) for work, s in found), strict=True)
            axes.fill_between(values, low, high, color=colors[peer], alpha=0.15, linewidth=0)
        axes.set(xscale="log", yscale="log", xlabel=labels.get(axis, axis), ylabel="time per step")
        low, high = axes.get_ylim()
        missing = max(1.0, 20 * low / high)  # what does not grow should look so
        axes.set_ylim(low / missing**0.5, high * missing**0.5)
        _in_durations(axes.yaxis, high > 30 * low)
        axes.set_xticks([work.value for work in works], [f"{work.value:,}" for work in works], fontsize=8)
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=8)
    return figure
