"""Tables of any library as series: NumPy arrays, lists of rows, dictionaries of columns, data frames.

None of these libraries is required or imported.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import DataError
from dnnkit.kernels.compressed_rows import is_sparse
from dnnkit.settings import is_masked, shown
from dnnkit.tables.data_frames import is_of_a_frame_library, of_frame, series_of_column
from dnnkit.tables.python_objects import as_microseconds, from_objects, seconds
from dnnkit.tables.series import Series
from dnnkit.tables.table import Table, check_names, check_shape, numbered, of_matrix, of_series


def table_of(data: Any) -> Table:
    """Convert a table of any kind.

    Arguments:
        data: an array (N, columns), a list of rows, a dictionary or structured array of columns (N,), or a data frame
            of pandas, polars, pyarrow, or another library that narwhals supports.

    Returns:
        The table.

    Raises:
        DataError: it is none of these; rows or columns have different lengths; names are not unique, or only some are
            text; a column has values of mixed or unsupported types.
    """
    if isinstance(data, Table):
        return data
    if is_sparse(data):
        raise DataError("the table is a sparse matrix: expected a dense one; convert it by toarray()")
    if isinstance(data, Mapping):
        return _of_mapping(data)
    if not isinstance(data, np.ndarray) and is_of_a_frame_library(data):
        return of_frame(data)
    if not isinstance(data, np.ndarray) and not hasattr(data, "__array__"):
        return _of_rows(data)
    return _of_array(data if isinstance(data, np.ndarray) else np.asarray(data))


def _of_array(array: NDArray[Any]) -> Table:
    if array.dtype.names is not None and array.ndim == 1:
        return _of_mapping({name: array[name] for name in array.dtype.names})
    check_shape(array.shape)
    names = numbered(array.shape[1])
    if array.dtype.kind in "iuf" and not is_masked(array):
        return of_matrix(array, names, False)
    return of_series([_of_values(name, array[:, n]) for n, name in enumerate(names)], len(array), False)


def _of_rows(data: Any) -> Table:
    """Convert a list of rows."""
    try:
        rows = [list(row) if not isinstance(row, str | bytes) else None for row in data]
    except TypeError:
        rows = [None]
    if not rows:
        check_shape((0, 0))
    if rows[0] is None:
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            check_shape((len(data),))
        raise DataError(
            f"the table is {shown(data)} ({type(data).__name__}): expected an array of rows and columns, a list of "
            "rows, a dictionary of columns or a data frame"
        )
    width = len(rows[0])
    for number, row in enumerate(rows):
        if row is None or len(row) != width:
            count = "not a list" if row is None else f"{len(row)} values"
            raise DataError(f"row {number} of the table is {count}, row 0 has {width}: expected rows of equal length")
    check_shape((len(rows), width))
    names = numbered(width)
    columns = zip(*rows, strict=True)
    return of_series(
        [from_objects(name, list(column)) for name, column in zip(names, columns, strict=True)], len(rows), False
    )


def _of_mapping(data: Mapping[Any, Any]) -> Table:
    """Convert a dictionary of columns."""
    names = check_names(list(data))
    series = [_of_column(name, column) for name, column in zip(names, data.values(), strict=True)]
    rows = len(series[0]) if series else 0
    for each in series:
        if len(each) != rows:
            raise DataError(
                f"column {each.name!r} has {len(each):,} rows, {names[0]!r} has {rows:,}: expected equal lengths"
            )
    check_shape((rows, len(series)))
    return of_series(series, rows)


def _of_column(name: str, column: Any) -> Series:
    if not isinstance(column, np.ndarray) and is_of_a_frame_library(column):
        return series_of_column(name, column)
    is_a_list = isinstance(column, Sequence) and not isinstance(column, str | bytes)
    if not is_a_list and not hasattr(column, "__array__"):
        raise DataError(
            f"column {name!r} is {shown(column)} ({type(column).__name__}): expected a list or an array of its values"
        )
    return _of_values(name, column)


def _of_values(name: str, column: Any) -> Series:
    """Return the series of a list, or of an array (N,)."""
    if not hasattr(column, "dtype") and not hasattr(column, "__array__"):
        return from_objects(name, list(column))
    if is_masked(column):
        return from_objects(name, column.tolist())
    array = np.asarray(column)
    if array.ndim != 1:
        raise DataError(f"column {name!r} has shape {array.shape}: expected one value per row, (N,)")
    kind = array.dtype.kind
    if kind in "iuf":
        return Series(name, "number", array.astype(np.float64))
    if kind == "b":
        return Series(name, "boolean", array.astype(np.float64))
    if kind == "M":
        return Series(name, "date", as_microseconds(name, array))
    if kind == "m":
        return Series(name, "number", seconds(array))
    if kind == "c":
        raise DataError(
            f"Complex data not supported: column {name!r} has dtype {array.dtype}; give its parts as columns"
        )
    if kind in "UTO":
        return from_objects(name, array.tolist())
    hint = "decode it: np.char.decode(...)" if kind == "S" else "convert it by astype"
    raise DataError(f"column {name!r} has dtype {array.dtype}: expected numbers, text, booleans or dates; {hint}")
