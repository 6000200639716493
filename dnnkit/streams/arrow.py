"""Rows of Parquet and Arrow files, read by pyarrow: numeric columns side by side, or a single column of vectors."""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.registry import did_you_mean
from dnnkit.streams.formats import Columns
from dnnkit.streams.rows import Rows

DECODED = 4 << 20
"""Approximate number of bytes decoded at a time."""

TOGETHER = 64
"""Columns that are transposed together: one at a time, each of its numbers would touch another cache line."""

CURSORS = 8
"""Maximum number of pieces of a file that are read in alternation, each from its start to its end."""


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError(f"reading {path} needs pyarrow: pip install pyarrow") from None
    return pyarrow


@dataclass
class _Cursor:
    """Read position within a piece."""

    batches: Iterator[Any]
    next_row: int = 0
    left: Any = ()
    """Rows of the last batch that have not been returned yet."""


class TableRows(Rows):
    """Selected columns of a file whose pieces are decoded from their start."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self.name, self._path, self._arrow = str(path), path, _pyarrow(path)
        try:
            schema, counts = self._open()
        except (self._arrow.ArrowException, OSError) as error:
            raise DataError(f"{path} cannot be read: {str(error).splitlines()[0][:200]}") from error
        self.columns = _chosen(path, schema.names, columns)
        types = [schema.field(name).type for name in self.columns]
        self._stored = [self._dtype_of_buffer(kind) for kind in types]
        self.shape, self.dtype = self._form(types)
        self.pieces = np.array([count for count in counts if count], np.int64)
        self._numbers = [number for number, count in enumerate(counts) if count]
        self._starts = np.concatenate([[0], np.cumsum(self.pieces)])
        self.count = int(self._starts[-1])
        if not self.count:
            raise DataError(f"{path} has no rows: remove it from the data set")
        self._cursors: dict[int, _Cursor] = {}

    @abstractmethod
    def _open(self) -> tuple[Any, list[int]]:
        """Open the file; return its schema and the number of rows of each piece."""

    @abstractmethod
    def _batches(self, piece: int, rows: int) -> Iterator[Any]:
        """Yield the record batches of a piece from its start, of at most about `rows` rows."""

    def _form(self, types: list[Any]) -> tuple[tuple[int, ...], np.dtype]:
        """Return the shape and the dtype of a row."""
        lists = self._arrow.types.is_fixed_size_list
        if len(types) == 1 and lists(types[0]):
            return (int(types[0].list_size),), self._dtype(self.columns[0], types[0].value_type)
        if named := [name for name, kind in zip(self.columns, types, strict=True) if lists(kind)]:
            raise DataError(
                f"{self.name}: the column {named[0]!r} holds vectors, which cannot be combined with the other "
                f"{len(types) - 1} columns: select it alone with columns=[{named[0]!r}]"
            )
        kinds = {self._dtype(name, kind) for name, kind in zip(self.columns, types, strict=True)}
        together: np.dtype = kinds.pop() if len(kinds) == 1 else np.result_type(*kinds, np.float32)
        return (len(types),), together

    def _dtype_of_buffer(self, kind: Any) -> np.dtype | None:
        """Return the dtype of a column's memory, or None if Arrow has to convert it."""
        check = self._arrow.types
        of = kind.value_type if check.is_fixed_size_list(kind) else kind
        return np.dtype(of.to_pandas_dtype()) if check.is_integer(of) or check.is_floating(of) else None

    def _dtype(self, name: str, kind: Any) -> np.dtype:
        check = self._arrow.types
        if check.is_boolean(kind) or check.is_integer(kind) or check.is_floating(kind):
            return np.dtype(str(kind.to_pandas_dtype().__name__))
        if check.is_decimal(kind):
            return np.dtype(np.float64)
        raise DataError(
            f"{self.name}: the column {name!r} has type {kind}: expected numbers. Select other columns with "
            "columns=[...], or encode it as numbers, as dk.TabularEncoder does for a table in memory"
        )

    def read(self, first: int, out: HostArray) -> None:  # noqa: D102
        done = 0
        while done < len(out):
            piece = int(np.searchsorted(self._starts, first + done, "right")) - 1
            row = first + done - int(self._starts[piece])
            here = min(len(out) - done, int(self.pieces[piece]) - row)  # type: ignore[index]
            try:
                self._read_piece(piece, row, out[done : done + here])
            except (self._arrow.ArrowException, OSError) as error:
                why = str(error).splitlines()[0][:200]
                raise DataError(
                    f"{self.name} is damaged or truncated near row {first + done}: {why}. Write or copy it again"
                ) from error
            done += here

    def _read_piece(self, piece: int, row: int, out: HostArray) -> None:
        cursor = self._cursors.pop(piece, None)
        if cursor is None or cursor.next_row > row:
            rows = max(1, min(1 << 16, DECODED // max(1, self.row_bytes)))
            cursor = _Cursor(self._batches(self._numbers[piece], rows))
        done = 0
        while done < len(out):
            if not len(cursor.left):
                batch = next(cursor.batches, None)
                if batch is None:
                    raise OSError(f"{len(out) - done} rows are missing")
                cursor.left = self._decoded(batch)
            skipped = min(row + done - cursor.next_row, len(cursor.left))
            here = min(len(out) - done, len(cursor.left) - skipped)
            out[done : done + here] = cursor.left[skipped : skipped + here]
            cursor.left = cursor.left[skipped + here :]
            cursor.next_row, done = cursor.next_row + skipped + here, done + here
        if cursor.next_row < self.pieces[piece]:  # type: ignore[index]
            while len(self._cursors) >= CURSORS:
                self._cursors.pop(next(iter(self._cursors)))
            self._cursors[piece] = cursor
        else:  # otherwise each reading thread's memory stays in the pool
            self._arrow.default_memory_pool().release_unused()

    def _decoded(self, batch: Any) -> HostArray:
        """Return the rows of a record batch in memory, converting columns to rows once, not per block."""
        out = np.empty((batch.num_rows, *self.shape), self.dtype)
        if len(self.columns) == 1 and self._arrow.types.is_fixed_size_list(batch.schema.field(0).type):
            values = batch.column(0).flatten()
            if len(values) != out.size:
                raise DataError(f"{self.name}: the column {self.columns[0]!r} has rows without a vector: fill them in")
            out[...] = _numbers(values, self._stored[0]).reshape(out.shape)
            return out
        for first in range(0, batch.num_columns, TOGETHER):
            last = min(first + TOGETHER, batch.num_columns)
            some = np.empty((last - first, batch.num_rows), self.dtype)
            for number in range(first, last):
                some[number - first] = self._numbers_of(number, batch.column(number))
            out[:, first:last] = some.T
        return out

    def _numbers_of(self, number: int, column: Any) -> HostArray:
        """Return the numbers of a column; raise `DataError` if one is missing and the dtype has no NaN."""
        numbers = _numbers(column, self._stored[number])
        if numbers.dtype.kind == "f" and self.dtype.kind != "f" and np.isnan(numbers).any():
            raise DataError(
                f"{self.name}: the column {self.columns[number]!r} has rows without a value: fill them in, or drop them"
            )
        return numbers

    def release(self) -> None:  # noqa: D102
        self._cursors.clear()
        self._arrow.default_memory_pool().release_unused()

    def identity(self) -> str:  # noqa: D102
        stat = self._path.stat()
        return f"{super().identity()} {self.columns} {stat.st_size} {self.pieces}"


def _numbers(column: Any, stored: np.dtype | None) -> HostArray:
    """Return the numbers of an Arrow array, with NaN for missing values; `stored` is the dtype of its memory.

    Arrow's own conversion, `to_numpy`, imports pandas if it is installed, which takes 30 MB.
    """
    if stored is not None and len(column) and not column.null_count:
        return np.frombuffer(column.buffers()[1], stored, len(column), column.offset * stored.itemsize)
    if column.null_count:
        column = column.cast("float64")
    found: HostArray = column.to_numpy(zero_copy_only=False)
    return found if found.dtype.kind in "biuf" else found.astype(np.float64)


def _chosen(path: Path, names: list[str], columns: Columns) -> tuple[str, ...]:
    """Return the names of the columns to read."""
    for name in (*columns.only, *columns.without):
        if name not in names:
            raise DataError(
                f"{path} has no column {name!r}: {did_you_mean(name, names)}its columns are {', '.join(names[:20])}"
            )
    chosen = columns.only or tuple(name for name in names if name not in columns.without)
    if not chosen:
        raise DataError(f"{path} has only the columns {', '.join(columns.without)}: no column is left for x")
    return chosen


_METADATA: WeakValueDictionary[tuple[str, int, int], Any] = WeakValueDictionary()
"""Metadata of the open files by path, time and size: samples and targets of a file share it. It takes about 1 kB per
column and row group.
"""


class ParquetRows(TableRows):
    """Rows of a Parquet file; its pieces are the row groups."""

    def _open(self) -> tuple[Any, list[int]]:
        stat = self._path.stat()
        key = str(self._path), stat.st_mtime_ns, stat.st_size
        self._file = self._arrow.parquet.ParquetFile(
            self._path, metadata=_METADATA.get(key), memory_map=True, pre_buffer=False
        )
        groups = _METADATA.setdefault(key, self._file.metadata)
        return self._file.schema_arrow, [groups.row_group(each).num_rows for each in range(groups.num_row_groups)]

    def _batches(self, piece: int, rows: int) -> Iterator[Any]:
        for batch in self._file.iter_batches(rows, [piece], list(self.columns), use_threads=False):
            yield batch.select(list(self.columns))  # in the requested order


class ArrowRows(TableRows):
    """Rows of an Arrow IPC (Feather) file; its pieces are the record batches."""

    def _open(self) -> tuple[Any, list[int]]:
        self._file = self._arrow.ipc.open_file(self._arrow.memory_map(str(self._path)))
        counts = [self._file.get_batch(each).num_rows for each in range(self._file.num_record_batches)]
        return self._file.schema, counts

    def _batches(self, piece: int, rows: int) -> Iterator[Any]:
        batch = self._file.get_batch(piece).select(list(self.columns))
        for first in range(0, batch.num_rows, rows):
            yield batch.slice(first, rows)
