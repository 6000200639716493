"""Columns of tables in one of a few forms, and conversions between these.

Columns of all libraries are converted to the same series, so that the rest of the code does not depend on the
library.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import repeat
from numbers import Rational, Real
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.settings import shown

Form: TypeAlias = Literal["number", "boolean", "date", "text", "cells"]

WORDS = {"number": "numbers", "boolean": "booleans", "date": "dates", "text": "text", "cells": "text"}
"""Words for the values of each form."""

DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?")
"""Dates in ISO 8601, with or without a time and a zone."""

TRUTHS = {"true": True, "false": False}


class Taken(Sequence[int]):
    """Selected elements of a sequence of line numbers, looked up on demand."""

    def __init__(self, places: Sequence[int], rows: Any) -> None:
        self._places, self._rows = places, rows

    def __getitem__(self, row: int) -> int:  # type: ignore[override]
        return self._places[int(self._rows[row])]

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True)
class Series:
    """A column of a table.

    Attributes:
        name: its name in errors.
        form: "number", "boolean": float64 with NaN for missing values; "date": datetime64 in microseconds; "text": a
            list of strings and None; "cells": the same, from a text file, whose types are not known.
        values: the values, as the form says.
        is_category: whether the table declares the values to be categories.
        decimal: decimal mark of numbers in cells.
        places: the line of each row in its file, for errors.
    """

    name: str
    form: Form
    values: Any
    is_category: bool = False
    decimal: str = "."
    places: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Any) -> "Series":
        """Return the rows with the given indices."""
        places = None if self.places is None else Taken(self.places, rows)
        if isinstance(self.values, np.ndarray):
            return replace(self, values=self.values[rows], places=places)
        return replace(self, values=[self.values[row] for row in rows], places=places)

    def place(self, row: int) -> str:
        """Describe the position of a row: its index from 0, or the line of its file."""
        return f"row {row}" if self.places is None else f"line {self.places[row]}"

    def is_missing(self) -> NDArray[np.bool_]:
        """Return a mask of the missing values."""
        if isinstance(self.values, np.ndarray):
            return np.isnat(self.values) if self.form == "date" else np.isnan(self.values)
        return np.fromiter((value is None for value in self.values), bool, len(self.values))


# -- from Python objects ---------------------------------------------------------------------------------------------


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


# -- from the cells of a text file -----------------------------------------------------------------------------------


def typed(series: Series) -> Series:
    """Convert cells to the type that fits all of them, and text that consists of dates; others are unchanged."""
    if series.form not in ("cells", "text") or series.is_category:
        return series
    values = [value for value in series.values if value is not None]
    if not values:
        return replace(series, form="number", values=np.full(len(series), np.nan))
    if series.form == "cells":
        if not any(map(_is_a_code, values)):
            with suppress(ValueError):
                return replace(series, form="number", values=_parsed(series))
        if all(value.lower() in TRUTHS for value in values):
            return as_booleans(series)
    if all(map(DATE.fullmatch, values)):
        with suppress(DataError):  # an impossible date such as 31 February: text
            return as_dates(series)
    return replace(series, form="text")


def _is_a_code(cell: str) -> bool:
    """Return whether leading zeros show that digits are a code, such as a post code."""
    return cell[0] == "0" and len(cell) > 1 and cell.isdecimal()


def _parsed(series: Series) -> NDArray[np.float64]:
    """Parse cells as numbers; raise ValueError if one is not a number."""
    values = series.values
    if series.decimal != ".":
        if any(value is not None and "." in value for value in values):
            raise ValueError
        values = [value and value.replace(series.decimal, ".") for value in values]
    if any(value is not None and "_" in value for value in values):  # Python's float accepts underscores
        raise ValueError
    return np.fromiter((np.nan if value is None else float(value) for value in values), np.float64, len(values))


def is_number(cell: str, decimal: str = ".") -> bool:
    """Return whether a cell is a number."""
    with suppress(ValueError):
        _parsed(Series("", "cells", [cell], decimal=decimal))
        return True
    return False


# -- conversions to the form that the column had in training ---------------------------------------------------------


def as_numbers(series: Series) -> Series:
    """Return the series as numbers; raise `DataError` if it has other values."""
    if series.form in ("number", "boolean"):
        return replace(series, form="number")
    if series.form == "cells":
        try:
            return replace(series, form="number", values=_parsed(series))
        except ValueError:
            raise _changed(series, "numbers", lambda cell: is_number(cell, series.decimal)) from None
    return _empty(series, "number", "numbers")


def as_booleans(series: Series) -> Series:
    """Return the series as booleans; raise `DataError` if it has other values."""
    if series.form == "boolean":
        return series
    if series.form == "number":
        wrong = ~np.isnan(series.values) & (series.values != 0) & (series.values != 1)
        if wrong.any():
            raise _changed(series, "booleans", (0, 1).__contains__)
        return replace(series, form="boolean")
    if series.form == "date":
        return _empty(series, "boolean", "booleans")
    truths: dict[Any, float] = {None: np.nan, "0": 0.0, "1": 1.0}
    for word, truth in TRUTHS.items():
        truths |= dict.fromkeys((word, word.upper(), word.title()), float(truth))
    try:
        return replace(
            series, form="boolean", values=np.fromiter(map(truths.__getitem__, series.values), np.float64, len(series))
        )
    except KeyError:
        raise _changed(series, "booleans", truths.__contains__) from None


def as_dates(series: Series) -> Series:
    """Return the series as dates; raise `DataError` if it has other values."""
    if series.form == "date":
        return series
    if series.form in ("number", "boolean"):
        return _empty(series, "date", "dates")
    try:
        if not all(value is None or DATE.fullmatch(value) for value in series.values):
            raise ValueError
        values = series.values
        if any(value is not None and _has_zone(value) for value in values):
            values = [value and without_zone(datetime.fromisoformat(value)) for value in values]
        return replace(series, form="date", values=np.array(values, "datetime64[us]"))
    except ValueError:
        raise _changed(series, "dates", _is_date) from None


def _has_zone(moment: str) -> bool:
    return len(moment) > 16 and (moment[-1] == "Z" or moment[-6] in "+-")


def _is_date(text: str) -> bool:
    with suppress(ValueError):
        return bool(DATE.fullmatch(text) and datetime.fromisoformat(text))
    return False


def _empty(series: Series, form: Form, expected: str) -> Series:
    """Return an all-missing series of a form if the series has no values; else raise the error."""
    if not series.is_missing().all():
        raise _changed(series, expected, lambda value: False)
    nothing = np.full(len(series), "NaT", "datetime64[us]") if form == "date" else np.full(len(series), np.nan)
    return replace(series, form=form, values=nothing)


def as_texts(series: Series) -> Series:
    """Return the series as text; integers have no fraction."""
    if series.form in ("text", "cells"):
        return replace(series, form="text")
    if series.form == "date":
        words = np.datetime_as_string(series.values).tolist()
        found = [None if word == "NaT" else word.removesuffix("T00:00:00.000000") for word in words]
        return replace(series, form="text", values=found)
    words = ("False", "True") if series.form == "boolean" else None
    return replace(series, form="text", values=[_word(value, words) for value in series.values.tolist()])


def _word(value: float, words: tuple[str, str] | None) -> str | None:
    if value != value:
        return None
    if words is not None:
        return words[int(value)]
    return str(int(value)) if value.is_integer() else repr(value)


def codes_of(texts: Sequence[str | None], codes: dict[str, int], other: int) -> NDArray[np.int64]:
    """Return the code of each text, `other` for those without one."""
    return np.fromiter(map(codes.get, texts, repeat(other)), np.int64, len(texts))  # type: ignore[arg-type]


def _changed(series: Series, expected: str, is_right: Callable[[Any], bool]) -> DataError:
    """Return the error for a column that had another form in training, with the first wrong value."""
    missing = series.is_missing()
    row = next(row for row, value in enumerate(series.values) if not missing[row] and not is_right(value))
    value = series.values[row]
    if isinstance(value, np.generic):
        value = str(value) if series.form == "date" else value.item()
    is_now = "" if WORDS[series.form] == expected else f" and has {WORDS[series.form]} now"
    return DataError(
        f"column {series.name!r} had {expected} in training{is_now}: {shown(value)} in {series.place(row)}; use "
        f"{expected}, or nothing for missing values"
    )
