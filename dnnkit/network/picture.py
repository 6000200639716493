"""A drawing of a network: a box per input and per call of a layer, with what it reads above it."""

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dnnkit.layers import Layer
from dnnkit.network.layout import Layout, lay_out
from dnnkit.network.protocol import Network
from dnnkit.plots import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT, STEP, MARGIN = 0.46, 0.82, 0.2
"""Inches: height of a box, distance of two rows, margin."""

LETTER, LEAST = 0.072, 1.1
"""Inches: width of a letter, minimum width of a box."""

INPUT, TRAINED, PLAIN, FROZEN, RESULT = "#e3efe0", "#dce8f5", "#f3f3f3", "#e6e6e6", "#fbe7d3"
EDGE, TEXT, FAINT = "#4b5d6b", "#1c2429", "#5f6b73"


class Box(NamedTuple):
    """The two lines of a box, and which boxes it reads."""

    name: str
    about: str
    color: str
    is_again: bool
    """Whether the layer has a box already, for an earlier call."""
    reads: tuple[int, ...]

    @property
    def width(self) -> float:
        """Width of the box in inches."""
        return max(LEAST, LETTER * max(len(self.name), len(self.about)) + 0.24)


def plot_network(net: Network, path: str | Path | None = None) -> "Figure":
    """Draw the network and write the figure to `path`, if given, in the format of its extension."""
    from dnnkit.figures import Figure

    boxes = _boxes(net)
    layout = lay_out([box.reads for box in boxes], [box.width for box in boxes])
    width, height = layout.width + 2 * MARGIN, max(layout.rows) * STEP + HEIGHT + 2 * MARGIN
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    _draw_lines(axes, layout)
    for box, row, centre in zip(boxes, layout.rows, layout.centres, strict=True):
        _draw_box(axes, box, centre + MARGIN, MARGIN + row * STEP)
    if path is not None:
        save_figure(figure, path)
    return figure


def _boxes(net: Network) -> list[Box]:
    graph, labels = net.graph, net.graph.labels()
    boxes = [Box(each.name, _shape(each.shape), INPUT, False, ()) for each in graph.inputs]
    giver, seen = list(range(len(boxes))), set[str]()
    is_known = net.input_shape is not None
    steps = list(graph.steps()) if is_known else []
    for number, each in enumerate(graph.calls):
        layer, name = graph.layers[each.layer], graph.names[each.layer]
        count, after = "", ""
        if is_known:
            numbers = sum(prod(size) for size, _ in layer.parameters_of(steps[number].shapes).values())
            count, after = f"{numbers:,}" if numbers else "", ", ".join(map(_shape, steps[number].after))
        color = (TRAINED if layer.trainable else FROZEN) if count or not is_known else PLAIN
        if any(place in range(len(giver), len(giver) + each.gives) for place in graph.outputs):
            color = RESULT if color in (TRAINED, PLAIN) else color
        about = " · ".join(filter(None, [_kind(layer), after, "" if name in seen else count]))
        reads = tuple(giver[value] for value in each.reads)
        boxes.append(Box(labels[len(giver)].partition(".")[0], about, color, name in seen, reads))
        giver += [len(boxes) - 1] * each.gives
        seen.add(name)
    return boxes


def _kind(layer: Layer) -> str:
    activation = getattr(layer, "activation", None)
    return (
        type(layer).__name__ + (f" {activation}" if activation is not None else "") + " frozen" * (not layer.trainable)
    )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else "×".join(map(str, shape))


def _draw_box(axes: Any, box: Box, centre: float, top: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.07"
    left = centre - box.width / 2
    line = "dashed" if box.is_again else "solid"
    axes.add_patch(
        FancyBboxPatch(
            (left, top), box.width, HEIGHT, style, facecolor=box.color, edgecolor=EDGE, linewidth=0.8, linestyle=line
        )
    )
    about = {"ha": "center", "va": "center", "clip_on": False}
    axes.text(
        centre, top + (0.15 if box.about else HEIGHT / 2), box.name, fontsize=9, color=TEXT, weight="bold", **about
    )
    axes.text(centre, top + 0.33, box.about, fontsize=7, color=FAINT, **about)


def _draw_lines(axes: Any, layout: Layout) -> None:
    """Draw the connections, through the gaps that the layout leaves in the rows between."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Line

    for source, box, passed in layout.lines:
        top = MARGIN + layout.rows[source] * STEP + HEIGHT
        points, codes = [(layout.centres[source] + MARGIN, top)], [Line.MOVETO]
        rows = range(layout.rows[source] + 1, layout.rows[box])
        stops = [(x + MARGIN, MARGIN + row * STEP, HEIGHT) for x, row in zip(passed, rows, strict=True)]
        stops.append((layout.centres[box] + MARGIN, MARGIN + layout.rows[box] * STEP, 0.0))
        for x, y, through in stops:
            before = points[-1]
            half = (y - before[1]) * 0.5
            points += [(before[0], before[1] + half), (x, y - half), (x, y)]
            codes += [Line.CURVE4] * 3
            if through:
                points.append((x, y + through))
                codes.append(Line.LINETO)
        axes.add_patch(
            FancyArrowPatch(
                path=Line(points, codes), arrowstyle="-|>,head_width=2.2,head_length=4", color=EDGE, linewidth=0.9
            )
        )
