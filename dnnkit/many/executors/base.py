"""Interface of executors, and their lookup."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from dnnkit.errors import ConfigurationError
from dnnkit.registry import Registry
from dnnkit.settings import shown

ATTEMPTS = 4
"""Maximum number of attempts for work that is lost with its worker, as in Dask."""


class Shared:
    """Values that all work needs, such as the data; sent to each worker process once.

    Attributes:
        values: anything that can be pickled.
        kept: a worker's cache for subsequent work; it is not pickled.
    """

    def __init__(self, values: Any) -> None:
        self.values = values
        self.kept: dict[Any, Any] = {}

    def __getstate__(self) -> tuple[Any]:
        return (self.values,)

    def __setstate__(self, state: tuple[Any]) -> None:
        (self.values,), self.kept = state, {}


class Executor(ABC):
    """Runs work on workers and returns results in any order.

    Use it as a context manager. Within the block, `submit` any number of tasks, also while `completed` yields
    results. Tasks whose worker is lost are run again elsewhere, so they have to be pure functions of their arguments.

    A custom executor is registered with `dk.register("executor", "name", TheClass)`, or passed as an object.
    """

    @classmethod
    def takes(cls, given: object) -> bool:
        """Return whether it works through that object, such as another library's client."""
        return False

    @classmethod
    @abstractmethod
    def of(cls, given: Any, num_workers: int | None) -> "Executor":
        """Return the executor for one of its names, or for an object that it takes.

        Arguments:
            given: the name or the object.
            num_workers: number of workers to start, if it starts them; None for the number of processors.
        """

    @property
    @abstractmethod
    def workers(self) -> int:
        """Approximate number of tasks that run at the same time."""

    @abstractmethod
    def open(self, shared: Shared) -> None:
        """Start, and distribute the shared values."""

    @abstractmethod
    def submit(self, number: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Schedule `function(shared, *arguments)` on a worker; `number` has to be unique among unfinished tasks."""

    @abstractmethod
    def completed(self) -> Iterator[tuple[int, Any]]:
        """Yield number and result of each task as it finishes, until none is left.

        Raises:
            WorkersLost: the workers, or their scheduler, are permanently lost.
            Exception: an exception raised by a task.
        """

    def pickled(self, thing: Any) -> bytes:
        """Pickle an object so that workers can read it with `pickle.loads`."""
        return pickle.dumps(thing)

    @abstractmethod
    def close(self) -> None:
        """Drop unfinished tasks, and stop what was started."""

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
    """Return the executor for a name, for another library's object, or an executor itself.

    Raises:
        UnknownName: there is none with that name.
        ConfigurationError: the object is not supported, or its library is not installed.
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
