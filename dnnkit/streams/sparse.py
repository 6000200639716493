"""Rows of a sparse matrix, converted to dense rows chunk by chunk."""

from typing import Any

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.errors import DataError
from dnnkit.streams.rows import Rows


def require_numbers(matrix: Any, name: str) -> None:
    """Raise `DataError` unless a sparse matrix is a table of real numbers."""
    if matrix.ndim != 2 or 0 in matrix.shape or matrix.dtype.kind not in "biuf":
        raise DataError(
            f"{name} is a sparse matrix of shape {matrix.shape} and dtype {matrix.dtype}: expected real numbers, one "
            "row per sample"
        )


class SparseRows(Rows):
    """Rows of a sparse matrix of any format, kept as CSR.

    Arguments:
        matrix: (N, F); converted with its `tocsr()`.
        name: name in errors.
    """

    def __init__(self, matrix: Any, name: str) -> None:
        self._matrix, self.name = matrix.tocsr(), name
        self.dtype = np.dtype(self._matrix.dtype)
        require_numbers(self._matrix, name)
        self.count, self.shape = int(self._matrix.shape[0]), (int(self._matrix.shape[1]),)

    def read(self, first: int, out: HostArray) -> None:  # noqa: D102
        rows = self._matrix[first : first + len(out)]
        if out.dtype == self.dtype and out.flags.c_contiguous:
            rows.toarray(out=out)
        else:
            out[...] = rows.toarray()

    def identity(self) -> str:  # noqa: D102
        matrix = self._matrix
        step = max(1, matrix.nnz // 64)
        some = (matrix.data[::step], matrix.indices[::step])
        return f"{super().identity()} {matrix.nnz} {' '.join(each.tobytes().hex()[:2048] for each in some)}"
