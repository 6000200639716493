"""Loss and gradient over all rows of a dataset, as L-BFGS evaluates them repeatedly in compiled code."""

from collections.abc import Callable

import numpy as np

from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.stagewise.flat import Data

SEARCHED = 1.25
"""Approximate number of evaluations per iteration."""


class AllRows:
    """All rows of a dataset, in chunks of `rows` that a team can compute.

    `whole` is the sum of the row weights; the gradient of each chunk is scaled by it, so that the chunks add up.
    `run(team, rows, threads)` runs what the team was prepared for.
    """

    def __init__(
        self,
        data: Data,
        whole: float,
        source: BatchSource,
        rows: int,
        team: WorkerTeam,
        first: int,
        run: Callable[[WorkerTeam, int, int], None],
    ) -> None:
        program = team.program
        assert program.loss is not None
        self.data, self.rows, self.chunks = data, rows, -(-len(data) // rows)
        self.weight = (whole or 1.0) if program.loss.reduction == "mean" else 1.0
        self.team, self._first, self._run_team = team, first, run
        self._calls_any = bool(program.custom_layers or program.custom_measures)
        weights = np.full(self.chunks, whole)
        self._batches = Batches(source, np.arange(len(data)), rows, weights, is_one=self.chunks == 1)
        self._sums = team.zero_totals()

    def run(self, numbers: Weights, iteration: int, gradient: int, updates: int, iterations: int) -> None:
        """Evaluate as directed by the ITERATION at an address, for about `iterations` iterations.

        `numbers` are the parameters it changes; `gradient` is the address of the sum of several workers' gradients;
        `updates` were made before.
        """
        team, run = self.team, self.team.run_structure
        self._sums.fill(0)
        team.prepare("minimize", self._batches, Steps(0, self.chunks, updates), numbers, self._sums, self._first)
        run.iteration, run.whole_gradient = iteration, gradient
        evaluations = max(1.0, min(SEARCHED * iterations, 1e9))
        # L-BFGS decides how many steps there are, so they are not divided into slices. Own parts handle signals.
        steps = int(evaluations * self.chunks)
        self._run_team(team, self.rows, 0 if self._calls_any else cost_model.threads(team.program, self.rows, steps))

    def stop(self) -> None:
        """End the run between two chunks."""
        self.team.stop()
