"""Data frames of any library, through narwhals, which is imported on first use."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import DataError
from dnnkit.extras import command
from dnnkit.tables.conversions import as_texts
from dnnkit.tables.python_objects import as_microseconds, from_objects
from dnnkit.tables.series import Series
from dnnkit.tables.table import Table, check_names, check_shape, numbered, of_series


def is_of_a_frame_library(data: Any) -> bool:
    """Return whether an object implements a protocol for exchanging tables or columns."""
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
            f"a data frame needs narwhals, which cannot be imported ({error}): {command('sklearn')}"
        ) from error
    return narwhals


def of_frame(data: Any) -> Table:
    """Return the table of a data frame; raise `DataError` if it cannot be read."""
    kind = f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}"
    own_names = list(data.columns) if kind == "pandas.DataFrame" else None
    if own_names is not None and not any(isinstance(name, str) for name in own_names):
        data = data.set_axis(numbered(len(own_names)), axis=1)  # as in scikit-learn, which ignores such names
        has_names = False
    else:
        has_names = True
        if own_names is not None:
            check_names(own_names)
    frame = _as_narwhals(data, kind)
    names = check_names(list(frame.columns))
    check_shape(frame.shape)
    return of_series([_series_of(name, frame[name]) for name in names], len(frame), has_names)


def _as_narwhals(data: Any, kind: str) -> Any:
    """Return the narwhals frame of a data frame, or of any object with an Arrow stream."""
    narwhals = _narwhals()
    try:
        return narwhals.from_native(data, eager_only=True)
    except TypeError:
        pass
    except Exception as error:  # each library raises its own class for duplicate names
        raise DataError(f"the {kind} cannot be read: {str(error)[:200]}") from error
    if _is_column(data):
        check_shape((len(data),))
    reader = next((name for name in ("pyarrow", "polars") if find_spec(name) is not None), None)
    if reader is not None and hasattr(data, "__arrow_c_stream__"):
        try:
            return narwhals.from_arrow(data, backend=reader)
        except Exception as error:  # each library raises its own classes
            raise DataError(f"the {kind} cannot be read: {str(error)[:200]}") from error
    hint = "collect it first: .collect()" if "Lazy" in kind else "convert it to a dictionary of columns"
    raise DataError(f"the table is a {kind}, which narwhals cannot read: {hint}")


def _is_column(data: Any) -> bool:
    try:
        _narwhals().from_native(data, series_only=True)
    except TypeError:
        return False
    return True


def series_of_column(name: str, column: Any) -> Series:
    """Return the series of a column of any library."""
    try:
        series = _narwhals().from_native(column, series_only=True)
    except TypeError:
        kind = f"{type(column).__module__.partition('.')[0]}.{type(column).__name__}"
        raise DataError(f"column {name!r} is a {kind}: expected a list or an array of its values") from None
    return _series_of(name, series)


def _series_of(name: str, column: Any) -> Series:
    """Return the series of a narwhals series."""
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
            f"column {name!r} is of type {dtype}: expected numbers, text, booleans or dates; split it into such columns"
        )
    return from_objects(name, column.to_list())


def _as_floats(name: str, column: Any) -> NDArray[np.float64]:
    """Convert numbers or booleans to float64, with NaN for missing values."""
    array = column.to_numpy()
    if array.dtype.kind in "biuf":
        return np.asarray(array, np.float64)
    return np.asarray(from_objects(name, column.to_list()).values, np.float64)


def _of_categories(series: Series) -> Series:
    return replace(as_texts(series), is_category=True)
