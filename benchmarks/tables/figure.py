"""The critical-difference diagram."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables.comparing import groups


def draw(path: Path, panels: list[tuple[str, list[str], np.ndarray, float]]) -> None:
    """Draw a diagram for each group of data sets, one below the other.

    Methods are placed along an axis of mean ranks, the best at the left; a bar joins those that do not differ
    significantly.

    Arguments:
        path: path of the figure.
        panels: title, labels of the methods, their mean ranks, critical difference.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, sum(0.3 * (len(labels) + 6) for _, labels, *_ in panels)), layout="constrained")
    FigureCanvasAgg(figure)
    heights = [len(labels) + 6 for _, labels, *_ in panels]
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (title, labels, mean_ranks, difference) in zip(axes, panels, strict=True):
        draw_panel(axis, title, labels, mean_ranks, difference)
    figure.savefig(path, dpi=150)


def draw_panel(axis: Any, title: str, labels: list[str], mean_ranks: np.ndarray, difference: float) -> None:
    """Draw one diagram; a row of text is one unit high."""
    count, order = len(labels), np.argsort(mean_ranks, kind="stable")
    left, right, ink, grey = 1.0, float(count), "#222222", "#888888"
    joined = groups(mean_ranks, difference)
    first = 1.0 + 0.45 * len(joined)  # the first method's row is below the bars
    axis.text(left, -2.6, title, fontsize=10, va="bottom", color=ink)
    axis.set_xlim(left - 0.75 * (count - 1) * 0.62, right + 0.75 * (count - 1) * 0.62)
    half = (count + 1) // 2
    axis.set_ylim(first + half, -3.4)
    axis.axis("off")
    axis.plot([left, right], [0, 0], color=ink, lw=1)
    for rank in np.arange(1, count + 1):
        axis.plot([rank, rank], [0, -0.25], color=ink, lw=1)
        axis.text(rank, -0.4, f"{rank}", ha="center", va="bottom", fontsize=8, color=ink)
    axis.plot([left, left + difference], [-1.8, -1.8], color=ink, lw=1)
    for end in (left, left + difference):
        axis.plot([end, end], [-2.0, -1.6], color=ink, lw=1)
    axis.text(
        left + difference + 0.08, -1.8, f"critical difference {difference:.2f}", va="center", fontsize=8, color=ink
    )
    for place, method in enumerate(order):
        rank, at_left = mean_ranks[method], place < half
        row = first + (place if at_left else count - 1 - place)
        edge = left - 0.12 * (count - 1) if at_left else right + 0.12 * (count - 1)
        weight = "bold" if labels[method].startswith("dnnkit") else "normal"
        axis.plot([rank, rank, edge], [0, row, row], color=grey, lw=0.8)
        axis.text(
            edge + (-0.05 if at_left else 0.05),
            row,
            f"{labels[method]}  {rank:.2f}" if at_left else f"{rank:.2f}  {labels[method]}",
            ha="right" if at_left else "left",
            va="center",
            fontsize=8.5,
            fontweight=weight,
            color=ink,
        )
    for number, group in enumerate(joined):
        height = 0.5 + 0.45 * number
        ends = [mean_ranks[method] for method in group]
        axis.plot([min(ends) - 0.04, max(ends) + 0.04], [height, height], color="#b03a2e", lw=3, solid_capstyle="round")
