"""Records of layers during training: dead units, outputs at their limits, gradients, updates.

They are computed on a fixed sample of rows, before the first epoch and after epochs, on NumPy from copies of the
parameters. The training itself is bitwise identical to one without diagnosis.
"""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from dnnkit.deferred import dataclass
from dnnkit.errors import UnknownName
from dnnkit.registry import unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 80
HEADS = "layer", "units", "activation", "dead", "at limits", "gradient", "update/w"


@dataclass(frozen=True)
class Record:
    """State of a layer at one time; NaN for what does not apply.

    Attributes:
        dead: fraction of units with slope 0 for every row, which do not learn.
        at_limits: fraction of outputs within 1% of a limit of the activation's range, if it has two; for softmax,
            fraction of rows with a class of 99%.
        signal: root mean square of the loss's gradient with respect to the layer's output before its activation.
        gradient: root mean square of the gradient with respect to the parameters.
        update: root mean square of the next update, relative to that of the weights.
    """

    dead: float
    at_limits: float
    signal: float
    gradient: float
    update: float


@dataclass(frozen=True)
class LayerCourse:
    """A layer with its records."""

    name: str
    units: int
    activation: str
    is_last: bool
    records: tuple[Record, ...]

    @property
    def first(self) -> Record:
        """The record before training."""
        return self.records[0]

    @property
    def last(self) -> Record:
        """The record after training."""
        return self.records[-1]


@dataclass(frozen=True)
class Diagnosis:
    """State of the layers during one fit: `history.diagnosis`. Printing it shows a table and the findings.

    Attributes:
        epochs: number of completed epochs at each record; 0 is before the first.
        samples: number of rows that records are computed on.
        layers: layers with parameters, in order.
        findings: descriptions of problems, with suggested fixes.
    """

    epochs: tuple[int, ...]
    samples: int
    layers: tuple[LayerCourse, ...]
    findings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> LayerCourse:
        """Return the layer of that name."""
        layers = {layer.name: layer for layer in self.layers}
        if name not in layers:
            raise UnknownName(unknown("layer with parameters", name, layers))
        return layers[name]

    def rows(self) -> list[tuple[str, ...]]:
        """Rows of the table, as text: before → after."""
        return [
            (
                layer.name,
                f"{layer.units:,}",
                layer.activation,
                _change(layer.first.dead, layer.last.dead, _share),
                _change(layer.first.at_limits, layer.last.at_limits, _share),
                _change(layer.first.gradient, layer.last.gradient, _size),
                _change(layer.first.update, layer.last.update, _size),
            )
            for layer in self.layers
        ]

    @property
    def title(self) -> str:
        """Number of samples and epochs."""
        epochs = f"{self.epochs[-1]} epoch{'s' * (self.epochs[-1] != 1)}"
        return f"diagnosis on {self.samples} samples: before training → after {epochs}"

    def __str__(self) -> str:
        lines = _table([HEADS, *self.rows()], 14, "  ")
        if max(map(len, lines)) > WIDTH:
            lines = _table([HEADS, *self.rows()], 8, " ")
        said = [f"- {text}" for text in self.findings] or ["no problems found"]
        return "\n".join([self.title, "", lines[0], "-" * max(map(len, lines)), *lines[1:], "", *_wrapped(said)])

    def _repr_html_(self) -> str:
        cells = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in self.rows())
        heads = "".join(f"<th>{head}</th>" for head in HEADS)
        said = "".join(f"<li>{escape(text)}</li>" for text in self.findings)
        table = f"<table><thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table>"
        return f"<p>{escape(self.title)}</p>{table}<ul>{said}</ul>"

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Plot dead units, outputs at their limits, gradients and updates by epoch, with a curve per layer.

        Arguments:
            path: image file to write; None writes none.

        Returns:
            A matplotlib `Figure`.
        """
        from dnnkit.diagnosis.picture import plot_diagnosis

        return plot_diagnosis(self, path)


def _table(rows: list[tuple[str, ...]], longest: int, between: str) -> list[str]:
    """Align rows in columns, shortening names to `longest` letters."""

    def cut(name: str) -> str:
        return name if len(name) <= longest else f"{name[: longest - 1]}…"

    rows = [(cut(name), units, cut(activation), *numbers) for name, units, activation, *numbers in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [between.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _wrapped(lines: list[str]) -> list[str]:
    from textwrap import wrap

    return [part for line in lines for part in wrap(line, WIDTH, subsequent_indent="  ")]


def _change(before: float, after: float, text: Callable[[float], str]) -> str:
    """Format as before → after, or once if both read the same."""
    one, other = text(before), text(after)
    return one if one == other else f"{one} → {other}"


def _share(value: float) -> str:
    return "-" if value != value else f"{value:.0%}"


def _size(value: float) -> str:
    return "-" if value != value else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e+")
