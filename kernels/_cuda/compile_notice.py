"""Progress message while CUDA kernels compile, after the first second: a first step should not hang in silence."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from dnnkit.deferred import dataclass

PATIENCE = 1.0
"""Seconds of compilation before the message."""

GAP = 5.0
"""Seconds between two compilations that still belong to one series."""

log = logging.getLogger("dnnkit")


@dataclass
class _Series:
    """Compilations in quick succession, which appear as one to the user."""

    ended: float = -GAP
    seconds: float = 0.0
    is_logged: bool = False


_series = _Series()


@contextmanager
def compiling() -> Iterator[None]:
    """Track the time of compiling a kernel, or of loading it from CuPy's cache, within this context."""
    global _series
    began = monotonic()
    if began - _series.ended > GAP:
        _series = _Series()
    if _series.seconds >= PATIENCE and not _series.is_logged:
        _series.is_logged = True
        kept = os.environ.get("CUPY_CACHE_DIR") or "~/.cupy/kernel_cache"
        words = "dnnkit: compiling CUDA kernels, which takes seconds, once for this machine; CuPy stores them in %s"
        log.warning(words, kept)
    try:
        yield
    finally:
        _series.ended = monotonic()
        _series.seconds += _series.ended - began
