"""Cost model of a training step, which selects the fastest partition, using typical rates of the processor.

    product of (m, k) and (k, n):      call + 2 m k n / flops + (m k + k n), if not cached nearby, as bytes
    elementwise:                       bytes read and written / bytes per second
    dropout:                           the same, and seconds per random number
    loss:                              seconds per row and per number
    exchange:                          exchange + wait + what is added up, as bytes
    what another worker wrote:         bytes / bytes per second from another processor's caches

A partition is estimated by its first worker, whose part is never smaller than another's. Compute and bandwidth bounds
are those of the roofline model (S. Williams et al., CACM 52, 2009), added rather than overlapped. See
docs/design/0011-dividing-the-work.md.
"""

import os
from math import prod
from typing import Literal

from dnnkit.backends.numba_backend.fusing import stages_to_run
from dnnkit.backends.numba_backend.machine import Machine, machine
from dnnkit.backends.numba_backend.partition import SINGLE, Partition, roles, share, stage_shards
from dnnkit.backends.numba_backend.wiring import Wiring, trained_of
from dnnkit.backends.processors import usable
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Custom, Dense, Dropout, Op, first_trained, is_trained
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels.stages import kind

WORTH = 0.85
"""Several workers are used if they need less than this fraction of one worker's time, as they occupy processors."""

WORTH_PARTITIONING = 1e-5
"""Estimated seconds per step below which a step is not partitioned: calling opcodes and waiting for another worker
would cost more than it saves. 64-32-10 at batch size 32 takes 15.9 µs with one worker, 17.3 with two.
"""

BY: tuple[Literal["units", "rows"], ...] = ("units", "rows")

STEP, FLOP = 1.2e-7, 1e-11
"""Rough seconds of an empty step, and of a FLOP."""

WORTH_WORKERS = 2e-4
"""Seconds of prediction above which rows are divided among workers."""

SHARED_STEP, SHARED_RUN = 2e-5, 2e-3
"""Seconds of a step, or of all steps, above which standby threads join in."""

PERHAPS_SHARED = 5e-5
"""Seconds of all steps above which standby threads join in if measured to be faster: on an idle processor they are,
next to other work waiting for each other costs more than it saves.
"""

SHARED_UPDATE = 1e-5
"""Seconds of an update of all parameters above which standby threads join in."""

WORTH_THREADS = 2e-2
"""Seconds of work that cannot be divided into slices, above which threads are started for it, while the caller's thread
waits and handles signals.
"""

FETCHED = 0.5
"""Fraction of its factors for which a product waits; the rest is fetched during computation."""

WAIT = 5e-7
"""Seconds that workers wait for each other at an exchange, beyond the latency of a signal."""

PASSES = 6
"""Elementwise passes over the outputs of a dense stage: bias, activation, and backward."""

LOSS, LOSS_OF_OUTPUT = 1e-8, 1.5e-9
"""Seconds of the loss per row, and per number in it: between 1 and 35 ns per row, depending on the loss. By units, each
worker computes the loss of all rows.
"""

DRAW = 1.5e-9
"""Seconds per random number of a dropout mask."""

PYTHON = 1e-5
"""Seconds per call of a user-defined part, without its own computation, which is unknown."""


def choose_partition(program: Program, wiring: Wiring, features: int, batch_size: int, recorded: str) -> Partition:
    """Return the partition for a batch size: the configured one, the recorded one, or the fastest by the model.

    `recorded` is the result of `record` in the training that is resumed.
    """
    if partition := asked():
        return _whole(program, Partition.parse(partition))
    if (kept := _recorded(recorded, batch_size)) is not None:
        return kept
    workers = usable(program.num_threads)
    here = machine()
    if workers == 1 or (alone := seconds(program, wiring, features, batch_size, SINGLE, here)) < WORTH_PARTITIONING:
        return SINGLE
    candidates = [Partition(by, count) for count in range(2, workers + 1) for by in BY]
    candidates = [d for d in candidates if d == _whole(program, d)]
    candidates = [d for d in candidates if d.by == "rows" or "columns" in roles(wiring.stages, d, wiring)]
    times = {partition: seconds(program, wiring, features, batch_size, partition, here) for partition in candidates}
    best = min(times, key=lambda partition: times[partition])
    return best if times[best] < WORTH * alone else SINGLE


