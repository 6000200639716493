"""Data that is not an array (files, shards, iterators of batches) for training, evaluation and prediction."""

import hashlib
from collections.abc import Callable
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dnnkit.backends.diagnosis import remark
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.kernels.compressed_rows import CompressedRows, is_sparse
from dnnkit.network.protocol import Network
from dnnkit.training.parts import Feed, Share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dnnkit.streams.batches import Batches
    from dnnkit.streams.measuring import LoadedInParts
    from dnnkit.streams.stream import Stream

Check: TypeAlias = Callable[[Any, Any, Any], tuple[Any, Any, Any]]

ARRAYS = ("__array__", "__array_interface__", "__dlpack__", "shape", "dtype", "columns", "__arrow_c_stream__")
"""Attributes of which every array, table or sparse matrix has at least one."""

SAMPLED = 1024
"""Rows that are checked before the first epoch."""


def is_streamed(x: Any) -> bool:
    """Whether x is a path, a stream, a sparse matrix, or an iterable of batches."""
    if isinstance(x, np.ndarray):
        return False
    if isinstance(x, str | PathLike) or getattr(type(x), "is_stream", False) or is_sparse(x):
        return True
    if isinstance(x, list | tuple):
        return bool(x) and isinstance(x[0], str | PathLike) and all(isinstance(each, str | PathLike) for each in x)
    return makes_batches(x)


def makes_batches(x: Any) -> bool:
    """Whether x is an iterable of batches, rather than an array, table or container of numbers."""
    if isinstance(x, str | bytes | list | tuple | dict | set | frozenset | range) or not hasattr(type(x), "__iter__"):
        return False
    return hasattr(x, "__next__") or not any(hasattr(x, each) for each in ARRAYS)


def is_sparse_with(x: Any, *others: Any) -> bool:
    """Whether x is a sparse matrix of numbers, and the others, targets and weights, are in memory."""
    if not is_sparse(x) or any(is_streamed(each) for each in others):
        return False
    from dnnkit.streams.sparse import require_numbers

    require_numbers(x, "x")
    return True


def open_streamed(x: Any, y: Any, sample_weight: Any) -> "Stream | Batches":
    """Return what is read or iterated over.

    Raises:
        ConfigurationError: targets are given in addition to batches.
    """
    if makes_batches(x):
        from dnnkit.streams.batches import Batches

        if y is not None or sample_weight is not None:
            raise ConfigurationError(
                "x yields batches, (x, y) or (x, y, sample_weight), so targets and weights come with them: leave out y "
                "and sample_weight"
            )
        return Batches(x)
    from dnnkit.streams.stream import as_stream

    return as_stream(x, y, sample_weight)


@dataclass(frozen=True)
class Sample:
    """Rows of a stream from which the network is built and checked."""

    given: "Stream | Batches"
    spans: list[tuple[int, int]]
    parts: tuple[Any, Any, Any]
    """Samples, targets and weights of these rows."""

    @classmethod
    def of(cls, given: "Stream | Batches", rows: int = 1, *, has_targets: bool = True) -> "Sample":
        """Take at least `rows` rows if available, up to SAMPLED, and at most a quarter of the shuffle buffer."""
        from dnnkit.streams.batches import of_batch
        from dnnkit.streams.stream import Stream

        if not isinstance(given, Stream):
            return cls(given, [], of_batch(given.first, 0, has_targets=has_targets))
        rows = max(rows, min(SAMPLED, int(given.buffer * 2**18 / max(1, given.row_bytes))))
        return cls(given, given.places_of_sample(rows), given.sample(rows))

    @contextmanager
    def located(self, use: "Callable[[Any, Any, Any], object] | None" = None) -> "Iterator[None]":
        """Add the location to errors in data: the batch, or, by bisecting with `use`, the file and row."""
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
    """Return all samples, targets and weights if they fit into the stream's buffer; otherwise None."""
    from dnnkit.streams.stream import Stream

    return given.read_all() if isinstance(given, Stream) and given.fits() else None


