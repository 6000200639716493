"""A line while CUDA kernels compile, once they have taken a second: nobody waits in silence for a first step."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from dnnkit.deferred import dataclass

PATIENCE = 1.0
"""Seconds that are too short to be told of."""

GAP = 5.0
"""Seconds between two compilations of one series."""

log = logging.getLogger("dnnkit")


@dataclass
class _Series:
    """Compilations with no more than a moment between them, which are one to who waits."""

    ended: float = -GAP
    seconds: float = 0.0
    is_told: bool = False


_series = _Series()


@contextmanager
def told() -> Iterator[None]:
    """Within, a kernel is compiled, or read from where CuPy keeps it."""
    global _series
    began = monotonic()
    if began - _series.ended > GAP:
        _series = _Series()
    if _series.seconds >= PATIENCE and not _series.is_told:
        _series.is_told = True
        kept = os.environ.get("CUPY_CACHE_DIR") or "~/.cupy/kernel_cache"
        words = "dnnkit: compiling CUDA kernels, which takes some seconds, once for this machine; CuPy keeps them in %s"
        log.warning(words, kept)
    try:
        yield
    finally:
        _series.ended = monotonic()
        _series.seconds += _series.ended - began
