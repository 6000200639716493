"""Descriptions of a network: `summary`, `plot`, `inspect` and its `repr`."""

from abc import abstractmethod
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnnkit.instead import ATTRIBUTES, refuse
from dnnkit.network.checks import check_count
from dnnkit.network.protocol import Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dnnkit.network.inspection import Inspection


class Describable(Network):
    """Adds `summary`, `plot` and `inspect` to a network."""

    def summary(
        self, line_length: int | None = None, print_fn: Callable[[str], object] | None = None, **others: Any
    ) -> None:
        """Print the layers, their output shapes and their numbers of parameters.

        Arguments:
            line_length: maximum width of the table in columns; default 80.
            print_fn: called with the whole text; default `print`.
            others: unsupported arguments of Keras; the error says what to use instead.
        """
        refuse("summary", others, Describable.summary)
        from dnnkit.network import summary

        width = summary.WIDTH if line_length is None else check_count("line_length", line_length)
        summary.print_summary(self, width, print if print_fn is None else print_fn)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in ATTRIBUTES["network"]]

    def __repr__(self) -> str:
        from dnnkit.network import summary

        return summary.text(self)

    def _repr_html_(self) -> str:
        from dnnkit.network import summary

        return summary.html(self)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Draw the network: a box per input and per call of a layer, below everything it reads.

        A box shows the layer's kind, the shape of its output and its number of parameters. A dashed box is a repeated
        call of a layer drawn further up, with the same weights. Notebooks display the returned figure.

        Arguments:
            path: file to write, in the format of its extension, such as "net.svg", "net.png" or "net.pdf"; None writes
                no file.

        Returns:
            A matplotlib `Figure`.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        from dnnkit.network.picture import plot_network

        return plot_network(self, path)

    def inspect(self, x: Any = None, y: Any = None, *, batch_size: int = 32) -> "Inspection":
        """Return how a training step runs on this machine: its parts, their partition, predicted and measured times.

        A copy of the network is trained for a few steps with learning rate 0; the network itself does not change. Print
        the result, or let a notebook display it.

        Arguments:
            x: samples (N, ...) to train on, such as those of `fit`; None uses random numbers.
            y: their targets; required with x.
            batch_size: rows per step, default 32.

        Returns:
            An `Inspection`.

        Raises:
            NotReady: the network is not built, or not compiled with a loss.
            DataError, ShapeError: x or y do not fit the network.
        """
        from dnnkit.network.inspection import inspect

        twin = deepcopy(self)
        return inspect(twin, twin._check, x, y, batch_size)

    @abstractmethod
    def _check(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """Convert samples, targets and row weights for the executable."""
