"""What a network says of itself."""

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
    """`summary` and `inspect` of a network."""

    def summary(
        self, line_length: int | None = None, print_fn: Callable[[str], object] | None = None, **others: Any
    ) -> None:
        """Print layers, output shapes and numbers of parameters.

        Arguments:
            line_length: columns of the table; None for 80.
            print_fn: what is called with the whole text; None for `print`.
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
        """A picture of the network: a box for each input and each call of a layer, below all that it reads.

        A box says the layer's kind, what a sample is after it and how many parameters it has; one with a dashed edge is
        a further call of a layer that stands above, with the same weights. A notebook shows the figure.

        Arguments:
            path: where it is written, as its ending says: "net.svg", "net.png", "net.pdf"; None for nowhere.

        Raises:
            ConfigurationError: it cannot be written there.
        """
        from dnnkit.network.picture import plot_network

        return plot_network(self, path)

    def inspect(self, x: Any = None, y: Any = None, *, batch_size: int = 32) -> "Inspection":
        """How a training step runs here: its parts, how they are partitioned, predicted and measured times.

        A copy of the network trains some steps, at learning rates of 0; the network stays as it is. `print` the result,
        or let a notebook show it.

        Arguments:
            x: samples (N, ...) to train on, such as those of `fit`; random numbers if None.
            y: their targets; required with x.
            batch_size: rows of a step.

        Raises:
            NotReady: the network is not built, or not compiled.
            DataError, ShapeError: x or y do not fit the network.
        """
        from dnnkit.network.inspection import inspect

        twin = deepcopy(self)
        return inspect(twin, twin._check, x, y, batch_size)

    @abstractmethod
    def _check(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """Samples, targets and row weights as the executable loads them."""
