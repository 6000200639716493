"""Optimizer step with given gradients: a run of a single instruction, shared by standby threads."""

import math

import numpy as np

from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.single_step import SingleStep
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.state import Hyperparameters


class SharedUpdate:
    """Updates by a team partitioned by rows, each of whose workers updates a share of the parameters."""

    def __init__(self, team: WorkerTeam) -> None:
        self._team, program = team, team.program
        nothing = np.zeros((1, math.prod(program.input_shape)), program.dtype)
        self._batches = Batches(BatchSource(nothing, 1.0, 0.0, None, None, None), np.arange(1), 1, np.ones(1))
        self._sums, self.threads = team.zero_totals(), team.partition.workers
        self._single: SingleStep | None = None
        self._helpers = min(cost_model.update_helpers(program), team.partition.workers - 1)

    def run(self, gradient: int, steps: Steps, hyperparameters: Hyperparameters, numbers: Weights) -> None:
        """Update the numbers with the flat gradient at an address."""
        team, single = self._team, self._single
        if single is None or not single.accepts(hyperparameters, numbers):
            team.prepare("update", self._batches, steps, numbers, self._sums, 0, helpers=self._helpers)
            self._single = single = SingleStep(team, hyperparameters, numbers)
        for worker in team.workers:
            worker.gradient = gradient
        single.run(0, steps.first_update)
