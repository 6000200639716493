"""What columns of a table are: kinds, each of which knows its own columns in training and makes features of them.

A kind is a class here, with `found`, which looks at a column in training, and `write`, which makes its features of a
table's rows. A new kind is a class with `@kind`; nothing else lists them.
"""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from itertools import islice
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.saves.schema import COUNT, Wrong, list_of, one_of, record, text
from dnnkit.settings import FINITE, FLAG, Expected
from dnnkit.tables.scaling import SCALINGS, Scale
from dnnkit.tables.series import Series, as_booleans, as_dates, as_numbers, as_texts, codes_of

MOST_COLUMNS = 100_000
MOST_CATEGORIES = 1_000_000
NAME = text(most=10_000)
VALUE = text(most=10_000)
REAL = Expected("a finite number", lambda value: float(FINITE.take(value)))


def _scale(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError
    return REAL.take(value[0]), REAL.take(value[1])


SCALE = Expected("a center and a factor", _scale)


@dataclass(frozen=True)
class Options:
    """How columns are encoded; the names and values are those of `TabularEncoder`'s arguments."""

    numbers: str
    rare: int
    indicates_missing: bool
    embeds_above: int | None
    most_categories: int


@dataclass(frozen=True)
class Place:
    """Where a column writes its features, each an array of all rows.

    Attributes:
        numbers: float64, to be scaled.
        flags: zeros, to which it may write anything.
        code: the column of integer codes, if it has one.
    """

    numbers: NDArray[np.float64]
    flags: NDArray[Any]
    code: NDArray[Any] | None


@dataclass(frozen=True)
class Note:
    """What a table has that the training had not.

    Attributes:
        column: the name of the column.
        what: what its values are, in one word.
        count: how many.
        example: one of them, if it has a name.
        meaning: what is made of them, in words.
    """

    column: str
    what: str
    count: int
    example: str = ""
    meaning: str = ""

    def __str__(self) -> str:
        values = "value" if self.count == 1 else "values"
        example = f", such as {self.example!r}" if self.example else ""
        meaning = f": {self.meaning}" if self.meaning else ""
        return f"column {self.column!r}: {self.count:,} {self.what} {values}{example}{meaning}"


@dataclass(frozen=True)
class Column(ABC):
    """A column as it was in training.

    Attributes:
        name: its name.
        missing: how many rows had no value.
    """

    name: str
    missing: int

    kind: ClassVar[str]
    """What it is, in one word."""
    group: ClassVar[str]
    """What several are, for the summary of a table."""
    schema: ClassVar[Mapping[str, Expected]]
    """What fields other than the name and `missing` are in JSON."""
    agrees: ClassVar[Any] = staticmethod(lambda column: None)
    """A function of them that raises `Wrong` where they disagree."""

    @classmethod
    @abstractmethod
    def found(cls, series: Series, options: Options) -> Self | None:
        """The column of a series in training, whose form says what it looks like; None if it is of another kind."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of features that are scaled."""
        return ()

    @property
    def scales(self) -> tuple[Scale, ...]:
        """How."""
        return ()

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of features that are 0, 1 or -1."""
        return ()

    @property
    def codes(self) -> int | None:
        """How many integer codes there are, if its feature is one of these."""
        return None

    @abstractmethod
    def write(self, series: Series, place: Place) -> list[Note]:
        """Make the features of a series; raises `DataError` where it is of another kind."""

    @abstractmethod
    def summary(self) -> str:
        """What values it has, in a few words."""

    def to_dict(self) -> dict[str, Any]:
        """The column as JSON values."""
        return {"kind": self.kind, **{name: _as_lists(value) for name, value in asdict(self).items()}}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Column":
        """The column of JSON values that were checked against `COLUMN`."""
        kind = KINDS[value["kind"]]
        given: dict[str, Any] = {each.name: _as_tuples(value[each.name]) for each in fields(kind)}
        return kind(**given)


def _as_lists(value: Any) -> Any:
    return list(map(_as_lists, value)) if isinstance(value, tuple) else value


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


KINDS: dict[str, type[Column]] = {}
"""By name, in the order in which they are asked whether a column is theirs."""

Kind = TypeVar("Kind", bound=type[Column])


def kind(which: Kind) -> Kind:
    """Add a kind of column."""
    KINDS[which.kind] = which
    return which


def _take_column(value: Any) -> Any:
    if not isinstance(value, dict) or value.get("kind") not in KINDS:
        raise ValueError
    which = KINDS[value["kind"]]
    return record({"kind": text(), "name": NAME, "missing": COUNT, **which.schema}, agrees=which.agrees).take(value)


COLUMN = Expected("a column of a kind that this version has", _take_column)
"""What a column is in JSON."""


# -- kinds -----------------------------------------------------------------------------------------------------------


@kind
@dataclass(frozen=True)
class Empty(Column):
    """A column without any value in training: its feature is 0, whatever comes."""

    kind: ClassVar = "empty"
    group: ClassVar = "without values"
    schema: ClassVar = {}

    @classmethod
    def found(cls, series: Series, options: Options) -> Self | None:  # noqa: D102
        missing = series.is_missing()
        return cls(series.name, len(series)) if missing.all() else None

    @property
    def flags(self) -> tuple[str, ...]:  # noqa: D102
        return (self.name,)

    def write(self, series: Series, place: Place) -> list[Note]:  # noqa: D102
        count = len(series) - int(series.is_missing().sum())
        return [Note(self.name, "ignored", count, meaning="training had none")] if count else []

    def summary(self) -> str:  # noqa: D102
        return "no values: it tells nothing"


@dataclass(frozen=True)
class Scaled(Column):
    """What becomes numbers that are scaled, 0 where one is missing.

    Attributes:
        has_flag: whether there is a flag for missing values.
    """

    has_flag: bool

    @property
    def flags(self) -> tuple[str, ...]:  # noqa: D102
        return (f"{self.name}={MISSING}",) if self.has_flag else ()

    def note_missing(self, missing: NDArray[np.bool_], place: Place) -> list[Note]:
        """Write the flag; what there is to say where there is none."""
        if self.has_flag:
            place.flags[:, 0] = missing
        count = 0 if self.missing else int(missing.sum())
        if not count:
            return []
        return [Note(self.name, "missing", count, meaning="taken for the median, as none was missing in training")]


@kind
@dataclass(frozen=True)
class Number(Scaled):
    """Numbers.

    Attributes:
        scale: center and factor.
        low: the smallest.
        high: the largest.
    """

    scale: tuple[float, float]
    low: float
    high: float

    kind: ClassVar = "number"
    group: ClassVar = "numbers"
    schema: ClassVar = {"scale": SCALE, "low": REAL, "high": REAL, "has_flag": FLAG}

    @classmethod
    def found(cls, series: Series, options: Options) -> Self | None:  # noqa: D102
        if series.form != "number" or series.is_category:
            return None
        missing = np.isnan(series.values)
        count = int(missing.sum())
        values = series.values[~missing] if count else series.values
        check_finite(series)
        scale = SCALINGS[options.numbers].fit(values)
        has_flag = options.indicates_missing and count > 0
        return cls(series.name, count, has_flag, scale, float(values.min()), float(values.max()))

    @property
    def numbers(self) -> tuple[str, ...]:  # noqa: D102
        return (self.name,)

    @property
    def scales(self) -> tuple[Scale, ...]:  # noqa: D102
        return (self.scale,)

    def write(self, series: Series, place: Place) -> list[Note]:  # noqa: D102
        values = as_numbers(series)
        check_finite(values)
        place.numbers[:, 0] = values.values
        return self.note_missing(np.isnan(values.values), place)

    def summary(self) -> str:  # noqa: D102
        if self.low == self.high:
            return f"always {figure(self.low)}: it tells nothing"
        return f"{figure(self.low)} to {figure(self.high)}"


def figure(value: float) -> str:
    """A number in six digits, a whole one in all of its."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}" if abs(value) < 10_000 else f"{value:,.0f}"  # a year is no thousands
    return f"{value:,.6g}"


def check_finite(series: Series) -> None:
    """Raise `DataError` where a number is infinite."""
    wrong = np.isinf(series.values)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"column {series.name!r} has an infinity in {series.place(row)}: expected finite numbers, or NaN where one "
            "is missing"
        )


