"""Plots of results: each peer's time relative to dnnkit, and the cost of a step as a network grows.

Panels share their scale; colors are Okabe and Ito's, which are safe for color-blind readers.
"""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .results import MEASURED, Results, Summary, duration, with_unit
from .works import OWN, Work

COLORS = {"own": "#0072b2", "peer": "#5c6770", "floor": "#d55e00"}
LINES = ("#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#000000", "#d55e00")


def plot_works(results: Results) -> Figure:
    """Plot a panel per workload with a point per peer, at its time divided by dnnkit's, on a common log scale."""
    works = [work for work in results.works if work.kind in MEASURED and results.summaries(work)]
    rows = -(-len(works) // 2)
    height = 0.5 + 0.2 * max((len(results.summaries(work)) for work in works), default=1)
    figure = Figure(figsize=(12, height * max(1, rows) + 0.6), layout="constrained")
    panels = np.atleast_1d(figure.subplots(max(1, rows), 2, sharex=True, squeeze=False)).reshape(-1)
    for axes in panels[len(works) :]:
        axes.axis("off")
    least, most = 1.0, 1.0
    for axes, work in zip(panels, works, strict=False):
        ends = _points(axes, work, results.summaries(work), results.floor(work))
        least, most = min(least, *ends), max(most, *ends)
    panels[0].set_xscale("log")
    panels[0].set_xlim(least / 1.3, most * (most / least) ** 0.2 * 1.3)  # leaves room for the times
    panels[0].xaxis.set_major_locator(LogLocator(subs=(1.0,) if most > 300 * least else (1.0, 2.0, 5.0)))
    panels[0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g} ×"))
    panels[0].xaxis.set_minor_formatter(NullFormatter())
    for place, axes in enumerate(panels[: len(works)]):
        if place + 2 >= len(works):
            axes.set_xlabel("time ÷ dnnkit's", fontsize=8)
            axes.tick_params(labelbottom=True)
    floor = panels[0].plot([], [], color=COLORS["floor"], linestyle="--")[0]
    figure.legend([floor], ["arithmetic floor"], loc="outside upper right", frameon=False, fontsize=8)
    return figure


def _points(axes: Axes, work: Work, summaries: Sequence[Summary], floor: float | None) -> list[float]:
    """Draw a panel; return the smallest and largest value in it."""
    own = next((summary.seconds for summary in summaries if summary.peer == OWN), summaries[0].seconds)
    ends = [1.0]
    for place, summary in enumerate(summaries):
        low, high = (quartile / own for quartile in summary.quartiles)
        color = COLORS["own" if summary.family == OWN else "peer"]
        axes.plot([low, high], [place, place], color=color, linewidth=1.4, alpha=0.6)
        axes.plot([summary.seconds / own], [place], "o", color=color, markersize=5)
        text = duration(summary.seconds)
        axes.annotate(text, (high, place), (7, 0), textcoords="offset points", va="center", fontsize=8)
        ends += [low, high]
    if floor:
        axes.axvline(floor / own, color=COLORS["floor"], linestyle="--", linewidth=1.2)
        ends.append(floor / own)
    axes.set_yticks(range(len(summaries)), [summary.peer for summary in summaries])
    axes.set_ylim(len(summaries) - 0.4, -0.6)
    per = "per epoch" if work.kind == "train" else "per call"
    axes.set_title(f"{work.name}. {work.title}, {per}", fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    return [min(ends), max(ends)]


def _in_durations(axis: Axis, wide: bool) -> None:
    """Format the ticks of a logarithmic axis as durations, with fewer of them on a wide axis."""
    axis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: "{:g} {}".format(*with_unit(value))))
    axis.set_minor_formatter(NullFormatter())


def plot_growth(results: Results) -> Figure:
    """Plot a panel per axis, all on the same log-log scale: time per step, with quartiles as a band."""
    axes_names = list(dict.fromkeys(work.axis for work in results.works))
    rows = -(-len(axes_names) // 2)
    figure = Figure(figsize=(12, 4.2 * rows), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, 2, sharey=True, squeeze=False)).reshape(-1)
    labels = {"width": "hidden units", "depth": "hidden layers of 256", "batch": "rows per batch", "samples": "samples"}
    peers = list(results.raw["peers"])
    colors = dict(zip([peer for peer in peers if peer != OWN], cycle(LINES), strict=False)) | {OWN: COLORS["own"]}
    for axes in panels[len(axes_names) :]:
        axes.axis("off")
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
        axes.set(xscale="log", yscale="log", xlabel=labels.get(axis, axis))
        axes.set_xticks([work.value for work in works], [f"{work.value:,}" for work in works], fontsize=8)
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.25)
    low, high = panels[0].get_ylim()
    _in_durations(panels[0].yaxis, high > 30 * low)
    for axes in panels[::2]:
        axes.set_ylabel("time per step")
    panels[0].legend(frameon=False, fontsize=8, loc="upper left")
    return figure
