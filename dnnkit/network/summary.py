"""Overview of a network: a table for `summary`, a few lines for `repr`, HTML for notebooks."""

from collections.abc import Callable, Mapping
from math import prod
from textwrap import wrap
from typing import NamedTuple

from dnnkit.layers import Layer
from dnnkit.network.goals import named_metrics
from dnnkit.network.protocol import Network

WIDTH = 80
"""Default width of a table, in columns."""

MOST = 12
"""Maximum number of layers in a `repr`; of more, only the first and last are shown."""

HEADS = "Layer", "Output shape", "Parameters"

CONNECTED, LEAST = "Connected to", 12
"""Heading and minimum width of the fourth column, shown for networks that are not a chain."""


class Row(NamedTuple):
    """A layer with its name, output shape and number of parameters; "" for what is unknown.

    For an input, `layer` is None.
    """

    name: str
    layer: Layer | None
    shape: str
    numbers: str
    reads: tuple[str, ...] = ()
    """What each call of the layer reads, in networks that are not a chain."""
    frozen: int = 0
    """Number of its parameters that are frozen."""

    @property
    def parameters(self) -> int:
        """Number of parameters, if known."""
        return int(self.numbers.replace(",", ""))

    @property
    def is_frozen(self) -> bool:
        """Whether it has, or may have, frozen parameters."""
        return self.layer is not None and not self.layer.trainable and self.numbers != "0"

    @property
    def cells(self) -> tuple[str, str, str]:
        """Cells of the table."""
        if self.layer is None:
            return f"{self.name} (Input)", self.shape, self.numbers
        about = [type(self.layer).__name__] if self.layer.name is not None else []
        if (activation := getattr(self.layer, "activation", None)) is not None:
            about.append(str(activation))
        if self.is_frozen:
            about.append("frozen")
        name = f"{self.name} ({', '.join(about)})" if about else self.name
        return name, self.shape or "not built", self.numbers or "?"


def rows(net: Network) -> list[Row]:
    """Return a row per layer; for networks that are not a chain, the inputs come first."""
    graph = net.graph
    if net.input_shape is None:
        return [Row(name, layer, "", "") for layer, name in zip(graph.layers, graph.names, strict=True)]
    found, labels, is_chain = dict[str, Row](), graph.labels(), graph.is_chain
    if not is_chain:
        found = {f"input {each.name}": Row(each.name, None, _shape(each.shape or ()), "0") for each in graph.inputs}
    for step in graph.steps():
        reads = () if is_chain else (", ".join(labels[value] for value in step.call.reads),)
        if (before := found.get(step.name)) is not None:
            found[step.name] = before._replace(reads=before.reads + reads)
            continue
        sizes = {name: prod(size) for name, (size, _) in step.layer.parameters_of(step.shapes).items()}
        after, count = ", ".join(map(_shape, step.after)), sum(sizes.values())
        found[step.name] = Row(step.name, step.layer, after, f"{count:,}", reads, _frozen(step.layer, sizes))
    return list(found.values())


def _frozen(layer: Layer, sizes: Mapping[str, int]) -> int:
    """Number of frozen parameters of a layer, including those frozen within a nested network."""
    if not layer.trainable:
        return sum(sizes.values())
    frozen = [f"{path}/" for path, inner in layer.inner_layers() if not inner.trainable]
    return sum(size for name, size in sizes.items() if name.startswith(tuple(frozen)))


def _shape(shape: tuple[int, ...]) -> str:
    return f"(None, {', '.join(map(str, shape))})"


def total(net: Network) -> int | None:
    """Number of parameters, None if not yet known."""
    if net.input_shape is None:
        return None
    return sum(row.parameters for row in rows(net))


