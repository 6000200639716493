"""Compressed rows: the products of a dense layer whose inputs are stored by their nonzero numbers (CSR).

Maths:    product: y = x[rows] · w;  transposed product: dw = x[rows]ᵀ · y. A sum has only the terms of stored numbers,
          in the order of the columns, or of the rows.
Shapes:   x (N, F) as starts (N + 1,) and columns (K,), int64, and values (K,): row i has the numbers `values[e]` in the
          columns `columns[e]`, ascending and without repetition, for e = starts[i] ... starts[i + 1] - 1; rows (B,)
          integers; w (F, O), y (B, O) or, transposed, dw (F, O), in the dtype of the values.
Units:    none.
Traffic:  product: per stored number a row of w, O numbers, and 16 bytes; the transposed product: the same with y, and
          dw is written once as a whole. A dense product reads B F numbers and multiplies as many times O.
Errors:   rows must be in [0, N) and columns in [0, F); the caller checks.
Accuracy: as a dense product with these terms; where that sums in tiles (`kernels/matmul`), the same bits.
Source:   -
"""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass


@dataclass(frozen=True, eq=False)
class CompressedRows:
    """A table (N, features) stored by its nonzero numbers; see the package's docstring for the fields."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[Any]
    features: int

    ndim = 2

    @classmethod
    def of(cls, matrix: Any) -> "CompressedRows":
        """Return the rows of a sparse matrix of any format that has `tocsr()`, such as SciPy's; or the rows given."""
        if isinstance(matrix, cls):
            return matrix
        csr = matrix.tocsr()
        if not csr.has_canonical_format:
            csr = csr.copy()
            csr.sum_duplicates()  # and sorts by columns
        starts = csr.indptr.astype(np.int64)
        stored = slice(starts[-1])  # its arrays may be longer
        return cls(starts, csr.indices[stored].astype(np.int64), csr.data[stored], int(csr.shape[1]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """(N, features)."""
        return len(self), self.features

    @property
    def nnz(self) -> int:
        """Number of stored numbers."""
        return len(self.values)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the numbers."""
        return self.values.dtype

    def astype(self, dtype: Any) -> "CompressedRows":
        """Return the rows with numbers of another dtype."""
        values = np.ascontiguousarray(self.values, dtype)
        return CompressedRows(self.starts, self.columns, values, self.features)

    def __mul__(self, factor: float) -> "CompressedRows":
        """Return the rows times a number, in their dtype."""
        values = self.values * self.dtype.type(factor)
        return CompressedRows(self.starts, self.columns, values, self.features)

    def __getitem__(self, rows: "slice | NDArray[Any] | Sequence[Any] | tuple[Any, EllipsisType]") -> "CompressedRows":
        """Return the rows that a slice or an array of row numbers selects; of adjacent rows, numbers are not copied."""
        if isinstance(rows, tuple):  # array-API style: x[rows, ...]
            rows, _ = rows
        if isinstance(rows, slice) and rows.step in (None, 1):
            first, last, _ = rows.indices(len(self))
            starts = self.starts[first : max(first, last) + 1]
            stored = slice(starts[0], starts[-1])
            return CompressedRows(starts - starts[0], self.columns[stored], self.values[stored], self.features)
        if isinstance(rows, np.ndarray) and rows.dtype.kind in "iu":
            chosen = np.where(rows < 0, rows + len(self), rows)
        else:
            chosen = np.arange(len(self))[rows]
        found, starts = entries(self.starts, chosen)
        return CompressedRows(starts, self.columns[found], self.values[found], self.features)

    def row_of(self, entry: int) -> int:
        """Return the row of a stored number."""
        return int(np.searchsorted(self.starts, entry, "right")) - 1

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the dense table."""
        dense = np.zeros(self.shape, self.dtype if dtype is None else dtype)
        dense[np.repeat(np.arange(len(self)), np.diff(self.starts)), self.columns] = self.values
        return dense


def is_sparse(given: Any) -> bool:
    """Return whether it is a sparse matrix or array, such as SciPy's."""
    return hasattr(type(given), "tocsr")


def entries(starts: NDArray[np.int64], rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of the stored numbers of some rows, one row after another, and where each row starts."""
    counts = starts[rows + 1] - starts[rows]
    ends = np.concatenate([[0], np.cumsum(counts)])
    return np.arange(ends[-1]) + np.repeat(starts[rows] - ends[:-1], counts), ends
