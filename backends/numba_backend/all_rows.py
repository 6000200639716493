"""All rows of some data as one function of the parameters, which L-BFGS evaluates again and again, in compiled code."""

from collections.abc import Callable

import numpy as np

from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.stagewise.flat import Data

SEARCHED = 1.25
"""Evaluations of an iteration, about."""


class AllRows:
    """The rows, in chunks of so many, for a team that can compute these.

    `whole` is the sum of their weights, by which the gradient of each chunk is scaled, so that they add up.
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
        """Evaluate as the ITERATION at an address says; the last worker's gradients go to another, if they are several.

        `numbers` are the parameters that it changes; `updates` were made before, and about so many iterations follow.
        """
        team, run = self.team, self.team.run_structure
        self._sums.fill(0)
        team.prepare("minimize", self._batches, Steps(0, self.chunks, updates), numbers, self._sums, self._first)
        run.iteration, run.whole_gradient = iteration, gradient
        evaluations = max(1.0, min(SEARCHED * iterations, 1e9))
        threads = cost_model.threads(team.program, self.rows, int(evaluations * self.chunks))
        if self._calls_any:  # which hear signals, in this thread
            threads = 0
        self._run_team(team, self.rows, threads)

    def stop(self) -> None:
        """End between two chunks."""
        self.team.stop()
