"""Batches from an iterator or a generator, produced by a thread during training."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np

from dnnkit.backends.executable import Executable
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DataError, DnnkitError, ShapeError
from dnnkit.kernels.array import namespace
from dnnkit.settings import shown
from dnnkit.training.parts import Part

AHEAD = 16 << 20
"""Bytes of batches that are produced ahead."""

MOST_AHEAD = 1024
"""Maximum number of batches that are produced ahead."""

Check = Callable[[Any, Any, Any], tuple[Any, Any, Any]]


class Batches:
    """An iterable of batches, and its first batch, which has been inspected."""

    def __init__(self, given: Iterable[Any]) -> None:
        self.given = given
        self.is_once = hasattr(given, "__next__")
        """Whether it cannot be iterated again."""
        iterator = iter(given)
        try:
            self.first = next(iterator)
        except StopIteration:
            raise DataError("x is an iterator that gives no batches: expected (x, y), batch by batch") from None
        self._rest: Iterator[Any] | None = chain([self.first], iterator) if self.is_once else None

    def steps(self, given: int | None) -> int:
        """Return the number of batches per epoch."""
        if given is not None:
            return given
        try:
            found = len(self.given)  # type: ignore[arg-type]
        except TypeError:
            raise ConfigurationError(
                "x is an iterator or a generator, which does not say how many batches an epoch has: give "
                "steps_per_epoch"
            ) from None
        if found < 1:
            raise DataError("x has no batches: its length is 0")
        return found

    def begin(self) -> Iterator[Any]:
        """Return the batches from the start, or the remaining ones of an iterator that cannot restart."""
        if self._rest is not None:
            return self._rest
        return iter(self.given)


def of_batch(batch: Any, number: int, *, has_targets: bool = True) -> tuple[Any, Any, Any]:
    """Split a batch into samples, targets and weights (or None); without targets it may be the samples alone."""
    if not has_targets:
        return batch[0] if isinstance(batch, tuple) else batch, None, None
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        raise DataError(
            f"batch {number} is {shown(batch)}: expected (x, y) or (x, y, sample_weight), as fit takes them"
        )
    return batch[0], batch[1], batch[2] if len(batch) == 3 else None


@dataclass(frozen=True)
class _Batch:
    """A checked batch."""

    number: int
    parts: tuple[Any, Any, Any]

    @property
    def rows(self) -> int:
        return int(self.parts[0].shape[0])

    @property
    def nbytes(self) -> int:
        return sum(getattr(part, "nbytes", 0) for part in self.parts if part is not None)

    @property
    def kind(self) -> tuple[Any, ...]:
        """Shapes and dtypes; batches with the same ones can be loaded together."""
        return tuple(None if part is None else (tuple(part.shape), str(part.dtype)) for part in self.parts)


class _Source:
    """A thread that produces up to `most` batches, a limited number of them ahead."""

    def __init__(self, batches: Iterator[Any], most: int, first: int, make: Callable[[Any, int], _Batch]) -> None:
        self._batches, self._most, self._first, self._make = batches, most, first, make
        self._made: queue.Queue[_Batch | BaseException | None] = queue.Queue()
        self._room, self._stopped = threading.Semaphore(2), threading.Event()
        threading.Thread(target=self._run, daemon=True, name="dnnkit-batches").start()

    def _run(self) -> None:
        number = self._first
        try:
            for given in islice(self._batches, self._most):
                batch = self._make(given, number)
                if number == self._first:
                    for _ in range(max(2, min(MOST_AHEAD, AHEAD // max(1, batch.nbytes))) - 2):
                        self._room.release()
                while not self._room.acquire(timeout=0.1):
                    if self._stopped.is_set():
                        return
                self._made.put(batch)
                number += 1
                if self._stopped.is_set():
                    return
        except BaseException as error:  # handed to the thread that waits
            self._made.put(error)
        else:
            self._made.put(None)

    def stop(self) -> None:
        """Stop producing batches."""
        self._stopped.set()

    def get(self) -> "_Batch | None":
        """Return the next batch, or None at the end."""
        while True:
            try:
                found = self._made.get(timeout=0.1)  # so that Ctrl-C is heard
            except queue.Empty:
                continue
            return self._taken(found)

    def get_at_hand(self) -> "_Batch | None":
        """Return the next batch if it is ready, else None."""
        if self._made.empty() or not isinstance(self._made.queue[0], _Batch):
            return None
        return self._taken(self._made.get())

    def _taken(self, found: "_Batch | BaseException | None") -> "_Batch | None":
        if isinstance(found, BaseException):
            raise found
        if found is not None:
            self._room.release()
        return found


class BatchFeed:
    """The batches of an iterator, as parts of epochs.

    Arguments:
        executable: the executable that loads them.
        batches: the iterator.
        check: checks each batch.
        steps: steps per epoch.
        limit: maximum number of batches of the fit; None for no limit.
        has_targets: whether batches have targets.
    """

    schedule = "of an iterator's batches"

    def __init__(
        self,
        executable: Executable,
        batches: Batches,
        check: Check,
        steps: int,
        limit: int | None = None,
        *,
        has_targets: bool = True,
    ) -> None:
        self._has_targets = has_targets
        self._executable, self._batches, self._check, self._steps, self._limit = (
            executable,
            batches,
            check,
            steps,
            limit,
        )
        self._taken = 0
        self._source: _Source | None = None
        self.row_bytes = 0.0

    def parts(self, seed: int, epoch: int, position: int, done: int) -> Iterator[Part]:
        """See `Feed`. When an epoch is resumed in a new process, the earlier batches are produced and discarded."""
        self.close()
        if position >= self._steps:  # nothing is left but to tell of the epoch
            only = self._make(self._batches.first, 0)
            yield Part(self._load([only]), np.arange(only.rows), only.rows, position - 1, position)
            return
        batches, taken = self._batches.begin(), self._taken if self._batches.is_once else 0
        skipped = (done if self._batches.is_once else position) - taken
        for _ in range(max(0, skipped)):
            if next(batches, None) is None:
                raise self._ended(taken + skipped, position)
        most = self._steps - position
        if self._limit is not None:
            most = min(most, self._limit - done)
        source = self._source = _Source(
            batches, most, max(taken, done if self._batches.is_once else position), self._make
        )
        self._taken = max(taken, done)
        step, batch = position, source.get()
        while step < self._steps:
            if batch is None:
                raise self._ended(self._taken if self._batches.is_once else step, step)
            group, rows = [batch], batch.rows
            batch = None
            while (another := source.get_at_hand()) is not None:
                if another.kind != group[0].kind:
                    batch = another
                    break
                group.append(another)
            self._taken += len(group)
            end = step + len(group)
            yield Part(self._load(group), np.arange(rows * len(group)), rows, step, end)
            step = end
            if batch is None and step < self._steps:
                batch = source.get()

    def close(self) -> None:
        """Stop producing batches."""
        if self._source is not None:
            self._source.stop()
            self._source = None

    def loaded(self) -> Iterator[tuple[Any, int]]:
        """Yield the loaded data and the number of rows of each batch until the end."""
        source = self._source = _Source(self._batches.begin(), 1 << 62, 0, self._make)
        while (batch := source.get()) is not None:
            yield self._load([batch]), batch.rows

    def _make(self, given: Any, number: int) -> _Batch:
        parts = of_batch(given, number, has_targets=self._has_targets)
        try:
            checked = self._check(*parts)
        except DnnkitError as error:
            raise type(error)(f"batch {number}: {error}") from error
        x, y, weights = (None if part is None else namespace(part).asarray(part, copy=True) for part in checked)
        return _Batch(number, (x, y, weights))  # copies: a generator may fill the same array again

    def _load(self, group: list[_Batch]) -> Any:
        first = group[0].parts
        joined = first if len(group) == 1 else tuple(_join([batch.parts[each] for batch in group]) for each in range(3))
        try:
            return self._executable.load(*joined)
        except (DataError, ShapeError):
            for batch in group:
                try:
                    self._executable.load(*batch.parts)
                except (DataError, ShapeError) as error:
                    raise type(error)(f"batch {batch.number}: {error}") from error
            raise

    def _ended(self, count: int, step: int) -> DataError:
        return DataError(
            f"x ended after {count} batch{'es' * (count != 1)}, in step {step} of an epoch of {self._steps}: give a "
            "smaller steps_per_epoch, or an iterator that goes on, such as one that begins anew"
        )


def _join(parts: list[Any]) -> HostArray | None:
    return None if parts[0] is None else namespace(parts[0]).concat(parts)
