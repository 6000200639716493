"""What ranks need of whatever connects them: a few messages."""

from abc import ABC, abstractmethod
from typing import Any

from dnnkit.backends.state import HostArray
from dnnkit.registry import Lazy, Registry


class Communicator(ABC):
    """Connects ranks 0 ... size - 1, each of which has one.

    All ranks call `meet` and `spread` together, in the same order. `exchange`, `send` and `receive` are between two.
    Arrays are contiguous, and of the same dtype and length at both ends.
    """

    name: str
    """Such as "mpi"; the plan of a training says it."""
    rank: int
    size: int

    @abstractmethod
    def meet(self, said: Any) -> list[Any]:
        """What every rank says, in their order. Who comes first waits, without work for the processor if it is long."""

    @abstractmethod
    def exchange(self, given: HostArray, other: int, out: HostArray) -> None:
        """Send `given` to another rank, which exchanges with this one, and receive what it gives."""

    @abstractmethod
    def send(self, given: HostArray, to: int) -> None:
        """Send to a rank that receives."""

    @abstractmethod
    def receive(self, out: HostArray, of: int) -> None:
        """Receive from a rank that sends."""

    @abstractmethod
    def spread(self, array: HostArray) -> None:
        """Make the array that of rank 0."""

    @abstractmethod
    def abort(self, status: int) -> None:
        """End all ranks at once: this one cannot go on, and cannot tell them."""


COMMUNICATORS: Registry[type[Communicator]] = Registry(
    "communicator",
    "a class with the methods of dnnkit.distributed.communicator.Communicator",
    lambda thing: isinstance(thing, type) and issubclass(thing, Communicator),
)
COMMUNICATORS.add("mpi", Lazy("dnnkit.distributed.mpi:Mpi"))
