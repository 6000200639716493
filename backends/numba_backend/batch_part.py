"""Parts of a batch shared with other processes, each differentiated in a separate run."""

from collections.abc import Callable

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.numba_backend.bytecode import Purpose
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.state import HostArray


class BatchPart:
    """Parts of `rows` rows of a dataset, for a team that can compute them.

    `weights(parameters)` returns flat parameters as a team reads them; `run(team, rows)` runs what the team
    was prepared for.
    """

    def __init__(
        self,
        data: Data,
        source: BatchSource,
        rows: int,
        team: WorkerTeam,
        first: int,
        weights: Callable[[HostArray], Weights],
        run: Callable[[WorkerTeam, int], None],
    ) -> None:
        self.data = data
        self._team, self._first, self._weights, self._run = team, first, weights, run
        self._batches = Batches(source, np.arange(rows), rows, np.zeros(1))  # rows and weight are overwritten
        self._sums = team.zero_totals()
        program = team.program
        self._writes_to_team = bool(program.custom_layers)
        """Whether gradients of layers are written to the team's memory."""
        self._has_penalties = bool(program.penalties)

    def differentiate(
        self, rows: HostArray, before: int, weight: float, step: int, parameters: HostArray, out: HostArray
    ) -> list[float]:
        """Return the sums over these rows of a batch; write the gradient to out.

        Arguments:
            rows: row indices.
            before: number of rows of the batch before these.
            weight: sum of the row weights of the whole batch.
            step: updates made before.
            parameters: flat parameters.
            out: flat gradient.
        """
        team, batches, worker = self._team, self._batches, self._team.worker
        batches.order[...], batches.batch_weights[0] = rows, weight
        self._sums.fill(0)
        kept, is_alone = worker.gradient, team.partition.workers == 1
        if not is_alone:
            team.run_structure.whole_gradient = address(out)
        elif not self._writes_to_team:
            worker.gradient = address(out)
        team.begin_with(before)
        try:
            purpose: Purpose = "first part" if before == 0 and self._has_penalties else "part"
            numbers = self._weights(parameters)
            team.prepare(purpose, batches, Steps(0, 1, step), numbers, self._sums, self._first)
            self._run(team, len(rows))
            if is_alone and self._writes_to_team:
                out[...] = team.gradients[0]
        finally:
            worker.gradient = kept
            team.begin_with(0)
        return team.totals(self._sums)
