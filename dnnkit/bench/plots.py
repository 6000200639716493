"""The plots of a report: as SVG within a page, or as files beside a text."""

import io
import re
import textwrap
import zlib
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.bench.random_networks.plot import ratios
from dnnkit.bench.random_networks.summary import measured, others
from dnnkit.bench.results import Results, Row
from dnnkit.bench.statistics import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#1f6fb4", "#e08214", "#3a9d5d", "#c8321e", "#8c5fb0", "#17becf", "#7f5f3f", "#d6619a", "#6b7785", "#b5a413")
DASHES = ("-", "--", ":")
QUIET = "#8a96a3"

Plot = tuple[str, str, "Figure"]
"""Title, what to know about it, the figure."""


def draw(results: Results) -> Iterator[Plot]:
    """Those that the results have data for."""
    if elements := [row for row in results.of("elements") if row.case["cache"] == "warm"]:
        yield (
            "Time per element, in the cache",
            "Medians on a logarithmic scale; lines span the quartiles; red: a copy of as many bytes.",
            _bars(elements, "activation", ("backend", "pass"), "ns per element", "log"),
        )
    if steps := results.of("step"):
        note = "64 inputs, 10 classes, batch 32, Adam; medians and quartiles."
        yield "Time of a training step", note, _bars(steps, "activation", ("backend",), "µs per step")
    if curves := [curve for curve in results.curves if curve["curve"] == "accuracy"]:
        note = (
            "Digits, test accuracy by seconds of training: median over the seeds, bands from the least to the largest."
        )
        yield "Accuracy against seconds", note, _accuracies(curves)
    if kernels := results.of("kernels"):
        note = (
            "Operations per second by operations per byte (an elementary function counts as one). Lines: the rates of "
            "a copy and of the fastest product in this run; a point on a line is at its limit."
        )
        yield "Roofline", note, _rooflines(kernels)
    if networks := results.of("steps"):
        note = "Medians and quartiles; ticks in red are the arithmetic floor."
        yield "Training steps", note, _bars(networks, "network", ("backend",), "µs per step")
    if peers := results.of("peers"):
        note = "Medians over the processes and quartiles."
        yield "Peers", note, _bars(peers, "peer", ("work",), "seconds")
    if others(drawn := measured(results)):
        yield "Random networks", "Medians and intervals of the ratios.", ratios(drawn)
    if functions := [curve for curve in results.curves if curve["curve"] == "function"]:
        yield "The functions", "Solid: the activation; dashed: its derivative.", _functions(functions)


def _figure(width: float, height: float) -> "Figure":
    from dnnkit.figures import Figure

    return Figure(figsize=(width, height), layout="constrained")


def svg(figure: "Figure") -> str:
    """Text stays text; ids are unique, as one page has several plots."""
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "dnnkit"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    drawn = re.sub(r' height="[^"]*"', "", drawn[drawn.index("<svg") :], count=1)
    prefix = f"p{zlib.crc32(drawn.encode()):x}-"
    drawn = re.sub(r'\bid="', f'id="{prefix}', drawn)
    drawn = re.sub(r'href="#', f'href="#{prefix}', drawn).replace("url(#", f"url(#{prefix}")
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    # As wide as the page, up to the width at which its text is as large as the page's.
    width = f'style="max-width: {96 * figure.get_size_inches()[0] * 1.15:.0f}px"'
    return re.sub(r'width="[^"]*"', width, drawn, count=1)


