"""Interface of whatever connects the ranks: a few messages."""

from abc import ABC, abstractmethod
from typing import Any

from dnnkit.backends.state import HostArray
from dnnkit.registry import Lazy, Registry


class Communicator(ABC):
    """Connection between ranks 0 ... size - 1; each rank has one.

    All ranks call `all_gather` and `broadcast` together, in the same order. `exchange`, `send` and `receive` are
    between two ranks. Arrays are contiguous, with the same dtype and length at both ends.
    """

    name: str
    """Such as "mpi"; part of the training's plan."""
    rank: int
    size: int

    @abstractmethod
    def all_gather(self, sent: Any) -> list[Any]:
        """Return the objects of all ranks in order (all-gather). Ranks that wait long do not spin."""

    @abstractmethod
    def exchange(self, given: HostArray, other: int, out: HostArray) -> None:
        """Send `given` to another rank, which calls this too, and receive its array in `out`."""

    @abstractmethod
    def send(self, given: HostArray, to: int) -> None:
        """Send to a rank that receives."""

    @abstractmethod
    def receive(self, out: HostArray, of: int) -> None:
        """Receive from a rank that sends."""

    @abstractmethod
    def broadcast(self, array: HostArray) -> None:
        """Broadcast rank 0's array in place."""

    @abstractmethod
    def abort(self, status: int) -> None:
        """Terminate all ranks at once, if this one can neither continue nor report its error."""


COMMUNICATORS: Registry[type[Communicator]] = Registry(
    "communicator",
    "a class with the methods of dnnkit.distributed.communicator.Communicator",
    lambda thing: isinstance(thing, type) and issubclass(thing, Communicator),
)
COMMUNICATORS.add("mpi", Lazy("dnnkit.distributed.mpi:Mpi"))
