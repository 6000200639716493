"""Targets as networks learn them, and back: classes by number, labels as zeros and ones, numbers standardised."""

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import CheckpointError, DataError
from dnnkit.saves.schema import ANYTHING, Wrong, list_of, one_of, record, taken, text
from dnnkit.settings import FINITE, FLAG, Expected, shown, whole
from dnnkit.tables.scaling import standard

MOST_CLASSES = 1_000_000
MOST_OUTPUTS = 1_000_000


class Target(ABC):
    """What rows are to be predicted as."""

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, y: Any) -> Self:
        """What the targets of a training are; raises `DataError` for what they cannot be."""

    @abstractmethod
    def encode(self, y: Any) -> NDArray[Any]:
        """Targets as a network learns them; raises `DataError` for others than in training."""

    @abstractmethod
    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        """What a network learned as targets were given."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""


@dataclass(frozen=True, eq=False)
class ClassTarget(Target):
    """One class per row.

    Attributes:
        classes: each once, sorted, of the dtype that they were given in.
    """

    classes: NDArray[Any]

    kind: ClassVar = "classes"

    @classmethod
    def fit(cls, y: Any) -> Self:
        """The classes of y, (N,), of anything that can be sorted."""
        values = _column(y)
        try:
            return cls(np.unique(values))
        except TypeError:
            kinds = ", ".join(sorted({type(value).__name__ for value in values.tolist()}))
            raise DataError(f"y has classes of several kinds, {kinds}: make them one") from None

    def encode(self, y: Any) -> NDArray[np.int64]:
        """The number of each row's class, (N,)."""
        values = _column(y)
        try:
            numbers = np.minimum(np.searchsorted(self.classes, values), len(self.classes) - 1)
            wrong = self.classes[numbers] != values
        except TypeError:
            numbers, wrong = np.zeros(len(values), np.int64), np.ones(len(values), bool)
        if np.any(wrong):
            row = int(np.argmax(wrong))
            raise DataError(
                f"y has {shown(values.tolist()[row])} in row {row}, which is none of the {len(self.classes)} classes "
                f"of the training: {shown(self.classes.tolist())}"
            )
        return numbers.astype(np.int64)

    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        """The classes of these numbers."""
        return self.classes[values]  # type: ignore[no-any-return]

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        values = self.classes.tolist()
        if not all(type(value) in (str, int, float, bool) for value in values):
            raise CheckpointError(
                f"classes of dtype {self.classes.dtype} are not saved: expected text, numbers or booleans; convert them"
            )
        return {"kind": self.kind, "dtype": str(self.classes.dtype), "values": values}


