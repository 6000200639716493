"""Opcodes by which workers exchange gradients and updated parameters, and help each other with products."""

from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.structures import LINE, WORKER
from dnnkit.kernels._engine.updates import is_due
from dnnkit.kernels._numba.at_address import at, copy_bytes, size_of, vector
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.matmul.blocks import take_blocks

worker_at = at(WORKER)
WORKER_BYTES = WORKER.bytes


@opcode
def add_gradients(worker, run, stage, option):
    """Add all workers' gradients, for the parameters that this worker updates."""
    first, size = worker.share, size_of(run.zero)
    gradient = vector(run.zero, worker.gradient + first * size, worker.share_end - first)
    for other in range(run.workers):
        if other != worker.number:
            place = run.gradients + other * run.gradient_stride + first * size
            summand = vector(run.zero, place, gradient.size)
            for e in range(gradient.size):
                gradient[e] += summand[e]


@opcode
def sum_gradients(worker, run, stage, option):
    """Write the sum of all workers' gradients, for this worker's share of the parameters, to the whole gradient.

    The first worker's gradient may already be there. The others' are overwritten with the sum, because their workers
    write there next (`send_parameters`).
    """
    start, count = worker.share * size_of(run.zero), worker.share_end - worker.share
    whole = vector(run.zero, run.whole_gradient + start, count)
    for other in range(run.workers):
        place = worker_at(run.worker + other * WORKER_BYTES).gradient
        if place != run.whole_gradient:
            summand = vector(run.zero, place + start, count)
            for e in range(count):
                total = summand[e] if other == 0 else whole[e] + summand[e]
                whole[e], summand[e] = total, total


@jit
def copy_numbers(run, source, target, first, end):
    """Copy the numbers from `first` to `end` of one array of all parameters to another, both by address."""
    size = size_of(run.zero)
    copy_bytes(target + first * size, source + first * size, (end - first) * size)


@opcode
def send_parameters(worker, run, stage, option):
    """Write this worker's share of the updated parameters to the other workers' gradients, for `receive_parameters`.

    A processor is slow to write what another one has only read since (9 ns per cache line on a fourth-generation AMD
    EPYC, where reading it from there takes 1). So workers share no parameters, and a worker writes whatever it reads of
    another's gradient.
    """
    if is_due(worker, run):
        for other in range(run.workers):
            if other != worker.number:
                target = run.gradients + other * run.gradient_stride
                copy_numbers(run, worker.parameters, target, worker.share, worker.share_end)


@opcode
def receive_parameters(worker, run, stage, option):
    """Take the parameters that the other workers have updated and left in this worker's gradient."""
    if is_due(worker, run):
        for number_of_other in range(run.workers):
            if number_of_other != worker.number:
                other = worker_at(run.worker + number_of_other * WORKER_BYTES)
                copy_numbers(run, worker.gradient, worker.parameters, other.share, other.share_end)


@opcode
def claim_parameters(worker, run, stage, option):
    """Write to each cache line of a worker's own parameters, so that the caller can write them again fast.

    The caller assigns them, and this worker only reads them (`send_parameters` says what that costs). The option is 0,
    which the compiler cannot know: the numbers stay the same.
    """
    if worker.parameters != worker_at(run.worker).parameters:
        words = vector(0, worker.parameters, worker.share_end * size_of(run.zero) // 8)
        for e in range(0, words.size, LINE):
            words[e] ^= option


@opcode
def help_with_product(worker, run, stage, option):
    """Compute blocks of the product that this worker offers, in another thread."""
    take_blocks(run.zero, worker.offer)
