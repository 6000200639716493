"""Encoding of targets for networks and back: classes as indices, labels as zeros and ones, standardized numbers."""

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
    """Encoding of targets."""

    kind: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, y: Any) -> Self:
        """Return the encoding for the targets of a training; raise `DataError` for unusable ones."""

    @abstractmethod
    def encode(self, y: Any) -> NDArray[Any]:
        """Encode targets for a network; raise `DataError` for targets that training did not have."""

    @abstractmethod
    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        """Convert a network's outputs to the form of the given targets."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""


@dataclass(frozen=True, eq=False)
class ClassTarget(Target):
    """One class per row.

    Attributes:
        classes: the sorted unique classes, in their original dtype.
    """

    classes: NDArray[Any]

    kind: ClassVar = "classes"

    @classmethod
    def fit(cls, y: Any) -> Self:
        """Return the encoding of classes y, (N,), of any sortable type."""
        values = _column(y)
        try:
            return cls(np.unique(values))
        except TypeError:
            kinds = ", ".join(sorted({type(value).__name__ for value in values.tolist()}))
            raise DataError(f"y has classes of several types, {kinds}: convert them to one") from None

    def encode(self, y: Any) -> NDArray[np.int64]:
        """Return the index of each row's class, (N,)."""
        values = _column(y)
        try:
            numbers = np.minimum(np.searchsorted(self.classes, values), len(self.classes) - 1)
            wrong = self.classes[numbers] != values
        except TypeError:
            numbers, wrong = np.zeros(len(values), np.int64), np.ones(len(values), bool)
        if np.any(wrong):
            row = int(np.argmax(wrong))
            raise DataError(
                f"y has {shown(values.tolist()[row])} in row {row}, not one of the {len(self.classes)} classes "
                f"of the training: {shown(self.classes.tolist())}"
            )
        return numbers.astype(np.int64)

    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the classes with these indices."""
        return self.classes[values]  # type: ignore[no-any-return]

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        values = self.classes.tolist()
        if not all(type(value) in (str, int, float, bool) for value in values):
            raise CheckpointError(
                f"classes of dtype {self.classes.dtype} cannot be saved: convert them to text, numbers or booleans"
            )
        return {"kind": self.kind, "dtype": str(self.classes.dtype), "values": values}


@dataclass(frozen=True)
class LabelTarget(Target):
    """Several labels per row.

    Attributes:
        labels: number of labels.
    """

    labels: int

    kind: ClassVar = "labels"

    @classmethod
    def fit(cls, y: Any) -> Self:
        """Return the encoding of a matrix of zeros and ones, (N, labels)."""
        return cls(int(_zeros_and_ones(y).shape[1]))

    def encode(self, y: Any) -> NDArray[np.float64]:
        """Return zeros and ones, (N, labels)."""
        return _zeros_and_ones(y, self.labels).astype(np.float64)

    def decode(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return zeros and ones, (N, labels)."""
        return np.asarray(values).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"kind": self.kind, "labels": self.labels}


@dataclass(frozen=True)
class NumberTarget(Target):
    """Numbers, encoded as (y - center) / spread.

    Attributes:
        centers: mean of each output.
        spreads: standard deviation of each output; 0 for a constant one, which is encoded as 0.
        is_column: whether y was (N,).
    """

    centers: tuple[float, ...]
    spreads: tuple[float, ...]
    is_column: bool

    kind: ClassVar = "numbers"

    @classmethod
    def fit(cls, y: Any) -> Self:
        """Return the encoding of y, (N,) or (N, outputs)."""
        values = _numbers(y)
        scales = [standard(column) for column in (values[:, None] if values.ndim == 1 else values).T]
        return cls(tuple(center for center, _ in scales), tuple(spread for _, spread in scales), values.ndim == 1)

    def encode(self, y: Any) -> NDArray[np.float64]:
        """Return standardized numbers, (N, outputs)."""
        values = _numbers(y)
        values = values[:, None] if values.ndim == 1 else values
        if values.shape[1] != len(self.centers):
            raise DataError(f"y has {values.shape[1]} outputs: expected {len(self.centers)}, as in training")
        found: NDArray[np.float64] = (values - self.centers) / self._factors
        return found

    def decode(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return numbers in the original scale, (N,) or (N, outputs), in the dtype of `values`."""
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


# -- checks of y -----------------------------------------------------------------------------------------------------


def _array(y: Any) -> NDArray[Any]:
    array = np.asarray(y)
    if array.ndim not in (1, 2) or not len(array):
        raise DataError(f"y has shape {array.shape}: expected (N,) or (N, outputs), with at least one row")
    return array


def _column(y: Any) -> NDArray[Any]:
    """Return classes (N,); a column (N, 1) is flattened."""
    array = _array(y)
    if array.ndim == 2:
        if array.shape[1] != 1:
            raise DataError(f"y has shape {array.shape}: expected one class per row, (N,)")
        array = array[:, 0]
    if array.dtype.kind in "fO":
        _refuse_missing(np.fromiter((value is None or _is_not_itself(value) for value in array), bool, len(array)))
    return array


def _is_not_itself(value: Any) -> bool:
    """Return whether a value is NaN, or pandas' equivalent."""
    try:
        return bool(value != value)
    except TypeError:
        return True


def _refuse_missing(missing: Any) -> None:
    if missing.any():
        rows = f"{int(missing.sum()):,} of {len(missing):,} rows" if len(missing) > 1 else "its row"
        raise DataError(f"y has no value in {rows}, first in row {int(missing.argmax())}: remove these rows")


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
    """Raise `Wrong` unless each output has a center and a non-negative spread."""
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
    """Return the target that `to_dict` described; raise `CheckpointError` if it is not one."""
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
