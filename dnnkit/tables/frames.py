"""Any table as series: NumPy's arrays, lists of rows, dictionaries of columns, data frames of any library.

Data frames come by way of narwhals, which is imported when one comes. None of their libraries is needed, or imported.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.settings import is_masked, shown
from dnnkit.tables.series import Series, as_microseconds, as_texts, from_objects, seconds

LONGEST_NAME = 300
"""Letters: names stand in errors."""


@dataclass(frozen=True)
class Table:
    """Columns of one length.

    Attributes:
        names: of the columns, each once; "x0", "x1", ... of what has no names.
        rows: how many there are.
        has_names: whether the names are the table's own.
        column: the series of a column by its number.
        matrix: all of it as an array of numbers, (N, columns), if it was one.
    """

    names: tuple[str, ...]
    rows: int
    has_names: bool
    column: Callable[[int], Series] = field(repr=False)
    matrix: NDArray[Any] | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, len(self.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of columns, as data frames call them."""
        return self.names

    def __len__(self) -> int:
        return self.rows

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """All columns."""
        return tuple(map(self.column, range(len(self.names))))

    def take(self, rows: Any) -> "Table":
        """Some rows, by their numbers."""
        if self.matrix is not None:
            return of_matrix(self.matrix[rows], self.names, self.has_names)
        return of_series([series.take(rows) for series in self.series], len(rows), self.has_names)

    def select(self, names: Sequence[str]) -> "Table":
        """Some columns, in that order."""
        numbers = [self.names.index(name) for name in names]
        if self.matrix is not None:
            return of_matrix(self.matrix[:, numbers], tuple(names), self.has_names)
        return of_series([self.series[number] for number in numbers], self.rows, self.has_names)

    def drop(self, names: Sequence[str]) -> "Table":
        """All columns but some."""
        return self.select([name for name in self.names if name not in set(names)])


def of_series(series: Sequence[Series], rows: int, has_names: bool = True) -> Table:
    """The table of these columns."""
    return Table(tuple(each.name for each in series), rows, has_names, list(series).__getitem__)


def of_matrix(matrix: NDArray[Any], names: tuple[str, ...], has_names: bool) -> Table:
    """The table of an array of numbers."""

    def column(number: int) -> Series:
        return Series(names[number], "number", np.ascontiguousarray(matrix[:, number], np.float64))

    return Table(names, len(matrix), has_names, column, matrix)


# -- whatever it is --------------------------------------------------------------------------------------------------


def table_of(data: Any) -> Table:
    """The table of anything that is one.

    Arguments:
        data: an array (N, columns), a list of rows, a dictionary or structured array of columns (N,), or a data frame
            of pandas, polars, pyarrow, or another library that narwhals knows.

    Raises:
        DataError: it is none of these; rows or columns have different lengths; a name is there twice, or is no text
            beside names that are; a column has values of several kinds, or of none that can be used.
    """
    if isinstance(data, Table):
        return data
    if hasattr(data, "tocsr"):
        raise DataError("the table is a sparse matrix: expected a dense one; convert it by toarray()")
    if isinstance(data, Mapping):
        return _of_mapping(data)
    if not isinstance(data, np.ndarray) and _is_of_a_frame_library(data):
        return _of_frame(data)
    if not isinstance(data, np.ndarray) and not hasattr(data, "__array__"):
        return _of_rows(data)
    return _of_array(data if isinstance(data, np.ndarray) else np.asarray(data))


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"x{number}" for number in range(count))


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2:
        hint = ""
        if len(shape) == 1:
            hint = ". Reshape your data: X.reshape(-1, 1) if it is one column, X.reshape(1, -1) if it is one row"
        raise DataError(f"the table has shape {shape}: expected 2 dimensions, rows and columns{hint}")
    rows, columns = shape
    if not rows or not columns:
        lacking = "sample" if not rows else "feature"
        raise DataError(
            f"Found array with 0 {lacking}(s) (shape={shape}) while a minimum of 1 is required: the table has no "
            f"{'rows' if not rows else 'columns'}"
        )


def _of_array(array: NDArray[Any]) -> Table:
    if array.dtype.names is not None and array.ndim == 1:
        return _of_mapping({name: array[name] for name in array.dtype.names})
    _check_shape(array.shape)
    names = _numbered(array.shape[1])
    if array.dtype.kind in "iuf" and not is_masked(array):
        return of_matrix(array, names, False)
    return of_series([_of_values(name, array[:, n]) for n, name in enumerate(names)], len(array), False)


def _of_rows(data: Any) -> Table:
    """A list of rows."""
    try:
        rows = [list(row) if not isinstance(row, str | bytes) else None for row in data]
    except TypeError:
        rows = [None]
    if not rows:
        _check_shape((0, 0))
    if rows[0] is None:
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            _check_shape((len(data),))
        raise DataError(
            f"the table is {shown(data)} ({type(data).__name__}): expected an array of rows and columns, a list of "
            "rows, a dictionary of columns or a data frame"
        )
    width = len(rows[0])
    for number, row in enumerate(rows):
        if row is None or len(row) != width:
            count = "no list" if row is None else f"{len(row)} values"
            raise DataError(f"row {number} of the table is {count}, row 0 has {width}: expected rows of one length")
    _check_shape((len(rows), width))
    names = _numbered(width)
    columns = zip(*rows, strict=True)
    return of_series(
        [from_objects(name, list(column)) for name, column in zip(names, columns, strict=True)], len(rows), False
    )


