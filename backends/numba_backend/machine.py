"""Machine model of the cost model: static facts of the processor, and typical rates of its kind.

Nothing is measured: the partition determines the last bits of a result, and a measurement depends on the load. See
docs/design/0025-same-bits.md.
"""

import os
from functools import cache
from pathlib import Path

from dnnkit.deferred import dataclass

FLOPS = {16: 4.5e10, 32: 9e10, 64: 1.5e11}
"""FLOPS of one processor in a float32 matrix product, by vector width in bytes. 32: a third-generation AMD EPYC, idle.
64: between processors that compute half of such a vector at a time (1.05e11) and a whole one (2.25e11). 16: half of
32; none was available to measure.
"""

NOT_FUSED = 0.5
"""Fraction of them that remains without fused multiply-add."""

TOGETHER = 0.9
"""Fraction of them per processor when all compute: they share power and memory (7.9e10 of 8.9e10 on the same EPYC)."""

BYTES, CALL = 7e10, 1e-7
"""Bytes per second read and written in a second-level cache, and seconds per call of a product: 6e10 to 8e10 and 0.8e-7
to 1.5e-7 on that EPYC.
"""

NEAR, FAR = (1.5e-7, 7e10), (4e-7, 2e10)
"""Seconds per signal between two processors, and bytes per second that one reads from another's caches, or writes there
after it has read them. Near: all share a third-level cache, as on that EPYC and its successor, which copies 7e10 bytes
per second (docs/design/0066-no-shared-parameters.md). Far: they do not; none was available to measure, and published
figures are about three times slower. 0025 shows how little an error here costs.
"""

SYSTEM = Path("/sys/devices/system/cpu/cpu0")
SHARE_A_CORE, SHARE_A_CACHE = "topology/thread_siblings_list", "cache/index3/shared_cpu_list"


@dataclass(frozen=True)
class Machine:
    """Rates of a machine.

    Attributes:
        flops: FLOPS of one processor in a float32 matrix product.
        cores: physical cores; workers on one core share its multipliers.
        bytes: bytes per second that a processor reads and writes in its caches.
        call: seconds per call of a product.
        exchange: seconds per exchange between two processors.
        crossing: bytes per second that a processor reads from another's caches.
    """

    flops: float
    cores: int
    bytes: float
    call: float
    exchange: float
    crossing: float

    def flops_of_each(self, workers: int) -> float:
        """Return the FLOPS of each of `workers` workers."""
        return self.flops if workers == 1 else TOGETHER * self.flops * min(1.0, self.cores / workers)


@cache
def machine() -> Machine:
    """Return this machine, the same in every process, independent of load and of the processors it may use."""
    from dnnkit.kernels._target.processor import FUSED, REGISTER_BYTES

    flops, count = FLOPS[REGISTER_BYTES] * (1 if FUSED else NOT_FUSED), os.cpu_count() or 1
    exchange, crossing = NEAR if count <= sharing(SHARE_A_CACHE) else FAR
    return Machine(flops, max(1, count // sharing(SHARE_A_CORE)), BYTES, CALL, exchange, crossing)


def sharing(what: str) -> int:
    """Return how many processors share a core or a cache with the first, including it; 1 if the system does not say."""
    try:
        text = (SYSTEM / what).read_text().strip()
        ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    except (OSError, ValueError):  # missing, or in an unknown format
        return 1
    return sum(part[-1] - part[0] + 1 for part in ends)
