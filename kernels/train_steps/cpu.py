"""Training steps, compiled once for every network. Contract: the package's docstring.

What differs between networks is data: a table of stages (`stages.py`), a schedule of instructions (`instructions.py`),
and the addresses of the kernels (`kernels/_numba/entry_points.py`). Several workers may share a step, each with its part of the
units or of the rows; where one needs what the others computed, the schedule says EXCHANGE. What a worker does between
two exchanges is a segment (`segment.py`).
"""

from dnnkit.kernels._numba import atomics, flush_to_zero
from dnnkit.kernels._numba.indirect_calls import address_of, call_forward
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.unchecked_views import row
from dnnkit.kernels.train_steps import stage_table
from dnnkit.kernels.train_steps.interpreter import run_segment
from dnnkit.kernels.train_steps.opcodes import ENDED, LINE

YIELD = 10
"""How many times its patience a thread waits for one that works before it gives its processor away for a moment."""


@jit
def predict_rows(x, parameters, network, out):
    """Predictions for a few rows x (B, I), by one worker and at once; False, and nothing done, if x is not finite."""
    table, numbers, workspace, keep, scores, head, scale, offset = network
    factor, shift = workspace.dtype.type(scale), workspace.dtype.type(offset)
    rows, place, sound = x.shape[0], 0, True
    for i in range(rows):
        for j in range(x.shape[1]):
            value = x[i, j]
            sound &= value - value == 0
            workspace[place] = value * factor + shift
            place += 1
    if not sound:
        return False
    for s in range(table.shape[0]):
        stage_table.forward(
            stage_table.stage_at(table, s), row(numbers, s), parameters, workspace, keep, rows, 0, False, 0, 0
        )
    call_forward(head, (address_of(workspace, scores), address_of(out), rows, out.shape[1]))
    return True


@jit
def run(thread, patience, claimed, done, job):
    """Run segments until all workers have come to the end: those of worker `thread`, and any that nobody runs.

    Every thread that takes part calls this; one alone can, too. A thread first claims its own worker's next segment.
    Then it waits for the others, one by one: it looks `patience` times, and from then on claims the segment itself if
    that is still free, because its thread has not started or was interrupted by the operating system. Once it had to do
    so it is not patient again before that thread is back. If the segment is taken, it now and then lets other threads
    have the processor. So no thread waits for one that does not run, and a busy machine costs time in proportion.
    Results do not depend on who ran what.
    """
    control = job[3][13]
    setting = flush_to_zero.enable()
    workers = done.size // LINE
    segment, worker, finished, looks, all_here = 0, thread, 0, patience, True
    while True:
        if looks < patience:
            atomics.pause()
        elif atomics.exchange_if(claimed, LINE * worker, segment, segment + 1):
            if run_segment(worker, job):
                atomics.store(control, ENDED, segment)
            atomics.store(done, LINE * worker, segment + 1)
            all_here = worker == thread
        else:
            all_here = True
            atomics.pause()
            if looks > YIELD * patience:
                atomics.yield_processor()
                looks = patience
        looks += 1
        if atomics.load(done, LINE * worker) > segment:
            worker, finished = (worker + 1) % workers, finished + 1
            looks = 0 if all_here else patience
            if finished == workers:
                if atomics.load(control, ENDED) == segment:
                    flush_to_zero.restore(setting)
                    return
                segment, worker, finished, looks = segment + 1, thread, 0, patience
