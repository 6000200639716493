"""Artificial machines, for the cost model."""

import math
from typing import Any

from dnnkit.backends.numba_backend.machine import Machine

INFINITE = math.inf
FREE = dict.fromkeys(("flops", "bytes", "crossing"), INFINITE) | {"cores": 64, "call": 0.0, "exchange": 0.0}
NUMBERS = sorted(FREE)


def made_up(**numbers: Any) -> Machine:
    """A machine on which only the named operations take time."""
    return Machine(**(FREE | numbers))


def usual(**numbers: Any) -> Machine:
    """A typical machine, except for what is named."""
    normal: dict[str, Any] = {
        "flops": 1e11,
        "cores": 64,
        "bytes": 1e11,
        "call": 1e-7,
        "exchange": 1e-6,
        "crossing": 1e10,
    }
    return Machine(**(normal | numbers))