def _bars(rows: Sequence[Row], along: str, panels: Sequence[str], unit: str, scale: str = "linear") -> "Figure":
    """A panel for each combination of `panels`, a bar for each value of `along`, the same order in all."""
    keys = list(dict.fromkeys(tuple(row.case[name] for name in panels) for row in rows))
    values = list(dict.fromkeys(row.case[along] for row in rows))
    figure = _figure(max(6.5, 3.3 * min(4, len(keys))), (0.22 * len(values) + 1.0) * -(-len(keys) // 4))
    columns = min(4, len(keys))
    grid = np.atleast_1d(figure.subplots(-(-len(keys) // columns), columns, squeeze=False)).reshape(-1)
    for axes in grid[len(keys) :]:
        axes.axis("off")
    for place, (axes, key) in enumerate(zip(grid, keys, strict=False)):
        found = {row.case[along]: row for row in rows if tuple(row.case[name] for name in panels) == key}
        color = COLORS[list(dict.fromkeys(k[0] for k in keys)).index(key[0]) % len(COLORS)]
        for position, value in enumerate(values):
            if value in found:
                _bar(axes, position, found[value], color)
        axes.set_yticks(range(len(values)), [str(value) for value in values] if place % columns == 0 else [])
        axes.set_ylim(len(values) - 0.4, -0.6)
        if scale == "log":
            _logarithmic(axes)
        else:
            axes.set_xlim(left=0)
        axes.set_title(textwrap.fill(", ".join(map(str, key)), 30), fontsize=9)
        axes.set_xlabel(unit, fontsize=8)
        _tidy(axes)
    return figure


def _bar(axes: Any, position: int, row: Row, color: str) -> None:
    found: Summary = row.summary
    if not isfinite(found.median):
        return
    axes.barh(position, found.median, color=color, height=0.66)
    high = found.high if isfinite(found.high) else found.median
    axes.plot([found.low, high], [position, position], color="#10202f", linewidth=1.2)
    if "floor" in row.facts:
        axes.plot([row.facts["floor"]] * 2, [position - 0.38, position + 0.38], color="#c8321e", linewidth=1.6)


def _logarithmic(axes: Any) -> None:
    """Ticks as plain numbers, three per decade: Matplotlib's own overlap where bars span less than one."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _accuracies(curves: Sequence[dict[str, Any]]) -> "Figure":
    backends = list(dict.fromkeys(curve["backend"] for curve in curves))
    names = list(dict.fromkeys(curve["activation"] for curve in curves))
    figure = _figure(6.2 * len(backends), 4.2)
    for axes, backend in zip(figure.subplots(1, len(backends), squeeze=False)[0], backends, strict=True):
        for curve in (curve for curve in curves if curve["backend"] == backend):
            number = names.index(curve["activation"])
            color, dash = COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
            axes.plot(
                curve["seconds"], curve["median"], color=color, linestyle=dash, label=curve["activation"], linewidth=1.4
            )
            axes.fill_between(curve["seconds"], curve["low"], curve["high"], color=color, alpha=0.09, linewidth=0)
        for goal in (0.95, 0.97):
            axes.axhline(goal, color=QUIET, linewidth=0.8, linestyle=":")
        axes.set(xlabel="seconds of training", ylabel="test accuracy", title=backend, ylim=(0.85, 0.99), xscale="log")
        _tidy(axes)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _rooflines(rows: Sequence[Row]) -> "Figure":
    """A panel for each dtype and size."""
    panels = list(dict.fromkeys((row.case["dtype"], row.case["size"]) for row in rows))
    backends = list(dict.fromkeys(row.case["backend"] for row in rows))
    figure = _figure(6.2 * min(2, len(panels)), 3.9 * -(-len(panels) // 2))
    grid = figure.subplots(-(-len(panels) // 2), min(2, len(panels)), squeeze=False).reshape(-1)
    for axes, panel in zip(grid, panels, strict=False):
        shown = [row for row in rows if (row.case["dtype"], row.case["size"]) == panel and row.facts["operations"]]
        if not shown:
            continue
        x = np.logspace(-1.5, 2.7, 200)
        for number, backend in enumerate(backends):
            mine = [row for row in shown if row.case["backend"] == backend]
            if not mine:
                continue
            color = COLORS[number % len(COLORS)]
            roof = np.minimum(x * mine[0].facts["bandwidth"], mine[0].facts["FLOP rate"]) / 1e9
            axes.plot(x, roof, color=color, linewidth=1, linestyle="--")
            points = [_point(row) for row in mine]
            axes.scatter(*zip(*points, strict=True), s=16, color=color, label=backend, alpha=0.8, linewidth=0)
            for row, point in zip(mine, points, strict=True):
                if number == 0 and row.case["kernel"] in (
                    "dense forward",
                    "update adam",
                    "gelu forward",
                    "softmax forward",
                ):
                    axes.annotate(row.case["kernel"], point, fontsize=7, xytext=(3, 3), textcoords="offset points")
        axes.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="G operations per second")
        axes.set_title(", ".join(map(str, panel)), fontsize=9)
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        _tidy(axes)
    return figure


def _point(row: Row) -> tuple[float, float]:
    operations = row.facts["operations"]
    return operations / row.facts["bytes"], operations / (row.summary.median * 1e-6) / 1e9


def _functions(curves: Sequence[dict[str, Any]]) -> "Figure":
    columns = min(7, len(curves))
    lines = -(-len(curves) // columns)
    figure = _figure(1.9 * columns, 1.75 * lines)
    grid = figure.subplots(lines, columns, squeeze=False).reshape(-1)
    for axes in grid[len(curves) :]:
        axes.axis("off")
    for axes, curve in zip(grid, curves, strict=False):
        axes.axhline(0, color=QUIET, linewidth=0.6)
        axes.plot(curve["x"], curve["y"], color=COLORS[0], linewidth=1.5)
        axes.plot(curve["x"], curve["slope"], color=COLORS[1], linewidth=1.2, linestyle="--")
        axes.set_title(curve["activation"], fontsize=9)
        axes.set(xlim=(-5, 5), ylim=(-1.6, 3))
        _tidy(axes)
    return figure


def _tidy(axes: Any) -> None:
    axes.tick_params(labelsize=8, length=2)
    axes.grid(alpha=0.2)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
