"""Shared machinery of the Numba versions. Numba's private interfaces are used only here and in `matmul`."""
