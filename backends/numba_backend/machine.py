"""What the cost model assumes of this machine: static facts of the processor, and typical rates of its kind.

Nothing is measured. What decides how work is partitioned decides the last bits of a result; a measurement depends on
what else runs while it is made. See docs/design/0025-same-bits.md.
"""

import os
from functools import cache
from pathlib import Path

from dnnkit.deferred import dataclass

FLOPS = {16: 4.5e10, 32: 9e10, 64: 1.5e11}
"""FLOPs a second of one processor in a matrix product of float32, by the bytes of its vectors. 32: an AMD EPYC of the
third generation, quiet. 64: between processors that compute with half of such a vector at a time (1.05e11) and with a
whole one (2.25e11). 16: none was at hand; half of 32."""

NOT_FUSED = 0.5
"""How much of them is left to a processor that multiplies and adds by two instructions."""

TOGETHER = 0.9
"""How much of them each has when all compute: they share power and memory (7.9e10 of 8.9e10 on the same EPYC)."""

BYTES, CALL = 7e10, 1e-7
"""Bytes a second read and written in a second-level cache, seconds for calling a product: 6e10 to 8e10 and 0.8e-7 to
1.5e-7 on that EPYC."""

NEAR, FAR = (1.5e-7, 4e10), (4e-7, 1e10)
"""Seconds for a signal between two processors, bytes per second that one reads from another's caches. Near where all
share a third-level cache, as on that EPYC; far where they do not: none was at hand, and some three times as slow is
what is said of them. How little it costs to be wrong stands in 0025."""

SYSTEM = Path("/sys/devices/system/cpu/cpu0")
SHARE_A_CORE, SHARE_A_CACHE = "topology/thread_siblings_list", "cache/index3/shared_cpu_list"


@dataclass(frozen=True)
class Machine:
    """`flops` a second of one processor in a matrix product; `cores`, on which workers do not share multipliers;
    `bytes` a second that it reads and writes in its caches, and that it reads from another's (`crossing`); seconds for
    `call`ing a product at all, and for one `exchange` between two processors."""

    flops: float
    cores: int
    bytes: float
    call: float
    exchange: float
    crossing: float

    def flops_of_each(self, workers: int) -> float:
        """FLOPs a second of each of so many workers."""
        return self.flops if workers == 1 else TOGETHER * self.flops * min(1.0, self.cores / workers)


@cache
def machine() -> Machine:
    """This machine: the same in every process on it, whatever else runs and however many processors it may use."""
    from dnnkit.kernels._target.processor import FUSED, REGISTER_BYTES

    flops, count = FLOPS[REGISTER_BYTES] * (1 if FUSED else NOT_FUSED), os.cpu_count() or 1
    exchange, crossing = NEAR if count <= sharing(SHARE_A_CACHE) else FAR
    return Machine(flops, max(1, count // sharing(SHARE_A_CORE)), BYTES, CALL, exchange, crossing)


def sharing(what: str) -> int:
    """How many processors share a core or a cache with the first one, itself included; 1 where no system says so."""
    try:
        text = (SYSTEM / what).read_text().strip()
        ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    except (OSError, ValueError):  # no such file, or in another language
        return 1
    return sum(part[-1] - part[0] + 1 for part in ends)
