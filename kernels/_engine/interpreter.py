"""Interpreter: threads execute the workers' schedules, segment by segment.

A segment is what a worker does between two exchanges. The interpreter knows nothing of dtypes and networks: an
instruction of a schedule holds the address of an opcode.
"""

from dnnkit.kernels._engine.structures import (
    BEGIN,
    ENDED,
    EXCHANGE,
    INSTRUCTION,
    LIMIT,
    LINE,
    OWN_MEASURES,
    REPEAT,
    RUN,
    STAGE,
    STOP,
    WORKER,
)
from dnnkit.kernels._numba import atomics, flush_to_zero
from dnnkit.kernels._numba.at_address import at, vector
from dnnkit.kernels._numba.indirect_calls import call_opcode, call_python
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.matmul.offer import has_blocks

YIELD = 10
"""A thread that waits for a claimed segment yields its processor after every `YIELD * patience` spins."""

run_at, worker_at, instruction_at = at(RUN), at(WORKER), at(INSTRUCTION)
WORKER_BYTES, STAGE_BYTES, INSTRUCTION_BYTES = (one.bytes for one in (WORKER, STAGE, INSTRUCTION))


@jit
def run_workers(thread, patience, run_address):
    """Run segments until all workers have reached the end: those of worker `thread`, and any that are unclaimed.

    Every participating thread calls this; a single thread can run all workers. A thread first claims its own worker's
    next segment. Then it waits for the other workers, one at a time: it spins `patience` times, and then claims the
    segment itself if it is still unclaimed, because its thread has not started or was preempted. After that it does not
    spin for other workers again until that thread is back. While another thread runs the segment, it computes blocks of
    products that the worker offers, and yields its processor periodically. So hardly any thread waits for one that is
    not running, and a loaded machine slows a run only in proportion. Results do not depend on which thread ran which
    segment or block.
    """
    run = run_at(run_address)
    workers = run.workers
    claimed, done = vector(0, run.claimed, workers * LINE), vector(0, run.done, workers * LINE)
    control = vector(0, run.control, 3 * LINE)
    setting = flush_to_zero.enable()
    segment, worker, finished, looks, all_here = 0, thread, 0, patience, True
    while True:
        worker_address = run.worker + worker * WORKER_BYTES
        if has_blocks(worker_at(worker_address).offer):
            call_opcode(run.help, (worker_address, run_address, 0, 0))
            looks = 0
        elif looks < patience:
            atomics.pause()
        elif atomics.exchange_if(claimed, LINE * worker, segment, segment + 1):
            if run_segment(worker, run_address):
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
            worker, finished = worker + 1 if worker + 1 < workers else 0, finished + 1
            looks = 0 if all_here else patience
            if finished == workers:
                if atomics.load(control, ENDED) == segment:
                    flush_to_zero.restore(setting)
                    return
                segment, worker, finished, looks = segment + 1, thread, 0, patience


@jit
def run_segment(number_of_worker, run_address):
    """Run this worker to its next exchange; return True when the run is over."""
    run = run_at(run_address)
    worker_address = run.worker + number_of_worker * WORKER_BYTES
    worker, first = worker_at(worker_address), run.schedule
    place, stages = worker.place, worker.stages
    while True:
        instruction = instruction_at(first + place * INSTRUCTION_BYTES)
        function = instruction.function
        place += 1
        if function > OWN_MEASURES:
            stage = stages + instruction.stage * STAGE_BYTES
            call_opcode(function, (worker_address, run_address, stage, instruction.option))
        elif function == BEGIN:
            if not begin(worker, run):
                return True
        elif function == EXCHANGE:
            worker.place = place
            return False
        elif function == REPEAT:
            place = instruction.stage
            worker.step += 1
        elif not went_well(worker, run, instruction):
            return True


@jit
def went_well(worker, run, instruction):
    """Call the user-defined part that an instruction names; return False if it failed, which ends the run."""
    if worker.number > 0:
        return True
    last = worker_at(run.worker + (run.workers - 1) * WORKER_BYTES)
    rows = last.first_in_batch + last.rows
    setting = flush_to_zero.disable()
    result = call_python(run.python, (instruction.function, instruction.stage, instruction.option, rows))
    flush_to_zero.restore(setting)
    if result == 0:
        worker.failed = 1
    return result != 0


@jit
def begin(worker, run):
    """Begin the worker's next step; return False if there is none."""
    control, workers, mine = vector(0, run.control, 3 * LINE), run.workers, worker.number
    step = worker.step
    if mine == 0 and control[STOP] != 0:
        # Other workers may already be in this step, so it is finished first. They see the limit after the exchange.
        end = step + 1 if workers > 1 else step
        control[LIMIT] = end if end < control[LIMIT] else control[LIMIT]
    if step >= control[LIMIT]:
        return False
    start = step * run.batch_size
    left = run.row_count - start
    count = run.batch_size if run.batch_size < left else left
    first, end = 0, count
    if run.by_rows:
        first, end = count * mine // workers, count * (mine + 1) // workers
    worker.first_in_batch, worker.rows, worker.first_row = first, end - first, start + first
    return True


@jit
def predict_few(run_address):
    """Predict the worker's rows, from the run's x to its out; set the worker's `nan_step` if x is not finite."""
    worker = worker_at(run_at(run_address).worker)
    worker.place, worker.nan_step = 0, -1
    run_segment(0, run_address)