DAY = np.timedelta64(1, "D")
PARTS = ("", "_year_sin", "_year_cos", "_week_sin", "_week_cos", "_day_sin", "_day_cos")
"""Of a date: days since 1970, and where it is in its year, its week and its day, as points of a circle."""


def _parts(dates: NDArray[Any]) -> NDArray[np.float64]:
    """The numbers of dates, one column for each of `PARTS`; NaN where there is none."""
    missing = np.isnat(dates)
    dates = np.where(missing, np.datetime64(0, "us"), dates)
    days = dates.astype("datetime64[D]")
    years = days.astype("datetime64[Y]")
    turns = [
        (days - years.astype("datetime64[D]")) / DAY / 366,
        (days.astype(np.int64) + 3) % 7 / 7,  # 1970 began on a Thursday: 0 is Monday
        (dates - days) / DAY,
    ]
    found = np.empty((len(dates), len(PARTS)))
    found[:, 0] = dates.astype(np.int64) / 86_400_000_000
    for number, turn in enumerate(turns):
        angle = 2 * np.pi * turn
        found[:, 1 + 2 * number], found[:, 2 + 2 * number] = np.sin(angle), np.cos(angle)
    found[missing] = np.nan
    return found


def _check_parts(column: dict[str, Any]) -> None:
    """Raise `Wrong` where a part is there twice, or has no scale."""
    parts = column["parts"]
    if len(set(parts)) != len(parts) or len(column["scales_of_parts"]) != len(parts):
        raise Wrong(".parts", parts, "each part once, with a scale")


