"""Plots of a report, as SVG within a page or as files.

Panels that are compared share their scale. Colors are Okabe and Ito's, which are safe for color-blind readers; if
there are many lines, each has a panel in which the others are grey.
"""

import io
import re
import textwrap
import zlib
from collections.abc import Iterator, Sequence
from math import isfinite, log
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.bench.glance import works
from dnnkit.bench.random_networks.plot import ratios
from dnnkit.bench.random_networks.summary import measured, others
from dnnkit.bench.results import Results, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#000000")
"""Okabe and Ito's colors; their vermilion is reserved for limits."""
LIMIT = "#d55e00"
MARKS = ("o", "D", "s", "^", "v", "P")
QUIET = "#8a96a3"
MUTED = "#d3d9df"
COLUMNS = 5
"""Maximum number of panels per row."""
LABELLED = 3
"""Number of kernels labelled at either end of a roofline, in addition to `ALWAYS`."""
ALWAYS = ("dense forward", "update adam", "gelu forward", "softmax forward")

Plot = tuple[str, str, "Figure"]
"""Title, note, figure."""


def draw(results: Results) -> Iterator[Plot]:
    """Yield the plots for which there are results."""
    if elements := [row for row in results.of("elements") if row.case["cache"] == "warm"]:
        yield (
            "Time per element, in the cache",
            "Medians; lines span the quartiles; red ticks: a copy of the same number of bytes.",
            _dots(elements, "activation", "pass", "backend", "ns per element"),
        )
    if steps := results.of("step"):
        note = "64 inputs, 10 classes, batch 32, Adam; medians and quartiles."
        yield "Time of a training step", note, _dots(steps, "activation", None, "backend", "µs per step")
    if curves := [curve for curve in results.curves if curve["curve"] == "accuracy"]:
        note = (
            "Digits, test accuracy by seconds of training: median over the seeds, bands from minimum to maximum; "
            "grey: the other activations. Dotted: 95 and 97 %."
        )
        yield "Accuracy against seconds", note, _accuracies(curves)
    if kernels := results.of("kernels"):
        note = (
            "Operations per second by operations per byte (an elementary function counts as one). Lines: the rates of "
            "a copy and of the fastest product in this run; a point on a line is at its upper bound."
        )
        yield "Roofline", note, _rooflines(kernels)
    if networks := results.of("steps"):
        note = "Medians and quartiles; red ticks: the arithmetic floor."
        yield "Training steps", note, _dots(networks, "network", None, "backend", "µs per step")
    if peers := works(results):
        note = "Medians and quartiles over the processes."
        yield "Peers", note, _dots(peers, "peer", "work", None, "seconds")
    if others(drawn := measured(results)):
        yield "Random networks", "Medians and intervals of the ratios.", ratios(drawn)
    if functions := [curve for curve in results.curves if curve["curve"] == "function"]:
        yield "The functions", "Solid: the activation; dashed: its derivative.", _functions(functions)


def _figure(width: float, height: float) -> "Figure":
    from dnnkit.figures import Figure

    return Figure(figsize=(width, height), layout="constrained")


def svg(figure: "Figure") -> str:
    """Return SVG with real text and unique ids, because one page has several plots."""
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
    # As wide as the page, up to the width at which the text has the size of the page's.
    width = f'style="max-width: {96 * figure.get_size_inches()[0] * 1.15:.0f}px"'
    return re.sub(r'width="[^"]*"', width, drawn, count=1)


# -- times --------------------------------------------------------------------------------------------------------


def _dots(rows: Sequence[Row], along: str, panels: str | None, series: str | None, unit: str) -> "Figure":
    """Plot a line for each value of `along`, the fastest first, in a panel for each value of `panels`.

    Arguments:
        rows: rows with the columns named below.
        along, panels, series: names of columns; series are distinguished by color.
        unit: unit of the samples.
    """

    def values(name: str | None) -> list[Any]:
        return [None] if name is None else list(dict.fromkeys(row.case[name] for row in rows))

    keys, kinds = values(panels), values(series)
    leading = [row for row in rows if series is None or row.case[series] == kinds[0]]
    medians = {value: [r.summary.median for r in leading if r.case[along] == value] for value in values(along)}
    order = sorted(medians, key=lambda value: (not medians[value], min(medians[value], default=0)))
    columns = min(2, len(keys))
    lines = -(-len(keys) // columns)
    longest = max(len(str(value)) for value in order)
    height = 0.2 * len(order) + 0.75
    figure = _figure(max(6.5, 0.075 * longest + 4.0 * columns), height * lines + 0.3)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).reshape(-1)
    for axes in grid[len(keys) :]:
        axes.axis("off")
    for place, (axes, key) in enumerate(zip(grid, keys, strict=False)):
        for number, kind in enumerate(kinds):
            found = [
                row
                for row in rows
                if (panels is None or row.case[panels] == key) and (series is None or row.case[series] == kind)
            ]
            _points(axes, [(order.index(row.case[along]), row) for row in found], number, kind)
        axes.set_yticks(range(len(order)), [str(value) for value in order])
        axes.set_ylim(len(order) - 0.4, -0.6)
        if key is not None:
            axes.set_title(textwrap.fill(str(key), 46), fontsize=9)
        if place + columns >= len(keys):
            axes.set_xlabel(unit, fontsize=8)
            axes.tick_params(labelbottom=True)
        _tidy(axes)
    ends = [(row.summary.median, row.summary.low, row.summary.high, row.facts.get("floor")) for row in rows]
    _logarithmic(grid[0], [value for end in ends for value in end])
    if series is not None:
        handles = [grid[0].plot([], [], MARKS[n % 6], color=COLORS[n % 6], markersize=5)[0] for n in range(len(kinds))]
        names, columns = [str(kind) for kind in kinds], len(kinds)
        figure.legend(handles, names, loc="outside upper right", ncols=columns, frameon=False, fontsize=8)
    return figure


