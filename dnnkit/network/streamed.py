"""What a network trains on, is evaluated on, or predicts, if that is no array: files, shards, iterators of batches."""

import hashlib
from collections.abc import Callable
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dnnkit.backends.diagnosis import remark
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.network.protocol import Network
from dnnkit.training.parts import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dnnkit.streams.batches import Batches
    from dnnkit.streams.measuring import LoadedInParts
    from dnnkit.streams.stream import Stream

Check: TypeAlias = Callable[[Any, Any, Any], tuple[Any, Any, Any]]

ARRAYS = ("__array__", "__array_interface__", "__dlpack__", "shape", "dtype", "columns", "__arrow_c_stream__")
"""What an array, a table or a sparse matrix has one of."""

SAMPLED = 1024
"""Rows that are looked at before the first epoch."""


def is_streamed(x: Any) -> bool:
    """Whether x is a path, a stream, a sparse matrix, or something that makes batches."""
    if isinstance(x, np.ndarray):
        return False
    if isinstance(x, str | PathLike) or getattr(type(x), "is_stream", False) or hasattr(type(x), "tocsr"):
        return True
    if isinstance(x, list | tuple):
        return bool(x) and isinstance(x[0], str | PathLike) and all(isinstance(each, str | PathLike) for each in x)
    return makes_batches(x)


def makes_batches(x: Any) -> bool:
    """Whether it is iterated over to get batches: no array, table or container of numbers."""
    if isinstance(x, str | bytes | list | tuple | dict | set | frozenset | range) or not hasattr(type(x), "__iter__"):
        return False
    return hasattr(x, "__next__") or not any(hasattr(x, each) for each in ARRAYS)


def open_streamed(x: Any, y: Any, sample_weight: Any) -> "Stream | Batches":
    """What is read, or iterated over.

    Raises:
        ConfigurationError: targets are given besides.
    """
    if makes_batches(x):
        from dnnkit.streams.batches import Batches

        if y is not None or sample_weight is not None:
            raise ConfigurationError(
                "x makes batches, (x, y) or (x, y, sample_weight), so targets and weights come with them: leave y and "
                "sample_weight out"
            )
        return Batches(x)
    from dnnkit.streams.stream import as_stream

    return as_stream(x, y, sample_weight)


@dataclass(frozen=True)
class Sample:
    """Some rows of what is streamed, by which a network is built."""

    given: "Stream | Batches"
    spans: list[tuple[int, int]]
    parts: tuple[Any, Any, Any]
    """Samples, targets and weights."""

    @classmethod
    def of(cls, given: "Stream | Batches", rows: int = 1, *, has_targets: bool = True) -> "Sample":
        """At least so many rows, if there are as many, and no more than a quarter of what is mixed, nor SAMPLED."""
        from dnnkit.streams.batches import of_batch
        from dnnkit.streams.stream import Stream

        if not isinstance(given, Stream):
            return cls(given, [], of_batch(given.first, 0, has_targets=has_targets))
        rows = max(rows, min(SAMPLED, int(given.buffer * 2**18 / max(1, given.row_bytes))))
        return cls(given, given.places_of_sample(rows), given.sample(rows))

    @contextmanager
    def located(self, use: "Callable[[Any, Any, Any], object] | None" = None) -> "Iterator[None]":
        """Within, errors in data say where they are: in which batch, or by trying `use`, in which row of which file."""
        from dnnkit.streams.locating import located
        from dnnkit.streams.stream import Stream

        try:
            yield
        except (DataError, ShapeError) as error:
            if not isinstance(self.given, Stream):
                raise type(error)(f"batch 0: {error}") from error
            found = error if use is None else located(error, self.given, self.spans, self.parts, use)
            raise (type(error)(f"a sample of {self.given.x.name}: {error}") if found is error else found) from error


def in_memory(given: "Stream | Batches") -> tuple[Any, Any, Any] | None:
    """All samples, targets and weights, if they are no more than the buffer of a stream holds; else None."""
    from dnnkit.streams.stream import Stream

    return given.read_all() if isinstance(given, Stream) and given.fits() else None