def _whole(program: Program, partition: Partition) -> Partition:
    """Return a single worker instead of workers that would hold parts of parameters with bounded norms."""
    return SINGLE if program.bounds and partition.by == "units" else partition


def seconds_per_step(program: Program, batch_size: int) -> float:
    """Return the estimated seconds of a training step, partitioned as by `choose_partition`."""
    _, stages, sources = stages_to_run(program)
    wiring, features = Wiring(stages, sources), prod(program.input_shape)
    partition = choose_partition(program, wiring, features, batch_size, "")
    return STEP + seconds(program, wiring, features, batch_size, partition, machine())


def partition_of_gradients(program: Program, wiring: Wiring, features: int, batch_size: int) -> Partition:
    """Return the partition for the gradients of a batch: by rows if that is faster, else one worker.

    Partitions by units are not used, because all workers read the same flat parameters.
    """
    workers, here = usable(program.num_threads), machine()
    alone = seconds(program, wiring, features, batch_size, SINGLE, here)
    if workers == 1 or alone < WORTH_PARTITIONING:
        return SINGLE
    divided = Partition("rows", workers)
    return divided if seconds(program, wiring, features, batch_size, divided, here) < WORTH * alone else SINGLE


def asked() -> str | None:
    """Return the configured partition, or None."""
    return os.environ.get("DNNKIT_PARTITION") or os.environ.get("DNNKIT_DIVISION")  # the latter until version 0.2


def _recorded(text: str, batch_size: int) -> Partition | None:
    """Return the partition that `record` wrote for this batch size; None for another size or another backend's."""
    partition, _, size = text.partition("@")
    try:
        return Partition.parse(partition) if size == str(batch_size) else None
    except ConfigurationError:
        return None


def threads(program: Program, rows: int, steps: int) -> int:
    """Return the number of threads to start for about `steps` steps that cannot be divided; 0 for short work."""
    return usable(program.num_threads) if roughly(program, rows, steps) > WORTH_THREADS else 0


def helpers(program: Program, rows: int, steps: int) -> int:
    """Return the number of standby threads that may join the caller's thread."""
    return 0 if roughly(program, rows, steps) < PERHAPS_SHARED else usable(program.num_threads) - 1


def surely_pays(program: Program, rows: int, steps: int) -> bool:
    """Whether these threads save time whatever else the machine does."""
    return roughly(program, rows, 1) >= SHARED_STEP or roughly(program, rows, steps) >= SHARED_RUN


def update_helpers(program: Program) -> int:
    """Return the number of standby threads that may join the caller's thread in an update of all parameters."""
    numbers = (3 + 2 * len(program.slots)) * program.trainable_size
    moved = numbers * (4 if program.dtype == "float32" else 8)
    return usable(program.num_threads) - 1 if moved / machine().bytes > SHARED_UPDATE else 0


def readers(program: Program, rows: int) -> int:
    """Return the number of workers for predictions of this many rows, independent of what is trained."""
    return usable(program.num_threads) if STEP + 6 * rows * program.size * FLOP > WORTH_WORKERS else 1


def roughly(program: Program, rows: int, steps: int) -> float:
    """Return a rough estimate of the seconds of one worker for the steps."""
    return steps * (STEP + (2 * program.size + 4 * program.trainable_size) * rows * FLOP)


def record(partition: Partition, batch_size: int) -> str:
    """Return the text from which `choose_partition` restores the partition, for the same results."""
    return f"{partition}@{batch_size}"


@dataclass(frozen=True)
class Estimate:
    """Estimated seconds of a training step, by part."""

    inputs: float
    stages: tuple[float, ...]
    """Of each stage: forward and backward, and its update if it is updated separately."""
    exchanges: float
    """Data that workers write for and read from each other, including waiting."""
    update: float
    """Update of all parameters, if it comes at the end."""
    loss: float

    @property
    def total(self) -> float:
        """Seconds of the step."""
        return self.inputs + sum(self.stages) + self.exchanges + self.update + self.loss