@kind
@dataclass(frozen=True)
class Date(Scaled):
    """Dates and moments, as numbers of their parts: those parts that differ in training.

    Attributes:
        parts: which of `PARTS`.
        scales_of_parts: center and factor of each.
        low: the first, as ISO 8601 writes it.
        high: the last.
    """

    parts: tuple[int, ...]
    scales_of_parts: tuple[tuple[float, float], ...]
    low: str
    high: str

    kind: ClassVar = "date"
    group: ClassVar = "dates"
    schema: ClassVar = {
        "parts": list_of(one_of(*range(len(PARTS))), len(PARTS)),
        "scales_of_parts": list_of(SCALE, len(PARTS)),
        "low": text(most=100),
        "high": text(most=100),
        "has_flag": FLAG,
    }
    agrees: ClassVar = staticmethod(_check_parts)

    @classmethod
    def found(cls, series: Series, options: Options) -> Self | None:  # noqa: D102
        if series.form != "date" or series.is_category:
            return None
        missing = np.isnat(series.values)
        dates = series.values[~missing]
        numbers = _parts(dates)
        differ = [n for n in range(len(PARTS)) if n == 0 or np.ptp(numbers[:, n]) > 1e-9]
        scales = tuple(SCALINGS[options.numbers].fit(numbers[:, n]) for n in differ)
        low, high = (str(each).removesuffix("T00:00:00.000000") for each in (dates.min(), dates.max()))
        has_flag = options.indicates_missing and bool(missing.any())
        return cls(series.name, int(missing.sum()), has_flag, tuple(differ), scales, low, high)

    @property
    def numbers(self) -> tuple[str, ...]:  # noqa: D102
        return tuple(f"{self.name}{PARTS[part]}" for part in self.parts)

    @property
    def scales(self) -> tuple[Scale, ...]:  # noqa: D102
        return self.scales_of_parts

    def write(self, series: Series, place: Place) -> list[Note]:  # noqa: D102
        dates = as_dates(series).values
        place.numbers[:] = _parts(dates)[:, list(self.parts)]
        return self.note_missing(np.isnat(dates), place)

    def summary(self) -> str:  # noqa: D102
        return f"{self.low} to {self.high}"


