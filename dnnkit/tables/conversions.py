"""Conversions of columns: to the type of all their cells, and to the form that they had in training."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import DataError
from dnnkit.settings import shown
from dnnkit.tables.python_objects import without_zone
from dnnkit.tables.series import WORDS, Form, Series

DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?")
"""Dates in ISO 8601, with or without a time and a zone."""

TRUTHS = {"true": True, "false": False}


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


# -- to the form that the column had in training ---------------------------------------------------------------------


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