def as_arrays(x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Return samples, targets and weights as arrays, for several networks that train together.

    A sparse matrix becomes `CompressedRows`.

    Raises:
        ConfigurationError: the data exceeds the buffer of a stream, or comes from an iterator.
    """
    if is_sparse_with(x, y, sample_weight):
        return CompressedRows.of(x), y, sample_weight
    if not is_streamed(x):
        return x, y, sample_weight
    if (arrays := in_memory(open_streamed(x, y, sample_weight))) is None:
        raise not_shared()
    return arrays


def held_out_of(given: "Stream | Batches", share: float) -> "tuple[Stream, Stream]":
    """Return the rows to train on and the held-out fraction at the end."""
    from dnnkit.streams.stream import Stream

    assert isinstance(given, Stream)  # see refuse_what_needs_all
    return given.split(share)


def refuse_what_needs_all(net: Network, given: "Stream | Batches", batch_size: Any, validation_split: float) -> None:
    """Raise `ConfigurationError` if an option needs all rows in memory at once."""
    from dnnkit.streams.batches import Batches

    if net.optimizer.full_batch:
        raise ConfigurationError(
            f"{type(net.optimizer).__name__} uses all samples in each step, and these are not in memory: use another "
            "optimizer, such as dk.Adam()"
        )
    if isinstance(given, Batches) and validation_split:
        raise ConfigurationError(
            f"validation_split is {validation_split}, which holds out the last rows, and those of an iterator are "
            "unknown in advance: give validation_data"
        )
    if isinstance(given, Batches) and batch_size is not None:
        raise ConfigurationError(
            f"batch_size is {batch_size}, but x yields batches: leave out batch_size, and make batches of that size"
        )


def not_shared() -> ConfigurationError:
    """Error for data outside memory where several networks train together."""
    return ConfigurationError(
        "data outside memory is supported only by the fit of one network: give arrays here, or data that fits into the "
        "buffer of dk.streams.open"
    )


def refuse_for_ranks(given: "Stream | Batches") -> None:
    """Raise `ConfigurationError` for data of which ranks cannot read their shares."""
    from dnnkit.streams.batches import Batches

    if isinstance(given, Batches):
        raise ConfigurationError(
            "x yields batches, but with distributed= each rank reads only its rows of every batch, which an iterator "
            "cannot: write the batches to files (.npy, Parquet or Arrow; a folder of shards) and give their path, or "
            "leave out distributed="
        )


def refuse_once(given: "Stream | Batches") -> None:
    """Raise `ConfigurationError` for validation data that cannot be read a second time."""
    if getattr(given, "is_once", False):
        raise ConfigurationError(
            "validation_data is an iterator, which is exhausted after one epoch: give arrays, files, or an object that "
            "starts over whenever it is iterated"
        )


def rows_of_batch(given: "Stream | Batches", rows: int, sampled: int, steps_per_epoch: int | None) -> int:
    """Return the batch size."""
    from dnnkit.streams.stream import Stream

    if not isinstance(given, Stream):
        return sampled
    return rows if steps_per_epoch is not None else min(rows, len(given))


def adapts_to(net: Network, given: "Stream | Batches | None", x: Any) -> Any:
    """Return samples from which layers compute their statistics: all, or of a stream, as many as its buffer holds."""
    from dnnkit.streams.batches import Batches
    from dnnkit.streams.stream import Stream

    if isinstance(given, Batches):
        raise ConfigurationError(
            "a layer has unknown statistics, such as the mean of a Normalization, and one batch is not enough to "
            "compute them: call its adapt(x) before, or pass it the numbers"
        )
    if isinstance(given, Stream):
        x = given.sample(max(SAMPLED, int(given.buffer * 2**18 / max(1, given.row_bytes))))[0]
        remark(f"layers compute their statistics, such as means, from {len(x):,} of {len(given):,} rows")
    return x


def feed_of(
    net: Network, given: "Stream | Batches", check: Check, batch_size: int, steps: int | None, shuffle: Any,
    limit: int | None = None, share: Share | None = None,
) -> tuple[Feed, int, int | None]:  # fmt: skip
    """Return the feed of a fit, its number of samples, and the steps per epoch (None for one pass over the samples)."""
    from dnnkit.streams.batches import BatchFeed
    from dnnkit.streams.feeding import StreamFeed
    from dnnkit.streams.stream import Stream

    if isinstance(shuffle, str):
        raise ConfigurationError(
            f"shuffle is {shuffle!r}, which draws from all rows, but the data is not in memory: use True or False"
        )
    if isinstance(given, Stream):
        rows = len(given) if steps is None else steps * batch_size
        return StreamFeed(net, given, check, batch_size, rows, bool(shuffle), share=share), len(given), steps
    steps = given.steps(steps)
    return BatchFeed(net.executable, given, check, steps, limit), steps * batch_size, steps


def in_parts(
    net: Network, given: "Stream | Batches", check: Check, batch_size: int, *, has_targets: bool = True
) -> "LoadedInParts":
    """Return data that is evaluated or predicted part by part."""
    from dnnkit.streams.batches import BatchFeed
    from dnnkit.streams.feeding import StreamFeed
    from dnnkit.streams.measuring import LoadedInParts
    from dnnkit.streams.stream import Stream

    if isinstance(given, Stream):
        feed = StreamFeed(net, given, check, batch_size, len(given), shuffle=False, trains=False)
        return LoadedInParts.of(feed, len(given))
    return LoadedInParts.of(BatchFeed(net.executable, given, check, 1 << 62, has_targets=has_targets))


def identity(given: "Stream | Batches") -> str:
    """16 hexadecimal digits that identify a data set; the same for all iterables of batches, which are not known."""
    from dnnkit.streams.stream import Stream

    known = given.identity() if isinstance(given, Stream) else "batches"
    return hashlib.sha256(known.encode()).hexdigest()[:16]