OTHERS, MISSING = "(rare)", "(missing)"
"""What features of these are called in the place of a value."""


def _check_values(column: dict[str, Any]) -> None:
    """Raise `Wrong` where a value is there twice, or none is."""
    values = [*column["values"], *column["rare"]]
    if not values or len(set(values)) != len(values):
        raise Wrong(".values", column["values"], "each value once, and at least one")


@kind
@dataclass(frozen=True)
class Category(Column):
    """Categories: a feature for each, 1 where it is; one for two of them, -1 and 1; or an integer code.

    Attributes:
        values: those that have a feature or a code of their own, in order.
        rare: all others of the training, which share one, with those that training did not have.
        most: the most frequent value.
        most_rows: how many rows have it.
        has_code: whether the feature is a code: 0 where the value is missing, then values in order, at last rare ones.
        of_numbers: whether values are numbers.
    """

    values: tuple[str, ...]
    rare: tuple[str, ...]
    most: str
    most_rows: int
    has_code: bool
    of_numbers: bool

    kind: ClassVar = "category"
    group: ClassVar = "categories"
    schema: ClassVar = {
        "values": list_of(VALUE, MOST_CATEGORIES),
        "rare": list_of(VALUE, MOST_CATEGORIES),
        "most": VALUE,
        "most_rows": COUNT,
        "has_code": FLAG,
        "of_numbers": FLAG,
    }
    agrees: ClassVar = staticmethod(_check_values)

    @classmethod
    def found(cls, series: Series, options: Options) -> Self | None:  # noqa: D102
        if series.form not in ("text", "cells") and not series.is_category:
            return None
        of_numbers = series.form == "number"
        texts = as_texts(series).values
        counts = Counter(texts)
        missing = counts.pop(None, 0)
        if series.form == "text" and not series.is_category:
            refuse_text(series.name, counts)
        return cls.of_counts(series.name, missing, counts, of_numbers, options)

    @classmethod
    def of_counts(cls, name: str, missing: int, counts: Counter[str], of_numbers: bool, options: Options) -> Self:
        """The column in which values are so frequent."""
        in_order = sorted(counts, key=float if of_numbers else str)
        values = [value for value in in_order if counts[value] >= options.rare]
        if len(values) == len(in_order) - 1:  # a single rare one has nobody to share a feature with
            values = in_order
        has_code = options.embeds_above is not None and len(values) > options.embeds_above
        if not has_code and len(values) > options.most_categories:
            frequent = set(sorted(values, key=counts.__getitem__, reverse=True)[: options.most_categories])
            values = [value for value in values if value in frequent]
        own = set(values)
        rare = [value for value in in_order if value not in own]
        most = max(in_order, key=counts.__getitem__)
        return cls(name, missing, tuple(values), tuple(rare), most, counts[most], has_code, of_numbers)

    @property
    def shares(self) -> tuple[str, ...]:
        """What has a feature or a code of its own: the values, and rare ones together."""
        return (*self.values, OTHERS) if self.rare else self.values

    @property
    def flags(self) -> tuple[str, ...]:  # noqa: D102
        if self.has_code:
            return ()
        if len(self.shares) == 2:
            return (f"{self.name}={self.shares[1]}",)
        return tuple(f"{self.name}={value}" for value in self.shares)

    @property
    def codes(self) -> int | None:  # noqa: D102
        return 1 + len(self.shares) if self.has_code else None

    def texts(self, series: Series) -> list[str | None]:
        """The values of a series as text."""
        if self.of_numbers and series.form == "cells":
            with suppress(DataError):  # else it is text now, and that a category that training had not
                series = as_numbers(series)
        found: list[str | None] = as_texts(series).values
        return found

    def write(self, series: Series, place: Place) -> list[Note]:  # noqa: D102
        texts = self.texts(series)
        number = {value: code for code, value in enumerate(self.values)}
        others = len(self.values)
        codes = codes_of(texts, number, others)
        unknown = np.flatnonzero(codes == others)
        notes = []
        if len(unknown):
            asked = [texts[row] for row in unknown]
            missing = np.fromiter((value is None for value in asked), bool, len(asked))
            if not self.rare:
                codes[unknown] = -1
            codes[unknown[missing]] = -1
            rare = set(self.rare)
            unseen = [value for value in asked if value is not None and value not in rare]
            if unseen:
                notes.append(Note(self.name, "unseen", len(unseen), unseen[0][:40]))
        self._write(codes, place)
        return notes

    def _write(self, codes: NDArray[np.int64], place: Place) -> None:
        """Features of codes, -1 where there is none."""
        if place.code is not None:
            place.code[:] = codes + 1
        elif len(self.shares) == 2:
            place.flags[:, 0] = np.array([-1, 1, 0])[codes]
        elif len(self.shares) > 1 or self.missing:
            rows = np.flatnonzero(codes >= 0)
            place.flags[rows, codes[rows]] = 1

    def summary(self) -> str:  # noqa: D102
        count = len(self.values) + len(self.rare)
        if count == 1 and not self.missing:
            return f"always {self.most[:40]}: it tells nothing"
        rare = f", {len(self.rare):,} of them rare" if self.rare else ""
        return f"{count:,} values{rare}, most often {self.most[:40]} ({self.most_rows:,})"


