"""Columns that become scaled numbers: numbers and dates; and columns without values."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.saves.schema import Wrong, list_of, one_of, text
from dnnkit.settings import FLAG, Expected
from dnnkit.tables.columns import MISSING, REAL, Column, Note, Options, Place, figure, kind
from dnnkit.tables.conversions import as_dates, as_numbers
from dnnkit.tables.scaling import SCALINGS, Scale
from dnnkit.tables.series import Series


def _scale(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError
    return REAL.take(value[0]), REAL.take(value[1])


SCALE = Expected("a center and a factor", _scale)


@kind
@dataclass(frozen=True)
class Empty(Column):
    """A column without any value in training: its feature is always 0."""

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
        return "no values: no information"


@dataclass(frozen=True)
class Scaled(Column):
    """A column with scaled features, which are 0 for missing values.

    Attributes:
        has_flag: whether missing values have a flag.
    """

    has_flag: bool

    @property
    def flags(self) -> tuple[str, ...]:  # noqa: D102
        return (f"{self.name}={MISSING}",) if self.has_flag else ()

    def note_missing(self, missing: NDArray[np.bool_], place: Place) -> list[Note]:
        """Write the flag for missing values, or return a note if there is none."""
        if self.has_flag:
            place.flags[:, 0] = missing
        count = 0 if self.missing else int(missing.sum())
        if not count:
            return []
        return [Note(self.name, "missing", count, meaning="replaced by the median, as none was missing in training")]


@kind
@dataclass(frozen=True)
class Number(Scaled):
    """A column of numbers.

    Attributes:
        scale: center and factor.
        low: smallest value in training.
        high: largest value in training.
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
        if count == len(series):
            return None
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
            return f"always {figure(self.low)}: no information"
        return f"{figure(self.low)} to {figure(self.high)}"


def check_finite(series: Series) -> None:
    """Raise `DataError` if a number is infinite."""
    wrong = np.isinf(series.values)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"column {series.name!r} has an infinite value in {series.place(row)}: expected finite numbers, or NaN for "
            "missing values"
        )


DAY = np.timedelta64(1, "D")
PARTS = ("", "_year_sin", "_year_cos", "_week_sin", "_week_cos", "_day_sin", "_day_cos")
"""Features of a date: days since 1970, and its position in the year, week and day as points on a circle."""


def _parts(dates: NDArray[Any]) -> NDArray[np.float64]:
    """Return the features of dates, one column for each of `PARTS`; NaN for missing dates."""
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
    """Raise `Wrong` if a part occurs twice or has no scale."""
    parts = column["parts"]
    if len(set(parts)) != len(parts) or len(column["scales_of_parts"]) != len(parts):
        raise Wrong(".parts", parts, "each part once, with a scale")


@kind
@dataclass(frozen=True)
class Date(Scaled):
    """Dates and times, as those numeric parts that vary in training.

    Attributes:
        parts: indices into `PARTS`.
        scales_of_parts: center and factor of each.
        low: the earliest date, in ISO 8601.
        high: the latest date.
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
        if missing.all():
            return None
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
