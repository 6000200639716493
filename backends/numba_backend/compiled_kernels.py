"""The compiled kernels that the backend's operations call, by their names. Importing this imports Numba."""

from dnnkit.kernels._numba import entry_points
from dnnkit.kernels.dense import cpu as dense
from dnnkit.kernels.dropout import cpu as dropout
from dnnkit.kernels.gather import cpu as gather

__all__ = ["dense", "dropout", "entry_points", "gather"]