def _of_mapping(data: Mapping[Any, Any]) -> Table:
    """A dictionary of columns."""
    names = check_names(list(data))
    series = [_of_column(name, column) for name, column in zip(names, data.values(), strict=True)]
    rows = len(series[0]) if series else 0
    for each in series:
        if len(each) != rows:
            raise DataError(
                f"column {each.name!r} has {len(each):,} rows, {names[0]!r} has {rows:,}: expected one length"
            )
    _check_shape((rows, len(series)))
    return of_series(series, rows)


def check_names(names: Sequence[Any]) -> list[str]:
    """The names of columns; raises `DataError` for what is no text, too long, or there twice."""
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None:
        raise DataError(
            f"a column is called {shown(wrong)} ({type(wrong).__name__}): expected text as the name of each"
        )
    longest = max((name for name in names), key=len, default="")
    if len(longest) > LONGEST_NAME:
        raise DataError(
            f"a column's name has {len(longest):,} letters, {shown(longest)}: expected {LONGEST_NAME:,} at most"
        )
    if len(set(names)) != len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise DataError(f"two columns are called {twice!r}: give each a name of its own")
    return [str(name) for name in names]


def _of_column(name: str, column: Any) -> Series:
    if not isinstance(column, np.ndarray) and _is_of_a_frame_library(column):
        return _of_frame_series(name, _narwhals().from_native(column, series_only=True))
    is_a_list = isinstance(column, Sequence) and not isinstance(column, str | bytes)
    if not is_a_list and not hasattr(column, "__array__"):
        raise DataError(
            f"column {name!r} is {shown(column)} ({type(column).__name__}): expected a list or an array of its values"
        )
    return _of_values(name, column)


def _of_values(name: str, column: Any) -> Series:
    """The series of a list, or of an array (N,)."""
    if not hasattr(column, "dtype") and not hasattr(column, "__array__"):
        return from_objects(name, list(column))
    if is_masked(column):
        return from_objects(name, column.tolist())
    array = np.asarray(column)
    if array.ndim != 1:
        raise DataError(f"column {name!r} has shape {array.shape}: expected one value in each row, (N,)")
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


# -- data frames -----------------------------------------------------------------------------------------------------


def _is_of_a_frame_library(data: Any) -> bool:
    """Whether it offers itself to other libraries as a table, or as a column of one."""
    offers = (
        "__arrow_c_stream__",
        "__dataframe__",
        "__narwhals_dataframe__",
        "__narwhals_series__",
        "__narwhals_lazyframe__",
    )
    of_polars = (sys.modules[name] for name in ("polars",) if name in sys.modules)
    return any(hasattr(data, each) for each in offers) or any(isinstance(data, each.LazyFrame) for each in of_polars)


def _narwhals() -> Any:
    try:
        import narwhals.stable.v2 as narwhals
    except ImportError as error:
        raise DataError(
            f"a data frame needs narwhals, which cannot be imported ({error}): pip install 'narwhals>=2'"
        ) from error
    return narwhals


def _of_frame(data: Any) -> Table:
    kind = f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}"
    own_names = list(data.columns) if kind == "pandas.DataFrame" else None
    if own_names is not None and not any(isinstance(name, str) for name in own_names):
        data = data.set_axis(_numbered(len(own_names)), axis=1)  # as scikit-learn, which has no names then, either
        has_names = False
    else:
        has_names = True
        if own_names is not None:
            check_names(own_names)
    narwhals = _narwhals()
    try:
        frame = narwhals.from_native(data, eager_only=True)
    except TypeError as error:
        try:
            narwhals.from_native(data, series_only=True)
        except TypeError:
            hint = "collect it first: .collect()" if "Lazy" in kind else "convert it to a dictionary of columns"
            raise DataError(f"the table is a {kind}, which narwhals does not read: {hint}") from error
        _check_shape((len(data),))
        raise
    except Exception as error:  # each library has its own for two columns of one name
        raise DataError(f"the {kind} cannot be read: {str(error)[:200]}") from error
    names = check_names(list(frame.columns))
    _check_shape(frame.shape)
    return of_series([_of_frame_series(name, frame[name]) for name in names], len(frame), has_names)


def _of_frame_series(name: str, column: Any) -> Series:
    """The series of a narwhals series."""
    dtype, narwhals = column.dtype, _narwhals()
    if dtype.is_float() or dtype.is_integer():
        return Series(name, "number", _as_floats(name, column))
    if dtype == narwhals.Boolean:
        return Series(name, "boolean", _as_floats(name, column))
    if dtype == narwhals.String:
        return Series(name, "text", [value if type(value) is str else None for value in column.to_list()])
    if isinstance(dtype, narwhals.Categorical | narwhals.Enum):
        return _of_categories(from_objects(name, column.to_list()))
    if dtype in (narwhals.Date, narwhals.Datetime) or isinstance(dtype, narwhals.Datetime):
        dates = column.to_numpy() if getattr(dtype, "time_zone", None) is None else None
        if dates is not None and dates.dtype.kind == "M":
            return Series(name, "date", as_microseconds(name, dates))
    if isinstance(dtype, narwhals.List | narwhals.Array | narwhals.Struct | narwhals.Binary):
        raise DataError(
            f"column {name!r} is of type {dtype}: expected numbers, text, booleans or dates; take it apart first"
        )
    return from_objects(name, column.to_list())


def _as_floats(name: str, column: Any) -> NDArray[np.float64]:
    """Numbers or booleans of whatever width, NaN where there is none."""
    array = column.to_numpy()
    if array.dtype.kind in "biuf":
        return np.asarray(array, np.float64)
    return np.asarray(from_objects(name, column.to_list()).values, np.float64)


def _of_categories(series: Series) -> Series:
    return replace(as_texts(series), is_category=True)
