"""Opcodes of full-batch training: what is done with each evaluation of loss and gradient."""

from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.structures import LINE, STOP, WORKER
from dnnkit.kernels._numba.at_address import at, size_of, vector
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.lbfgs import cpu
from dnnkit.kernels.lbfgs.iteration import ITERATION
from dnnkit.kernels.penalty.cpu import gradient, penalty

iteration_at, worker_at = at(ITERATION), at(WORKER)
WORKER_BYTES = WORKER.bytes


@jit
def add_up_rows(worker, run, s):
    """Add the gradient of these rows to that of the previous rows."""
    found = worker.gradient if run.workers == 1 else run.whole_gradient
    found, total = cpu.numbers(s, run, found), cpu.numbers(s, run, s.trial_gradient)
    if worker.step == 0:
        cpu.copy(found, total)
        return
    for e in range(total.size):
        total[e] += found[e]


@jit
def add_up_sums(worker, run, s):
    """Sum what all workers measured over all rows; return the loss."""
    sums = vector(0.0, s.sums, s.measured)
    for number in range(run.workers):
        own = vector(0.0, worker_at(run.worker + number * WORKER_BYTES).totals, s.measured)
        for e in range(s.measured):
            sums[e] = own[e] if number == 0 else sums[e] + own[e]
            own[e] = 0.0
    return sums[0] / s.weight


@jit
def penalties(run, s):
    """Return the penalty on the parameters; add its gradient to that of the rows."""
    w, dw = cpu.numbers(s, run, s.trial), cpu.numbers(s, run, s.trial_gradient)
    l1, l2 = (
        cpu.numbers(s, run, s.penalties),
        cpu.numbers(s, run, s.penalties + s.size * size_of(run.zero)),
    )
    gradient(w, dw, l1, l2)
    return penalty(w, l1, l2)


@opcode
def begin_iterations(worker, run, stage, option):
    """Let L-BFGS choose the first point of evaluation; worker 0 only."""
    if worker.number == 0:
        cpu.begin(iteration_at(run.iteration), run)


@opcode
def take_evaluation(worker, run, stage, option):
    """Take loss and gradient of these rows; after the last, let L-BFGS choose the next point; worker 0 only."""
    if worker.number > 0:
        return
    s = iteration_at(run.iteration)
    add_up_rows(worker, run, s)
    if worker.step + 1 == s.chunks:
        value = add_up_sums(worker, run, s)
        if s.penalties != 0:
            value += penalties(run, s)
        cpu.advance(s, run, value)
    if vector(0, run.control, LINE)[STOP] != 0:
        s.is_stopped = 1


@opcode
def next_evaluation(worker, run, stage, option):
    """Go on with the next rows, or with the first after the last; end if L-BFGS is done. Option 1: at the start."""
    s = iteration_at(run.iteration)
    if s.is_over != 0 or s.is_stopped != 0:
        worker.step = s.chunks
    elif option == 0 and worker.step + 1 == s.chunks:
        worker.step = -1