def seconds(
    program: Program, wiring: Wiring, features: int, batch_size: int, partition: Partition, here: Machine
) -> float:
    """Return the estimated seconds of a training step."""
    return estimate(program, wiring, features, batch_size, partition, here).total


def estimate(
    program: Program, wiring: Wiring, features: int, batch_size: int, partition: Partition, here: Machine
) -> Estimate:
    """Return the estimated seconds of each part of a training step."""
    number = 4 if program.dtype == "float32" else 8
    flops = here.flops_of_each(partition.workers) * 4 / number
    workers, by_rows = partition.workers, partition.by == "rows" and partition.workers > 1
    rows = -(-batch_size // workers) if by_rows else batch_size
    stages, kinds = wiring.stages, roles(wiring.stages, partition, wiring)
    wanted = wiring.wanted(first_trained(stages))
    slots = len(program.slots)
    updated = (2 + 2 * slots) * number / here.bytes
    gathered = rows * features / (workers if "rows" in kinds else 1)
    called = 2 * len(program.custom_layers) + bool(program.custom_measures)
    exchanges = 2 * called * (here.exchange + WAIT) if workers > 1 else 0.0
    update, held = 0.0, 0
    times = []
    shards = stage_shards(stages, features, partition, 0, wiring)
    for place, (stage, role, part) in enumerate(zip(stages, kinds, shards, strict=True)):
        inputs, outputs = part.shape
        trained = any(wanted[value] for value in wiring.sources[place])
        time = PASSES * rows * outputs * number / here.bytes
        if isinstance(stage, Dropout):
            time += rows * outputs * DRAW
        if isinstance(stage, Custom):
            time += 2 * PYTHON
        if isinstance(stage, Op):
            opcodes, numbers = kind(stage.kind).opcodes, sum(one.size for one in trained_of(stage))
            read = tuple(shards[value - 1].shape[1] if value else features for value in wiring.sources[place])
            wants = read, stage.features, dict(stage.settings)
            time += rows * (3 * sum(read) + opcodes.moves(*wants)) * number / here.bytes
            time += 2 * rows * opcodes.multiplies(*wants) / flops
            held += numbers
            time += 0.0 if by_rows else numbers * updated
            meetings = len(opcodes.forward) + len(opcodes.backward) - 2
            exchanges += meetings * (here.exchange + WAIT) if by_rows else 0.0
        if isinstance(stage, Dense):
            trains = is_trained(stage)
            products = 1 + trains + trained  # forward; kernel gradient; dx if an earlier stage is trained
            fetched = FETCHED * (rows * inputs + inputs * outputs) * number / here.bytes
            time += products * (here.call + 2 * rows * inputs * outputs / flops + fetched)
            numbers = (inputs * outputs + outputs) * trains
            held += numbers
            time += 0.0 if by_rows else numbers * updated
            added_up = outputs if role == "rows" else inputs if role == "columns" and trained else 0
            if added_up:
                exchanges += here.exchange + WAIT + (workers + 1) * rows * added_up * number / here.bytes
                exchanges += (workers - 1) * rows * added_up * number / here.crossing
        times.append(time)
    if by_rows:
        own = share(held, workers, 0)
        mine = own.stop - own.start
        exchanges += 2 * (here.exchange + WAIT) + (workers + 1) * mine * number / here.bytes
        # It reads the others' gradients, writes its parameters there, and reads the parameters written to its own.
        exchanges += (2 * (workers - 1) * mine + held - mine) * number / here.crossing
        # The update, and reading the gradient, which is not consumed piece by piece here.
        update = (mine + mine / (2 + 2 * slots)) * updated
    loss = rows * (LOSS + program.output_features * LOSS_OF_OUTPUT)
    return Estimate(2.0 * gathered * number / here.bytes, tuple(times), exchanges, update, loss)
