"""A network at a glance: as a table for `summary`, in a few lines for `repr`, as HTML for notebooks."""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

from dnnkit.layers import Layer
from dnnkit.metrics import name_of
from dnnkit.network.lowering import layer_names, shapes
from dnnkit.network.protocol import Network

WIDTH = 80
"""Columns of a table, unless asked otherwise."""

MOST = 12
"""Layers that a `repr` shows; of more, the first and the last ones."""

HEADS = "Layer", "Output shape", "Parameters"


class Row(NamedTuple):
    """A layer with its name, the shape of its outputs and the number of its parameters; "" for what is unknown."""

    name: str
    layer: Layer
    shape: str
    numbers: str

    @property
    def parameters(self) -> int:
        """The number of its parameters, where it is known."""
        return int(self.numbers.replace(",", ""))

    @property
    def is_frozen(self) -> bool:
        """Whether it has parameters, or may have, that are not trained."""
        return not self.layer.trainable and self.numbers != "0"

    @property
    def cells(self) -> tuple[str, str, str]:
        """What a table shows."""
        about = [type(self.layer).__name__] if self.layer.name is not None else []
        if (activation := getattr(self.layer, "activation", None)) is not None:
            about.append(str(activation))
        if self.is_frozen:
            about.append("frozen")
        name = f"{self.name} ({', '.join(about)})" if about else self.name
        return name, self.shape or "not built", self.numbers or "?"


def rows(net: Network) -> list[Row]:
    """The network's layers."""
    names = layer_names(net.descriptions)
    if net.input_shape is None:
        return [Row(name, layer, "", "") for layer, name in zip(net.descriptions, names, strict=True)]
    after = shapes(net.descriptions, net.input_shape)
    counts = [
        sum(prod(size) for size, _ in layer.parameters(shape).values())
        for layer, shape in zip(net.descriptions, after, strict=False)
    ]
    return [
        Row(name, layer, f"(None, {', '.join(map(str, shape))})", f"{count:,}")
        for name, layer, shape, count in zip(names, net.descriptions, after[1:], counts, strict=True)
    ]


def total(net: Network) -> int | None:
    """How many parameters it has, None where that is not known yet."""
    if net.input_shape is None:
        return None
    return sum(row.parameters for row in rows(net))


def print_summary(net: Network, line_length: int, print_fn: Callable[[str], object]) -> None:
    """A table of at most so many columns."""
    table = [HEADS, *(row.cells for row in rows(net))]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    widths[0] = max(8, min(widths[0], line_length - widths[1] - widths[2] - 5))
    lines = [_line(row, widths) for row in table]
    lines.insert(1, " " + "-" * (sum(widths) + 4))
    print_fn("\n".join([title(net), "", *lines, "", " " + footer(net)]))


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name = row[0] if len(row[0]) <= widths[0] else f"{row[0][: widths[0] - 3]}..."
    return f" {name:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]:>{widths[2]}}"


def title(net: Network) -> str:
    """What kind of network it is, and its name."""
    return type(net).__name__ + (f" {net.name!r}" if net.name is not None else "")


def footer(net: Network) -> str:
    """How many parameters, of which dtype, how large, on which backend."""
    count = total(net)
    if count is None:
        return f"not built, {net.dtype}"
    size = count * (4 if net.dtype == "float32" else 8) / 1024
    amount = f"{size:,.1f} KiB" if size < 1024 else f"{size / 1024:,.1f} MiB"
    where = f", on {net.backend.address}" if net.is_built else ""
    frozen = sum(row.parameters for row in rows(net) if row.is_frozen)
    parts = f" ({count - frozen:,} trainable, {frozen:,} frozen)" if frozen else ""
    return f"{count:,} parameters{parts}, {net.dtype}, {amount}{where}"


def training(net: Network) -> str:
    """How it is trained, and for how long it was; "" where it is not compiled."""
    if not net.is_compiled:
        return ""
    optimizer = type(net.optimizer).__name__
    metrics = f", metrics {', '.join(map(name_of, net.metrics))}" if net.metrics else ""
    epochs = len(net.history.epoch) if net.is_built else 0
    trained = f"; trained for {epochs} epoch{'s' * (epochs != 1)}" if epochs else ""
    loss = type(net.loss).__name__ if net.loss is not None else "gradients from outside"
    together = net.gradient_accumulation_steps
    batches = f", an update of {together} batches" if together > 1 else ""
    return f"{optimizer} on {loss}{batches}{metrics}{trained}"


def text(net: Network) -> str:
    """A `repr`: the layers as they are written, each with its parameters."""
    shown = [
        f"    {row.layer!r},{f'  # {row.name}: {row.numbers}' if row.numbers not in ('', '0') else ''}"
        for row in rows(net)
    ]
    if len(shown) > MOST:
        left = len(shown) - MOST
        shown[MOST // 2 : -MOST // 2] = [f"    ...  # {left} more"]
    about = "; ".join(filter(None, [footer(net), training(net)]))
    return "\n".join([f"<{title(net)} [", *shown, f"] {about}>"]) if shown else f"<{title(net)} of no layers>"


STYLE = "text-align:left;padding:2px 12px 2px 0"


def html(net: Network) -> str:
    """A table for notebooks."""
    from html import escape  # nothing else needs it

    head = "".join(f'<th style="{STYLE}">{name}</th>' for name in HEADS)
    body = "".join(
        "<tr>" + "".join(f'<td style="{STYLE}">{escape(cell)}</td>' for cell in row.cells) + "</tr>"
        for row in rows(net)
    )
    about = "<br>".join(escape(line) for line in (footer(net), training(net)) if line)
    return (
        f"<div><b>{escape(title(net))}</b><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"{about}</div>"
    )
