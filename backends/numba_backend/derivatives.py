"""Derivatives of a program's outputs with respect to its inputs: one forward pass, one backward pass per output."""

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
"""Maximum samples per batch; and rows needed for fast products: with fewer samples, a batch repeats each of them and
differentiates that many outputs at a time.
"""


def derivatives(
    program: Program,
    wiring: Wiring,
    source: BatchSource,
    numbers: Weights,
    team_of: Callable[[Partition, int], WorkerTeam],
) -> HostArray:
    """Return the derivatives of the scores of all samples, (N, outputs, features); batches share their rows."""
    samples, outputs, features, made = len(source.x), program.output_features, int(source.x.shape[1]), 0
    out = np.empty((samples, outputs, features), program.dtype)
    for count, repeats in _batches(samples, outputs, min(MOST, one_function.rows_at_a_time(program))):
        rows, steps = count * repeats, -(-outputs // repeats)
        team = team_of(cost_model.partition_of_gradients(program, wiring, features, rows), rows)
        order = np.tile(np.repeat(np.arange(made, made + count), repeats), steps)
        batches = Batches(source, order, rows, np.zeros(steps), out[made:])
        team.run_structure.repeats = repeats
        team.run("differentiate outputs", batches, Steps(0, steps), numbers, team.zero_totals(), first=-1)
        made += count
    return out


def _batches(samples: int, outputs: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield numbers of samples, and how often each is repeated in its batch."""
    for first in range(0, samples, most):
        count = min(most, samples - first)
        yield count, min(outputs, max(1, FEW // count))
