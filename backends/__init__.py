"""Backends: the contract that a network is lowered to, and its implementations.

Read `program.py` (what is computed), `operations.py` (every operation once), `stagewise/executable.py` (the training
loop), `numpy_backend.py` (the simplest backend) and `registry.py` (how a backend is chosen).
"""

if __name__ != "dnnkit.backends":  # a second copy would have its own registry
    raise ImportError(f"import this package as dnnkit.backends, not as {__name__!r}")

from dnnkit.backends.base import Backend
from dnnkit.backends.registry import (
    BackendInfo,
    Choice,
    available,
    choice,
    get_backend,
    set_backend,
    use_backend,
)

__all__ = [
    "Backend",
    "BackendInfo",
    "Choice",
    "available",
    "choice",
    "get_backend",
    "set_backend",
    "use_backend",
]
