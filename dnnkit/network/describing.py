"""What a network says of itself."""

from abc import abstractmethod
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from dnnkit.network.protocol import Network

if TYPE_CHECKING:
    from dnnkit.network.inspection import Inspection


class Describable(Network):
    """`summary` and `inspect` of a network."""

    def summary(self) -> None:
        """Print layers, output shapes and numbers of parameters."""
        from dnnkit.network.summary import print_summary

        print_summary(self)

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
