"""Derivatives of a program's outputs in its inputs: one pass forward, and one backward from each output."""

from collections.abc import Callable, Iterator

import numpy as np

from dnnkit.backends import one_function
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.partition import Partition
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.program import Program
from dnnkit.backends.state import HostArray

MOST, FEW = 256, 64
"""Samples of a batch at most; and rows from which products are fast: of fewer samples a batch has each several times,
and goes backward from so many outputs at a time."""


def derivatives(
    program: Program,
    wiring: Wiring,
    source: BatchSource,
    numbers: Weights,
    team_of: Callable[[Partition, int], WorkerTeam],
) -> HostArray:
    """Of the scores of all samples of the source, (N, outputs, features); all steps of a batch have the same rows."""
    samples, outputs, features, made = len(source.x), program.output_features, int(source.x.shape[1]), 0
    out = np.empty((samples, outputs, features), program.dtype)
    for count, repeats in _batches(samples, outputs, min(MOST, one_function.rows_at_a_time(program))):
        rows, steps = count * repeats, -(-outputs // repeats)
        team = team_of(cost_model.partition_of_gradients(program, wiring, features, rows), rows)
        order = np.tile(np.repeat(np.arange(made, made + count), repeats), steps)
        batches = Batches(source, order, rows, np.zeros(steps), out[made:])
        team.run_structure.repeats = repeats
        sums, threads = team.zero_totals(), cost_model.started(program, rows, steps)
        team.run("differentiate outputs", batches, Steps(0, steps), numbers, sums, first=-1, threads=threads)
        made += count
    return out


def _batches(samples: int, outputs: int, most: int) -> Iterator[tuple[int, int]]:
    """So many samples at a time, and how often each is in the batch."""
    for first in range(0, samples, most):
        count = min(most, samples - first)
        yield count, min(outputs, max(1, FEW // count))
