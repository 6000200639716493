"""What columns of a table are: kinds, each of which knows its own columns in training and makes features of them.

A kind is a class with `found`, which looks at a column in training, and `write`, which makes its features of a table's
rows. A new kind is a class with `@kind` in a file that `finding` imports.
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
"""What features of these are called in the place of a value."""


@dataclass(frozen=True)
class Options:
    """How columns are encoded, by the arguments of `TabularEncoder`."""

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
        """The column of a series in training, whose form says what it looks like; None if it is of another kind.

        A column is of one kind, whatever the order in which they are asked; one without any value is of "empty".
        """

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
"""By name."""

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


def figure(value: float) -> str:
    """A number in six digits, a whole one in all of its."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}" if abs(value) < 10_000 else f"{value:,.0f}"  # a year is no thousands
    return f"{value:,.6g}"
