"""Numba backend: an epoch in one compiled call on the CPU, partitioned among workers."""

from dnnkit.backends.numba_backend.backend import NumbaBackend

__all__ = ["NumbaBackend"]