def print_summary(net: Network, line_length: int, print_fn: Callable[[str], object]) -> None:
    """Print a table of at most `line_length` columns."""
    found = rows(net)
    table = [HEADS, *(row.cells for row in found)]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    connected = [] if net.graph.is_chain else [CONNECTED, *("; ".join(row.reads) for row in found)]
    room = line_length - widths[1] - widths[2] - 5
    if connected:
        widths.append(max(LEAST, min(max(map(len, connected)), room - min(widths[0], room // 2) - 2)))
        room -= widths[3] + 2
    widths[0] = max(8, min(widths[0], room))
    lines = []
    for place, row in enumerate(table):
        if not connected:
            lines.append(_line(row, widths))
            continue
        first, *more = wrap(connected[place], widths[3]) or [""]
        lines.append(f"{_line(row, widths)}  {first}".rstrip())
        lines += [" " * (sum(widths[:3]) + 7) + part for part in more]
    lines.insert(1, " " + "-" * (sum(widths) + 2 * len(widths) - 2))
    print_fn("\n".join([title(net), "", *lines, "", " " + footer(net)]))


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name = row[0] if len(row[0]) <= widths[0] else f"{row[0][: widths[0] - 3]}..."
    return f" {name:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]:>{widths[2]}}"


def title(net: Network) -> str:
    """Kind and name of the network."""
    return type(net).__name__ + (f" {net.name!r}" if net.name is not None else "")


def footer(net: Network) -> str:
    """Number of parameters, dtype, size and backend."""
    count = total(net)
    if count is None:
        return f"not built, {net.dtype}"
    size = count * (4 if net.dtype == "float32" else 8) / 1024
    amount = f"{size:,.1f} KiB" if size < 1024 else f"{size / 1024:,.1f} MiB"
    where = f", on {net.backend.address}" if net.is_built else ""
    frozen = sum(row.frozen for row in rows(net))
    parts = f" ({count - frozen:,} trainable, {frozen:,} frozen)" if frozen else ""
    return f"{count:,} parameters{parts}, {net.dtype}, {amount}{where}"


def training(net: Network) -> str:
    """Optimizer, losses, metrics and number of epochs trained; "" if not compiled."""
    if not net.is_compiled:
        return ""
    optimizer = type(net.optimizer).__name__
    names = named_metrics(net.graph.output_names, net.goals)
    metrics = f", metrics {', '.join(names)}" if names else ""
    epochs = len(net.history.epoch) if net.is_built else 0
    trained = f"; trained for {epochs} epoch{'s' * (epochs != 1)}" if epochs else ""
    losses = [
        f"{type(goal.loss).__name__}{f' of {name}' if len(net.goals) > 1 else ''}"
        for name, goal in zip(net.graph.output_names, net.goals, strict=True)
        if goal.loss is not None
    ]
    together = net.gradient_accumulation_steps
    batches = f", {together} batches per update" if together > 1 else ""
    return f"{optimizer} on {' and '.join(losses) or 'gradients from outside'}{batches}{metrics}{trained}"


def text(net: Network) -> str:
    """Return the `repr`: the layers as written, each with its number of parameters."""
    shown = [
        f"    {_called(row)},{f'  # {row.name}: {row.numbers}' if row.numbers not in ('', '0') else ''}"
        for row in rows(net)
    ]
    if len(shown) > MOST:
        left = len(shown) - MOST
        shown[MOST // 2 : -MOST // 2] = [f"    ...  # {left} more"]
    about = "; ".join(filter(None, [footer(net), training(net)]))
    return "\n".join([f"<{title(net)} [", *shown, f"] {about}>"]) if shown else f"<{title(net)} of no layers>"


def _called(row: Row) -> str:
    """Format a layer as written, and, in a graph, its inputs."""
    if row.layer is None:
        return f"Input({row.shape}, {row.name!r})"
    return repr(row.layer) + "".join(f"({reads})" for reads in row.reads)


STYLE = "text-align:left;padding:2px 12px 2px 0"


def html(net: Network) -> str:
    """Return the table for notebooks."""
    from html import escape  # only notebooks need it

    connected = not net.graph.is_chain
    heads = (*HEADS, CONNECTED) if connected else HEADS
    head = "".join(f'<th style="{STYLE}">{name}</th>' for name in heads)
    table = [(*row.cells, "; ".join(row.reads)) if connected else row.cells for row in rows(net)]
    body = "".join(
        "<tr>" + "".join(f'<td style="{STYLE}">{escape(cell)}</td>' for cell in cells) + "</tr>" for cells in table
    )
    about = "<br>".join(escape(line) for line in (footer(net), training(net)) if line)
    return (
        f"<div><b>{escape(title(net))}</b><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"{about}</div>"
    )