@kind
@dataclass(frozen=True)
class Boolean(Category):
    """Booleans: -1 and 1; 0 where one is missing."""

    kind: ClassVar = "boolean"
    group: ClassVar = "booleans"

    @classmethod
    def found(cls, series: Series, options: Options) -> Self | None:  # noqa: D102
        if series.form != "boolean" or series.is_category:
            return None
        counts = Counter(as_texts(series).values)
        missing = counts.pop(None, 0)
        return cls.of_counts(series.name, missing, counts, False, replace(options, rare=1, embeds_above=None))

    def texts(self, series: Series) -> list[str | None]:  # noqa: D102
        found: list[str | None] = as_texts(as_booleans(series)).values
        return found


# -- what is no category ---------------------------------------------------------------------------------------------


class FreeText(Exception):
    """A column of text that no network can take as it is; says what it looks like. The encoder names all of them."""


def refuse_text(name: str, counts: Counter[str]) -> None:
    """Raise `FreeText` where values are hardly ever the same, or are sentences."""
    rows, distinct = counts.total(), len(counts)
    some = list(islice(counts, 1000))
    words = sum(len(value.split()) for value in some) / len(some)
    is_prose = words >= 4 and distinct > max(20, rows / 10)
    if (distinct > 20 and distinct > rows / 2) or is_prose or (distinct > 1 and words >= 8):
        looks = ""
        if sum(bool(LOOKS_DATED.fullmatch(value)) for value in some) > len(some) / 2:
            looks = ", dates perhaps, to be written as 2026-01-31"
        elif sum(bool(LOOKS_NUMERIC.fullmatch(value)) for value in some) > len(some) / 2:
            looks = ", numbers perhaps, to be written as 1234.5"
        raise FreeText(f"{name!r} ({distinct:,} different texts in {rows:,} rows{looks})")


LOOKS_DATED = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}.*", re.DOTALL)
LOOKS_NUMERIC = re.compile(r"[^\w\s]?\s*[+-]?\d[\d., ]*\s*\S{0,3}")
