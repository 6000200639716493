"""Columns from Python objects, as in lists, dictionaries and columns of objects in data frames."""

from datetime import UTC, date, datetime, time, timedelta
from numbers import Rational, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import DataError
from dnnkit.settings import shown
from dnnkit.tables.series import WORDS, Form, Series


def from_objects(name: str, values: list[Any]) -> Series:
    """Return the series of a list of objects; raise `DataError` for mixed or unknown types."""
    kinds = {kind: _form_of(kind) for kind in set(map(type, values))}
    forms = {form for form in kinds.values() if form != "missing"}
    unknown = next((kind for kind, form in kinds.items() if form == "unknown"), None)
    if unknown is not None:
        row = next(row for row, value in enumerate(values) if type(value) is unknown)
        raise DataError(
            f"column {name!r} has {shown(values[row])} ({unknown.__name__}) in row {row}: expected numbers, text, "
            "booleans or dates"
        )
    if "text" in forms and "number" in forms and all(_is_nan(v) for v in values if kinds[type(v)] == "number"):
        forms.discard("number")  # some libraries use NaN for missing text
    if forms == {"number", "boolean"}:
        forms = {"number"}
    if len(forms) > 1:
        first, second = (_example(values, kinds, form) for form in sorted(forms)[:2])
        raise DataError(f"column {name!r} has both {first} and {second}: convert them to one type")
    form = forms.pop() if forms else "number"
    return Series(name, *_CONVERSIONS[form](name, values, kinds))


def _example(values: list[Any], kinds: dict[type, str], form: str) -> str:
    """Return the word for a form, with its first value."""
    row = next(row for row, value in enumerate(values) if kinds[type(value)] == form and not _is_nan(value))
    return f"{WORDS.get(form, f'{form}s')} ({shown(values[row])} in row {row})"


def _form_of(kind: type) -> str:
    """Return the form of values of a class."""
    if kind is type(None) or kind.__name__ in ("NAType", "NaTType"):
        return "missing"
    for form, classes in (
        ("boolean", (bool, np.bool_)),
        ("duration", (timedelta, np.timedelta64)),
        ("number", (Real, Rational, np.number)),
        ("text", (str,)),
        ("date", (date, datetime, np.datetime64)),
        ("time of day", (time,)),
    ):
        if issubclass(kind, classes) and not issubclass(kind, (complex, np.complexfloating)):
            return form
    return "number" if kind.__name__ == "Decimal" else "unknown"


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and value != value


def _numbers(name: str, values: list[Any], kinds: dict[type, str]) -> tuple[Form, Any]:
    if "missing" in kinds.values():
        values = [np.nan if kinds[type(value)] == "missing" else value for value in values]
    return "number", _floats(name, values)


def _floats(name: str, values: list[Any]) -> NDArray[np.float64]:
    try:
        return np.fromiter(map(float, values), np.float64, len(values))
    except OverflowError:
        row = next(row for row, value in enumerate(values) if _overflows(value))
        raise DataError(f"column {name!r} has a number too large for float64 in row {row}: rescale it") from None


def _overflows(value: Any) -> bool:
    try:
        float(value)
    except OverflowError:
        return True
    return False


def _booleans(name: str, values: list[Any], kinds: dict[type, str]) -> tuple[Form, Any]:
    return "boolean", _numbers(name, values, kinds)[1]


def _texts(name: str, values: list[Any], kinds: dict[type, str]) -> tuple[Form, Any]:
    return "text", values if set(kinds) == {str} else [str(v) if isinstance(v, str) else None for v in values]


def _dates(name: str, values: list[Any], kinds: dict[type, str]) -> tuple[Form, Any]:
    found = [None if kinds[type(value)] == "missing" else without_zone(value) for value in values]
    return "date", as_microseconds(name, np.array(found, "datetime64[us]"))


def _durations(name: str, values: list[Any], kinds: dict[type, str]) -> tuple[Form, Any]:
    found = np.array([None if kinds[type(value)] == "missing" else np.timedelta64(value) for value in values], "m8[us]")
    return "number", seconds(found)


def _times(name: str, values: list[Any], kinds: dict[type, str]) -> tuple[Form, Any]:
    return "number", np.array(
        [
            np.nan if kinds[type(v)] == "missing" else 3600.0 * v.hour + 60 * v.minute + v.second + v.microsecond / 1e6
            for v in values
        ]
    )


_CONVERSIONS: dict[str, Any] = {
    "number": _numbers,
    "boolean": _booleans,
    "text": _texts,
    "date": _dates,
    "duration": _durations,
    "time of day": _times,
}


def without_zone(value: Any) -> Any:
    """Convert a datetime with a zone to UTC without one; return other values unchanged."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def as_microseconds(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Convert dates of any unit; raise for dates out of range, which NumPy before 2.5 wraps silently."""
    try:
        found = values.astype("datetime64[us]")
        years = found.astype("datetime64[Y]") - values.astype("datetime64[Y]")
        is_wrong = bool(np.any(years.astype(int)[~np.isnat(years)]))
    except OverflowError:
        is_wrong = True
    if is_wrong:
        raise DataError(f"column {name!r} has dates too far away for microseconds: leave them out")
    return found


def seconds(durations: NDArray[Any]) -> NDArray[np.float64]:
    """Convert durations to seconds, with NaN for missing values."""
    found: NDArray[np.float64] = durations / np.timedelta64(1, "s")
    return found