def as_arrays(x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Samples, targets and weights in memory, for several networks that train together; arrays stay as they are.

    Raises:
        ConfigurationError: they are more than the buffer of a stream holds, or an iterator makes them.
    """
    if not is_streamed(x):
        return x, y, sample_weight
    if (arrays := in_memory(open_streamed(x, y, sample_weight))) is None:
        raise not_shared()
    return arrays


def held_out_of(given: "Stream | Batches", share: float) -> "tuple[Stream, Stream]":
    """The rows to train on, and that share from the end of them all."""
    from dnnkit.streams.stream import Stream

    assert isinstance(given, Stream)  # see refuse_what_needs_all
    return given.split(share)


def refuse_what_needs_all(net: Network, given: "Stream | Batches", batch_size: Any, validation_split: float) -> None:
    """Raise `ConfigurationError` where something is asked for that needs all rows in memory at once."""
    from dnnkit.streams.batches import Batches

    if net.optimizer.full_batch:
        raise ConfigurationError(
            f"{type(net.optimizer).__name__} takes all samples in each step, and these are not in memory: use another "
            "optimizer, such as dk.Adam()"
        )
    if isinstance(given, Batches) and validation_split:
        raise ConfigurationError(
            f"validation_split is {validation_split}, which takes the end of the data, and batches that x makes have "
            "none before they are made: give validation_data"
        )
    if isinstance(given, Batches) and batch_size is not None:
        raise ConfigurationError(
            f"batch_size is {batch_size}, but x makes its own batches: leave batch_size out, and make them of that size"
        )


def not_shared() -> ConfigurationError:
    """What to say of data that are not in memory, where several networks or processes train together."""
    return ConfigurationError(
        "data that are not in memory are read by the fit of one network in one process: give arrays here, or data that "
        "fit into the buffer of dk.streams.open"
    )


def refuse_once(given: "Stream | Batches") -> None:
    """Raise `ConfigurationError` for validation data that cannot be read a second time."""
    if getattr(given, "is_once", False):
        raise ConfigurationError(
            "validation_data is an iterator, which is at its end after one epoch: give arrays, files, or what "
            "begins anew whenever it is iterated over"
        )


def rows_of_batch(given: "Stream | Batches", rows: int, sampled: int, steps_per_epoch: int | None) -> int:
    """Rows of a batch."""
    from dnnkit.streams.stream import Stream

    if not isinstance(given, Stream):
        return sampled
    return rows if steps_per_epoch is not None else min(rows, len(given))


def adapts_to(net: Network, given: "Stream | Batches | None", x: Any) -> Any:
    """The samples in which layers find their statistics: all that there are, or of a stream as many as are mixed."""
    from dnnkit.streams.batches import Batches
    from dnnkit.streams.stream import Stream

    if isinstance(given, Batches):
        raise ConfigurationError(
            "a layer has statistics that are not known, such as a Normalization's mean, and one batch does not tell "
            "them: call its adapt(x) before, or give it its numbers"
        )
    if isinstance(given, Stream):
        x = given.sample(max(SAMPLED, int(given.buffer * 2**18 / max(1, given.row_bytes))))[0]
        remark(f"layers find their statistics, such as means, in {len(x):,} of {len(given):,} rows")
    return x


def feed_of(
    net: Network, given: "Stream | Batches", check: Check, batch_size: int, steps: int | None, shuffle: Any,
    limit: int | None = None,
) -> tuple[Feed, int, int | None]:  # fmt: skip
    """Who feeds a fit; the samples that there are, and the steps of an epoch, None where it is one pass over them."""
    from dnnkit.streams.batches import BatchFeed
    from dnnkit.streams.feeding import StreamFeed
    from dnnkit.streams.stream import Stream

    if isinstance(shuffle, str):
        raise ConfigurationError(
            f"shuffle is {shuffle!r}, which draws each row from all: of data that are not in memory, use True or False"
        )
    if isinstance(given, Stream):
        rows = len(given) if steps is None else steps * batch_size
        return StreamFeed(net, given, check, batch_size, rows, bool(shuffle)), len(given), steps
    steps = given.steps(steps)
    return BatchFeed(net.executable, given, check, steps, limit), steps * batch_size, steps


def in_parts(
    net: Network, given: "Stream | Batches", check: Check, batch_size: int, *, has_targets: bool = True
) -> "LoadedInParts":
    """What is measured, or predicted, part by part."""
    from dnnkit.streams.batches import BatchFeed
    from dnnkit.streams.feeding import StreamFeed
    from dnnkit.streams.measuring import LoadedInParts
    from dnnkit.streams.stream import Stream

    if isinstance(given, Stream):
        feed = StreamFeed(net, given, check, batch_size, len(given), shuffle=False, trains=False)
        return LoadedInParts.of(feed, len(given))
    return LoadedInParts.of(BatchFeed(net.executable, given, check, 1 << 62, has_targets=has_targets))


def identity(given: "Stream | Batches") -> str:
    """16 hexadecimal digits that tell a data set from another; of batches that are made, nothing is known."""
    from dnnkit.streams.stream import Stream

    known = given.identity() if isinstance(given, Stream) else "batches"
    return hashlib.sha256(known.encode()).hexdigest()[:16]
