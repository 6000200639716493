"""Layout of the feature matrix: scaled numbers first, then flags, then codes."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.tables.columns import Column, Note, Place
from dnnkit.tables.scaling import Scaling, write_scaled
from dnnkit.tables.table import Table


@dataclass(frozen=True, eq=False)
class Features:
    """The features of a table's columns.

    Attributes:
        columns: the columns, in the order of the table.
        numbers: number of scaled numbers.
        flags: number of flags.
        sizes: number of codes of each column of codes.
        scales: (numbers, 2), center and factor of each.
        is_plain: whether all columns are numbers without flags.
    """

    columns: tuple[Column, ...]
    numbers: int
    flags: int
    sizes: tuple[int, ...]
    scales: NDArray[np.float64]
    is_plain: bool

    @classmethod
    def of(cls, columns: Sequence[Column]) -> "Features":
        """Return the features of these columns."""
        flags = sum(len(column.flags) for column in columns)
        sizes = tuple(column.codes for column in columns if column.codes is not None)
        scales = np.array([scale for column in columns for scale in column.scales], np.float64).reshape(-1, 2)
        is_plain = not flags and all(column.kind == "number" for column in columns)
        return cls(tuple(columns), len(scales), flags, sizes, scales, is_plain)

    @property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Positions of scaled numbers, flags and codes in the matrix."""
        ends = np.cumsum([0, self.numbers, self.flags, len(self.sizes)]).tolist()
        return {
            name: tuple(range(ends[number], ends[number + 1]))
            for number, name in enumerate(("numbers", "one_hot", "embedded"))
        }

    def write(self, table: Table, scaling: Scaling, dtype: str) -> tuple[NDArray[Any], list[Note]]:
        """Return the matrix of a table with these columns, and notes on values that training did not have."""
        out = np.zeros((table.rows, self.numbers + self.flags + len(self.sizes)), dtype)
        notes: list[Note] = []
        if self.is_plain and table.matrix is not None and np.isfinite(table.matrix).all():
            values: NDArray[Any] = table.matrix  # without missing values
        else:
            values = np.empty((table.rows, self.numbers), np.float64, order="F")
            first, flag, code = 0, self.numbers, self.numbers + self.flags
            for column, series in zip(self.columns, table.series, strict=True):
                until, after = first + len(column.numbers), flag + len(column.flags)
                own_code = None if column.codes is None else out[:, code]
                notes += column.write(series, Place(values[:, first:until], out[:, flag:after], own_code))
                first, flag, code = until, after, code + (column.codes is not None)
        scaled = out[:, : self.numbers]
        write_scaled(values, self.scales, scaling, scaled)
        if not scaling.is_clipped and not np.isfinite(scaled).all():
            names = [name for column in self.columns for name in column.numbers]
            wrong = names[int(np.argmin(np.isfinite(scaled).all(axis=0)))]
            raise DataError(f"column {wrong!r} has numbers too large for {dtype}: rescale it, or use numbers='robust'")
        return out, notes


def names_of(columns: Sequence[Column]) -> list[str]:
    """Return unique names of the features."""
    found = [name for column in columns for name in column.numbers]
    found += [name for column in columns for name in column.flags]
    found += [column.name for column in columns if column.codes is not None]
    times = Counter(found)
    if len(times) == len(found):
        return found
    return [
        f"{name}#{number}" if times[name] > 1 else name for number, name in enumerate(found)
    ]  # a column "a=b" next to category "b" of column "a"
