"""Machines that are made up, for the model of the cost."""

import math

from dnnkit.backends.numba_backend.calibration import Machine

INFINITE = math.inf
FREE = dict.fromkeys(("flops", "flops_each", "bytes", "crossing"), INFINITE) | {"call": 0.0, "exchange": 0.0}
NUMBERS = sorted(FREE)


def made_up(**numbers: float) -> Machine:
    """A machine for which nothing takes time but what is named."""
    return Machine(**(FREE | numbers))


def usual(**numbers: float) -> Machine:
    """A machine as there are many, but for what is named."""
    normal = {"flops": 1e11, "flops_each": 1e11, "bytes": 1e11, "call": 1e-7, "exchange": 1e-6, "crossing": 1e10}
    return Machine(**(normal | numbers))
