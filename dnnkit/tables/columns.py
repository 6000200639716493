"""Kinds of columns: each detects its columns in training and computes their features.

A kind is a class with `found`, which inspects a column in training, and `write`, which computes the features of a
table's rows. To add one, decorate a class with `@kind` in a file that `finding` imports.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.saves.schema import COUNT, record, text
from dnnkit.settings import FINITE, Expected
from dnnkit.tables.scaling import Scale
from dnnkit.tables.series import Series

MOST_COLUMNS = 100_000
NAME = text(most=10_000)
REAL = Expected("a finite number", lambda value: float(FINITE.take(value)))


OTHERS, MISSING = "(rare)", "(missing)"
"""Names of the features for rare and missing values."""


@dataclass(frozen=True)
class Options:
    """Encoding options, from the arguments of `TabularEncoder`."""

    numbers: str
    rare: int
    indicates_missing: bool
    embeds_above: int | None
    most_categories: int


@dataclass(frozen=True)
class Place:
    """Destination of a column's features, arrays over all rows.

    Attributes:
        numbers: float64 values, scaled afterwards.
        flags: initialized to zeros; may be overwritten.
        code: the column of integer codes, if it has one.
    """

    numbers: NDArray[np.float64]
    flags: NDArray[Any]
    code: NDArray[Any] | None


@dataclass(frozen=True)
class Note:
    """A remark on values that training did not have.

    Attributes:
        column: name of the column.
        what: kind of values, in one word.
        count: number of values.
        example: one of them, if it can be named.
        meaning: how they are treated.
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
        missing: number of rows without a value.
    """

    name: str
    missing: int

    kind: ClassVar[str]
    """Name of the kind, in the singular."""
    group: ClassVar[str]
    """Name of several such columns, for summaries."""
    schema: ClassVar[Mapping[str, Expected]]
    """Checks of the fields other than name and `missing` in JSON."""
    agrees: ClassVar[Any] = staticmethod(lambda column: None)
    """A function of the fields in JSON that raises `Wrong` if they are inconsistent."""

    @classmethod
    @abstractmethod
    def found(cls, series: Series, options: Options) -> Self | None:
        """Return the column if the series, in training, is of this kind; else None.

        A series is of exactly one kind, independent of the order of checks; one without any value is "empty".
        """

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the scaled features."""
        return ()

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Center and factor of each scaled feature."""
        return ()

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of the features with values 0, 1 or -1."""
        return ()

    @property
    def codes(self) -> int | None:
        """Number of integer codes, if the feature is a code; else None."""
        return None

    @abstractmethod
    def write(self, series: Series, place: Place) -> list[Note]:
        """Write the features of a series; raise `DataError` if it is of another kind."""

    @abstractmethod
    def summary(self) -> str:
        """Describe the values in a few words."""

    def to_dict(self) -> dict[str, Any]:
        """Return the column as JSON values."""
        return {"kind": self.kind, **{name: _as_lists(value) for name, value in asdict(self).items()}}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Column":
        """Return the column of JSON values that were checked against `COLUMN`."""
        kind = KINDS[value["kind"]]
        given: dict[str, Any] = {each.name: _as_tuples(value[each.name]) for each in fields(kind)}
        return kind(**given)


def _as_lists(value: Any) -> Any:
    return list(map(_as_lists, value)) if isinstance(value, tuple) else value


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


KINDS: dict[str, type[Column]] = {}
"""Kinds by name."""

Kind = TypeVar("Kind", bound=type[Column])


def kind(which: Kind) -> Kind:
    """Register a kind of column; a class decorator."""
    KINDS[which.kind] = which
    return which


def _take_column(value: Any) -> Any:
    if not isinstance(value, dict) or value.get("kind") not in KINDS:
        raise ValueError
    which = KINDS[value["kind"]]
    return record({"kind": text(), "name": NAME, "missing": COUNT, **which.schema}, agrees=which.agrees).take(value)


COLUMN = Expected("a column of a kind that this version has", _take_column)
"""Check of a column in JSON."""


def figure(value: float) -> str:
    """Format a number with six significant digits; integers with all digits."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}" if abs(value) < 10_000 else f"{value:,.0f}"  # no separator in years
    return f"{value:,.6g}"
