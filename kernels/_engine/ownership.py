"""Opcodes that keep shared memory cheap to write: its readers also write, which moves cache lines to them.

A store to a cache line that another processor has only read since the last one invalidates the reader's copy and takes
9 ns on a Zen 4 processor; where the reader has written to the line as well, 1 ns (MOESI protocol; AMD64 Architecture
Programmer's Manual, volume 2, section 7.3). Reading another processor's lines takes 1 ns either way. In a user's own
loop each step writes all parameters and gradients again.
"""

from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.structures import LINE, WORKER
from dnnkit.kernels._numba.at_address import at, size_of, vector
from dnnkit.kernels._numba.jit import jit

worker_at = at(WORKER)
WORKER_BYTES = WORKER.bytes


@jit
def worker_of(run, number):
    """Return the structure of a worker."""
    return worker_at(run.worker + number * WORKER_BYTES)


@opcode
def sum_gradients(worker, run, stage, option):
    """Write the sum of all workers' gradients, for this worker's share of the parameters, to the whole gradient.

    The first worker's gradient may already be there. The sum is also written where it is read, to claim those lines.
    """
    start, count = worker.share * size_of(run.zero), worker.share_end - worker.share
    whole = vector(run.zero, run.whole_gradient + start, count)
    for other in range(run.workers):
        place = worker_of(run, other).gradient
        if place != run.whole_gradient:
            summand = vector(run.zero, place + start, count)
            for e in range(count):
                total = summand[e] if other == 0 else whole[e] + summand[e]
                whole[e], summand[e] = total, total