@dataclass(frozen=True)
class LabelTarget(Target):
    """Any of several labels per row.

    Attributes:
        labels: how many there are.
    """

    labels: int

    kind: ClassVar = "labels"

    @classmethod
    def fit(cls, y: Any) -> Self:
        """The labels of a matrix of zeros and ones, (N, labels)."""
        return cls(int(_zeros_and_ones(y).shape[1]))

    def encode(self, y: Any) -> NDArray[np.float64]:
        """Zeros and ones, (N, labels)."""
        return _zeros_and_ones(y, self.labels).astype(np.float64)

    def decode(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Zeros and ones, (N, labels)."""
        return np.asarray(values).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"kind": self.kind, "labels": self.labels}


@dataclass(frozen=True)
class NumberTarget(Target):
    """Numbers, learned as (y - center) / spread.

    Attributes:
        centers: the mean of each output.
        spreads: its standard deviation; 0 of a constant one, which is learned as 0.
        is_column: whether y was (N,), with one output.
    """

    centers: tuple[float, ...]
    spreads: tuple[float, ...]
    is_column: bool

    kind: ClassVar = "numbers"

    @classmethod
    def fit(cls, y: Any) -> Self:
        """The outputs of y, (N,) or (N, outputs)."""
        values = _numbers(y)
        scales = [standard(column) for column in (values[:, None] if values.ndim == 1 else values).T]
        return cls(tuple(center for center, _ in scales), tuple(spread for _, spread in scales), values.ndim == 1)

    def encode(self, y: Any) -> NDArray[np.float64]:
        """Standardised numbers, (N, outputs)."""
        values = _numbers(y)
        values = values[:, None] if values.ndim == 1 else values
        if values.shape[1] != len(self.centers):
            raise DataError(f"y has {values.shape[1]} outputs: expected {len(self.centers)}, as in training")
        found: NDArray[np.float64] = (values - self.centers) / self._factors
        return found

    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        """Numbers as y had them, (N,) or (N, outputs), in the dtype of what the network gave."""
        found = (np.asarray(values, np.float64) * self.spreads + self.centers).astype(values.dtype)
        return found[:, 0] if self.is_column else found

    @property
    def _factors(self) -> NDArray[np.float64]:
        return np.array([spread or 1.0 for spread in self.spreads])

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {
            "kind": self.kind,
            "centers": list(self.centers),
            "spreads": list(self.spreads),
            "is_column": self.is_column,
        }


# -- what y may be ---------------------------------------------------------------------------------------------------


def _array(y: Any) -> NDArray[Any]:
    array = np.asarray(y)
    if array.ndim not in (1, 2) or not len(array):
        raise DataError(f"y has shape {array.shape}: expected (N,) or (N, outputs), of at least one row")
    return array


def _column(y: Any) -> NDArray[Any]:
    """Classes, (N,); a column (N, 1) is taken as such."""
    array = _array(y)
    if array.ndim == 2:
        if array.shape[1] != 1:
            raise DataError(f"y has shape {array.shape}: expected one class per row, (N,)")
        array = array[:, 0]
    if array.dtype.kind in "fO":
        _refuse_missing(np.fromiter((value is None or _is_not_itself(value) for value in array), bool, len(array)))
    return array


def _is_not_itself(value: Any) -> bool:
    """Whether it is NaN, or what pandas has for that."""
    try:
        return bool(value != value)
    except TypeError:
        return True


def _refuse_missing(missing: Any) -> None:
    if missing.any():
        rows = f"{int(missing.sum()):,} of {len(missing):,} rows" if len(missing) > 1 else "its row"
        raise DataError(f"y has no value in {rows}, first in row {int(missing.argmax())}: leave these rows out")


def _numbers(y: Any) -> NDArray[np.float64]:
    array = _array(y)
    try:
        values = array.astype(np.float64) if array.dtype.kind in "biufO" else None
    except (TypeError, ValueError, OverflowError):
        values = None
    if values is None:
        raise DataError(f"y has dtype {array.dtype}, such as {shown(array.reshape(-1)[0].item())}: expected numbers")
    _refuse_missing(np.isnan(values.reshape(len(values), -1)).any(axis=1))
    wrong = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if wrong.any():
        raise DataError(f"y is infinite in row {int(wrong.argmax())}: expected finite numbers")
    return values


def _zeros_and_ones(y: Any, labels: int | None = None) -> NDArray[np.float64]:
    values = _numbers(y)
    if values.ndim != 2 or labels not in (None, values.shape[1]) or not np.isin(values, (0, 1)).all():
        width = "labels" if labels is None else labels
        raise DataError(f"y has shape {values.shape}: expected a matrix of zeros and ones, (N, {width})")
    return values


# -- JSON ------------------------------------------------------------------------------------------------------------

REAL = Expected("a finite number", lambda value: float(FINITE.take(value)))


def _check_outputs(target: dict[str, Any]) -> None:
    """Raise `Wrong` where outputs have no center, or no spread of 0 or more."""
    centers, spreads = target["centers"], target["spreads"]
    if len(centers) != len(spreads) or not centers or (target["is_column"] and len(centers) > 1) or min(spreads) < 0:
        raise Wrong(".spreads", spreads, "a spread for each center, 0 or more")


KINDS: dict[str, tuple[Expected, Any]] = {
    "classes": (
        record(
            {
                "dtype": text(r"<U[0-9]{1,7}|object|bool|u?int(8|16|32|64)|float(16|32|64)"),
                "values": list_of(ANYTHING, MOST_CLASSES),
            }
        ),
        lambda found: ClassTarget(_classes(found["values"], found["dtype"])),
    ),
    "labels": (record({"labels": whole(1, MOST_OUTPUTS)}), lambda found: LabelTarget(found["labels"])),
    "numbers": (
        record(
            {"centers": list_of(REAL, MOST_OUTPUTS), "spreads": list_of(REAL, MOST_OUTPUTS), "is_column": FLAG},
            agrees=_check_outputs,
        ),
        lambda found: NumberTarget(tuple(found["centers"]), tuple(found["spreads"]), found["is_column"]),
    ),
}


def target_of(value: Any) -> Target:
    """The target of `to_dict`; raises `CheckpointError` where it is none."""
    what = "a target"
    kind = taken(value, record({"kind": one_of(*KINDS)}), what)["kind"]
    schema, make = KINDS[kind]
    found: Target = make(taken(value, schema, what))
    return found


def _classes(values: list[Any], dtype: str) -> NDArray[Any]:
    try:
        if not all(type(value) in (str, int, float, bool) for value in values):
            raise ValueError
        classes = np.array(values, object if dtype == "object" else "U" if dtype.startswith("<U") else dtype)
        if not len(classes) or classes.tolist() != values or any(a >= b for a, b in pairwise(values)):
            raise ValueError
        return classes
    except (ValueError, TypeError, OverflowError):
        raise CheckpointError(
            f"a target has the classes {shown(values)}: expected each once, sorted, of dtype {dtype}"
        ) from None
