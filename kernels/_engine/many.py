"""Many networks at once, each trained by one thread as if it were alone; thread assignment does not affect results.

A job is a network: a sequence of passes over rows. A thread takes the next free job and, for each pass, an idle team:
the workspace and schedule shared by networks that differ only in their numbers. There are as many teams as there are
threads that may need one at once, so memory grows with threads, not with networks.
"""

from dnnkit.kernels._engine.interpreter import run_at, run_segment, worker_at
from dnnkit.kernels._engine.permutation import permute
from dnnkit.kernels._engine.structures import JOB, LIMIT, LINE, MANY, PASS, SCRATCH
from dnnkit.kernels._engine.timing import ticks
from dnnkit.kernels._numba import atomics, flush_to_zero
from dnnkit.kernels._numba.at_address import at, vector
from dnnkit.kernels._numba.jit import jit

many_at, job_at, pass_at = at(MANY), at(JOB), at(PASS)
JOB_BYTES, PASS_BYTES = JOB.bytes, PASS.bytes

LARGEST = 1.7976931348623157e308
"""Largest float64; anything beyond it is infinite or NaN."""


@jit
def run_jobs(many_address):
    """Run jobs until none is left to start. Each participating thread calls this."""
    many = many_at(many_address)
    queue = vector(0, many.queue, LINE)
    setting = flush_to_zero.enable()
    while True:
        number = atomics.load(queue, 0)
        if number >= many.jobs:
            flush_to_zero.restore(setting)
            return
        if atomics.exchange_if(queue, 0, number, number + 1):
            run_job(many.job + number * JOB_BYTES)


@jit
def run_job(job_address):
    """Run the passes of a job until it is stopped or its loss is not finite; a final validation still runs."""
    job = job_at(job_address)
    is_over = False
    for number in range(job.passes):
        pass_address = job.first + number * PASS_BYTES
        one = pass_at(pass_address)
        if one.trains != 0 and is_over:
            return
        place = take_team(one.teams, one.team_count)
        team = vector(0, one.teams, one.team_count * LINE)
        if one.words != 0:
            one.order = team[place + 2] + 8 * SCRATCH
            permute(one.order, one.row_count, one.entropy, one.words, team[place + 2])
        run_pass(job_address, pass_address, team[place + 1])
        atomics.store(vector(0, one.teams, one.team_count * LINE), place, 0)
        if one.done < one.last:
            return
        if one.trains != 0:
            loss = vector(0.0, one.totals, 1)[0]
            is_over = not abs(loss) <= LARGEST


@jit
def take_team(teams_address, count):
    """Claim an idle team and return its place; writing a zero there releases it."""
    teams, place = vector(0, teams_address, count * LINE), 0
    while not atomics.exchange_if(teams, place, 0, 1):
        place = place + LINE if place + LINE < count * LINE else 0
    return place


@jit
def run_pass(job_address, pass_address, run_address):
    """Run the steps of a pass with a team, bound to the network's numbers and rows."""
    job, one, run = job_at(job_address), pass_at(pass_address), run_at(run_address)
    worker = worker_at(run.worker)
    run.control, run.seed, run.clip_norm, run.clip_value = job.control, job.seed, job.clip_norm, job.clip_value
    worker.parameters, worker.slots, worker.totals = job.parameters, job.slots, one.totals
    run.x, run.row_limit, run.targets, run.weights, run.bits = one.x, one.row_limit, one.targets, one.weights, one.bits
    run.starts, run.entry_columns = one.starts, one.entry_columns
    run.order, run.row_count, run.batch_weights = one.order, one.row_count, one.batch_weights
    run.rates, run.group_rates = one.rates, job.group_rates
    run.constants, run.constant_stride, run.group_constants = one.constants, job.constant_stride, job.group_constants
    run.first_step, run.first_update = one.first, one.first_update
    worker.place, worker.step, worker.nan_step = 0, one.first, -1
    vector(0, job.control, 3 * LINE)[LIMIT] = one.last
    one.began = ticks()
    while not run_segment(0, run_address):
        pass
    one.ended = ticks()
    one.done, one.nan_step = worker.step, worker.nan_step