def _points(axes: Any, rows: Sequence[tuple[int, Row]], number: int, kind: Any) -> None:
    color, mark = COLORS[number % len(COLORS)], MARKS[number % len(MARKS)]
    for position, row in rows:
        found = row.summary
        if not isfinite(found.median):
            continue
        high = found.high if isfinite(found.high) else found.median
        axes.plot([found.low, high], [position, position], color=color, linewidth=1.4, alpha=0.6)
        axes.plot([found.median], [position], mark, color=color, markersize=5, markeredgewidth=0)
        if row.facts.get("floor"):
            axes.plot([row.facts["floor"]] * 2, [position - 0.33, position + 0.33], color=LIMIT, linewidth=1.4)


def _logarithmic(axes: Any, values: Sequence[float | None]) -> None:
    """Set a logarithmic scale with plain, non-overlapping numbers; Matplotlib's overlap within one decade."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    known = [value for value in values if value is not None and isfinite(value) and value > 0]
    decades = log(max(known) / min(known), 10) if known else 1
    axes.set_xscale("log")
    if known:  # shared by all panels
        axes.set_xlim(min(known) / 1.25, max(known) * 1.25)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


# -- learning -----------------------------------------------------------------------------------------------------


def _accuracies(curves: Sequence[dict[str, Any]]) -> "Figure":
    """Plot a panel per activation with a color per backend, the others in grey; all with the same scale."""
    backends = list(dict.fromkeys(curve["backend"] for curve in curves))
    names = list(dict.fromkeys(curve["activation"] for curve in curves))
    columns = min(COLUMNS, len(names))
    lines = -(-len(names) // columns)
    figure = _figure(max(5.0, 2.1 * columns), 1.75 * lines + 0.5)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).reshape(-1)
    for axes in grid[len(names) :]:
        axes.axis("off")
    for place, (axes, name) in enumerate(zip(grid, names, strict=False)):
        for curve in curves:
            axes.plot(curve["seconds"], curve["median"], color=MUTED, linewidth=0.8, zorder=1)
        for curve in (curve for curve in curves if curve["activation"] == name):
            color = COLORS[backends.index(curve["backend"]) % len(COLORS)]
            band = {"color": color, "alpha": 0.2, "linewidth": 0}
            axes.fill_between(curve["seconds"], curve["low"], curve["high"], zorder=2, **band)
            axes.plot(curve["seconds"], curve["median"], color=color, linewidth=1.6, zorder=3)
        for goal in (0.95, 0.97):
            axes.axhline(goal, color=QUIET, linewidth=0.8, linestyle=":")
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelbottom=place + columns >= len(names))
        if place >= (lines - 1) * columns:
            axes.set_xlabel("seconds", fontsize=8)
        _tidy(axes)
    grid[0].set(ylim=(0.85, 0.99), xscale="log")
    for axes in grid[::columns]:
        axes.set_ylabel("test accuracy", fontsize=8)
    handles = [grid[0].plot([], [], color=COLORS[number % len(COLORS)])[0] for number in range(len(backends))]
    figure.legend(handles, backends, loc="outside upper right", ncols=len(backends), frameon=False, fontsize=8)
    return figure


# -- kernels ------------------------------------------------------------------------------------------------------


def _rooflines(rows: Sequence[Row]) -> "Figure":
    """Plot a panel for each dtype and size, with the same scale."""
    panels = list(dict.fromkeys((row.case["dtype"], row.case["size"]) for row in rows))
    backends = list(dict.fromkeys(row.case["backend"] for row in rows))
    columns = min(2, len(panels))
    figure = _figure(6.2 * columns, 3.9 * -(-len(panels) // columns))
    grid = figure.subplots(-(-len(panels) // columns), columns, sharex=True, sharey=True, squeeze=False).reshape(-1)
    for axes in grid[len(panels) :]:
        axes.axis("off")
    for axes, panel in zip(grid, panels, strict=False):
        axes.set(xscale="log", yscale="log", xlim=(0.004, 500))
        axes.set_xlabel("operations per byte", fontsize=8)
        axes.set_title(", ".join(map(str, panel)), fontsize=9)
        shown = [row for row in rows if (row.case["dtype"], row.case["size"]) == panel and row.facts["operations"]]
        x = np.logspace(-1.5, 2.7, 200)
        for number, backend in enumerate(backends):
            mine = [row for row in shown if row.case["backend"] == backend]
            if not mine:
                continue
            color = COLORS[number % len(COLORS)]
            roof = np.minimum(x * mine[0].facts["bandwidth"], mine[0].facts["FLOP rate"]) / 1e9
            axes.plot(x, roof, color=color, linewidth=1, linestyle="--")
            points = [_point(row) for row in mine]
            mark = {"s": 16, "color": color, "marker": MARKS[number % len(MARKS)], "alpha": 0.8, "linewidth": 0}
            axes.scatter(*zip(*points, strict=True), label=backend, **mark)
        if shown:
            axes.legend(frameon=False, fontsize=8, loc="lower right")
        _tidy(axes)
    for axes, panel in zip(grid, panels, strict=False):  # after all points have determined the scale
        _name(
            axes, [r for r in rows if (*panel, backends[0]) == tuple(r.case[n] for n in ("dtype", "size", "backend"))]
        )
    for axes in grid[::columns]:
        axes.set_ylabel("G operations per second", fontsize=8)
    return figure


def _name(axes: Any, rows: Sequence[Row]) -> None:
    """Label some kernels at the left edge, with lines to their points and without overlap."""
    able = sorted((row for row in rows if row.facts["operations"]), key=lambda row: float(row.facts["of floor"]))
    chosen = {id(row): row for row in (*able[:LABELLED], *able[-LABELLED:])}
    chosen |= {id(row): row for row in able if row.case["kernel"] in ALWAYS}
    points = sorted(((_point(row), str(row.case["kernel"])) for row in chosen.values()), key=lambda found: found[0][1])
    low, high = (log(limit, 10) for limit in axes.get_ylim())
    places = spread([log(y, 10) for (_, y), _ in points], 0.062 * (high - low))
    for ((x, y), name), place in zip(points, places, strict=True):
        line = {"arrowstyle": "-", "color": QUIET, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
        axes.annotate(
            name, (x, y), (0.005, 10**place), fontsize=7, va="center", arrowprops={**line, "relpos": (1, 0.5)}
        )


def spread(values: Sequence[float], least: float) -> list[float]:
    """Return positions in the same order, at least `least` apart and close to their values.

    Arguments:
        values: the values, ascending.
        least: minimum distance between neighbors.
    """
    groups: list[tuple[float, int]] = []  # mean preferred start of a group, and its size
    for value in values:
        begin, count = value, 1
        while groups and groups[-1][0] + least * groups[-1][1] > begin:
            before, number = groups.pop()
            begin = (before * number + (begin - least * number) * count) / (number + count)
            count += number
        groups.append((begin, count))
    return [begin + least * number for begin, count in groups for number in range(count)]


def _point(row: Row) -> tuple[float, float]:
    operations = row.facts["operations"]
    return operations / row.facts["bytes"], operations / (row.summary.median * 1e-6) / 1e9


# -- functions ----------------------------------------------------------------------------------------------------


def _functions(curves: Sequence[dict[str, Any]]) -> "Figure":
    columns = min(7, len(curves))
    lines = -(-len(curves) // columns)
    figure = _figure(1.5 * columns + 0.4, 1.6 * lines)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).reshape(-1)
    for axes in grid[len(curves) :]:
        axes.axis("off")
    for place, (axes, curve) in enumerate(zip(grid, curves, strict=False)):
        axes.axhline(0, color=QUIET, linewidth=0.6)
        axes.plot(curve["x"], curve["y"], color=COLORS[0], linewidth=1.5)
        axes.plot(curve["x"], curve["slope"], color=COLORS[1], linewidth=1.2, linestyle="--")
        axes.set_title(curve["activation"], fontsize=9)
        axes.tick_params(labelbottom=place + columns >= len(curves))
        _tidy(axes)
    grid[0].set(xlim=(-5, 5), ylim=(-1.6, 3), xticks=(-4, 0, 4), yticks=(-1, 0, 1, 2, 3))
    return figure


def _tidy(axes: Any) -> None:
    axes.tick_params(labelsize=8, length=2)
    axes.grid(alpha=0.2)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
