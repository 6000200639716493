"""Numba on the CPU: an epoch in one compiled call, its work partitioned among workers."""

from dnnkit.backends.numba_backend.backend import NumbaBackend

__all__ = ["NumbaBackend"]
