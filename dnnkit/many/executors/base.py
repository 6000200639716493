"""What every executor does, and how the one that was asked for is found."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from dnnkit.errors import ConfigurationError
from dnnkit.registry import Registry
from dnnkit.settings import shown

ATTEMPTS = 4
"""How often work is handed out that is lost each time with its worker: as often as Dask does it."""


class Shared:
    """What all work reads, such as the data: sent to a worker once, and once per process even where that is not so.

    Attributes:
        values: anything that can be pickled.
        kept: what a worker has made of it, for the work that comes next; it does not travel.
    """

    def __init__(self, values: Any) -> None:
        self.values = values
        self.kept: dict[Any, Any] = {}

    def __getstate__(self) -> tuple[Any]:
        return (self.values,)

    def __setstate__(self, state: tuple[Any]) -> None:
        (self.values,), self.kept = state, {}


class Executor(ABC):
    """Hands work to workers, and gives back what they made of it, in whatever order.

    A `with` block opens and closes it. Within, `submit` any number of pieces of work, also while `completed` gives
    results. Work whose worker is lost is done again elsewhere; so it must be a function of its arguments alone.

    One of your own joins by `dk.register("executor", "name", TheClass)`, or is passed as an object.
    """

    @classmethod
    def takes(cls, given: object) -> bool:
        """Whether it works through that object, such as another library's client."""
        return False

    @classmethod
    @abstractmethod
    def of(cls, given: Any, num_workers: int | None) -> "Executor":
        """The executor for one of its names, or for an object that it takes.

        Arguments:
            given: the name or the object.
            num_workers: how many workers to start, where it starts them; None for as many as there are processors.
        """

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many pieces of work are done at the same time, about."""

    @abstractmethod
    def open(self, shared: Shared) -> None:
        """Begin, and hand out what all work reads."""

    @abstractmethod
    def submit(self, number: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Have `function(shared, *arguments)` called by a worker; no other work that is not done has that number."""

    @abstractmethod
    def completed(self) -> Iterator[tuple[int, Any]]:
        """Number and result of each piece of work as it is done, until none is left.

        Raises:
            WorkersLost: workers, or who leads them, are gone for good.
            Exception: what the function raised.
        """

    def pickled(self, thing: Any) -> bytes:
        """A thing as workers read it by `pickle.loads`."""
        return pickle.dumps(thing)

    @abstractmethod
    def close(self) -> None:
        """Forget what is not done, and end what was started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


EXECUTORS: Registry[type[Executor]] = Registry(
    "executor",
    "a class derived from dnnkit.many.executors.Executor",
    lambda thing: isinstance(thing, type) and issubclass(thing, Executor),
)


def make_executor(given: Any, num_workers: int | None = None) -> Executor:
    """The executor that was asked for by name, by another library's object, or by itself.

    Raises:
        UnknownName: there is none of that name.
        ConfigurationError: what was given is none, or its library is not installed.
    """
    if isinstance(given, Executor):
        return given
    if isinstance(given, str):
        return EXECUTORS.find(given).of(given, num_workers)
    for kind in EXECUTORS.usable():
        if kind.takes(given):
            return kind.of(given, num_workers)
    raise ConfigurationError(
        f"executor is {shown(given)}: expected one of {', '.join(EXECUTORS)}, a joblib.Parallel, "
        "a distributed.Client, or None to train in this process"
    )
