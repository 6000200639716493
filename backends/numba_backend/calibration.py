"""The name by which `executable.py` still asks for the machine."""

from dnnkit.backends.numba_backend.machine import machine

__all__ = ["machine"]
