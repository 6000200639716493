"""Training steps, compiled once for every network. Contract: the package's docstring.

What differs between networks is data: a table of stages (`stage_table.py`), a schedule of instructions (`opcodes.py`),
and the addresses of the kernels (`kernels/_numba/entry_points.py`). Several workers may share a step, each with its
share of the units (tensor parallel) or of the rows (data parallel); where one needs what the others computed, the
schedule says EXCHANGE. What a worker does between two exchanges is a segment (`interpreter.py`).
"""

from dnnkit.kernels._numba import atomics, flush_to_zero
from dnnkit.kernels._numba.indirect_calls import address_of, call_forward
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.unchecked_views import row
from dnnkit.kernels.train_steps import stage_table
from dnnkit.kernels.train_steps.interpreter import run_segment
from dnnkit.kernels.train_steps.opcodes import ENDED, LINE

YIELD = 10
"""A thread that waits for a claimed segment yields its processor each time it has spun `YIELD * patience` times."""


@jit
def predict_rows(x, parameters, network, out):
    """Predictions for a few rows x (B, I), by the calling thread; False, and no predictions, if x is not finite."""
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
    """Run segments until all workers have reached the end: those of worker `thread`, and any other that is unclaimed.

    Every participating thread calls this; a single one can run all workers. A thread first claims its own worker's next
    segment. Then it waits for the other workers, one by one: it spins `patience` times, and from then on claims the
    segment itself if it is still unclaimed, because its thread has not started or was preempted. Once it had to do so
    it does not spin for others again until that thread is back. While the segment is claimed, it yields its processor
    now and then. So no thread waits for one that is not running, and a busy machine costs time in proportion.
    Results do not depend on which thread ran which segment.
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
