"""Gather, row by row, converted and rescaled in the same pass. Contract: the package's docstring."""

from dnnkit.kernels._numba.jit import jit


@jit
def gather(data, rows, scale, offset, out):
    """Write the given rows of data (N, F) to out (B, F), in out's dtype."""
    kind = out.dtype.type
    factor, shift = kind(scale), kind(offset)
    for i in range(rows.size):
        row = rows[i]
        for j in range(data.shape[1]):
            out[i, j] = kind(data[row, j]) * factor + shift
