"""Loss and gradient of all rows, at parameters that somebody asks for: what a line search does, often by turns."""

from collections.abc import Callable

import numpy as np

from dnnkit.backends.aligned import address, zeros
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.single_step import SingleStep
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.state import HostArray


class AllRows:
    """The rows of some data, in chunks of so many, for a team that all of them are prepared for once.

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
        self.data, self.rows = data, rows
        self._team, self._first, self._run_team, self._steps = team, first, run, -(-len(data) // rows)
        self._batches = Batches(source, np.arange(len(data)), rows, np.full(self._steps, whole))
        self._over = (whole or 1.0) if program.loss.reduction == "mean" else 1.0
        self._sums, self._numbers = team.zero_totals(), Weights(np.zeros((1, 0)), np.zeros((1, 1, 0)))
        self._summed = zeros((team.layout.trained_size,), program.dtype)
        self._calls_any = bool(program.custom_layers or program.custom_measures)
        self._single: SingleStep | None = None

    def differentiate(
        self,
        parameters: HostArray,
        numbers: HostArray,
        updates: int,
        out: HostArray,
        goes_on: Callable[[], bool],
    ) -> float | None:
        """The loss with these numbers in the first of the parameters, and its gradient to out; None if given up."""
        if self._numbers.parameters.shape[1] != parameters.size:
            self._numbers = Weights(zeros((1, parameters.size), parameters.dtype.name), self._numbers.slots)
        given = self._numbers.parameters[0]
        given[: numbers.size], given[numbers.size :] = numbers, parameters[numbers.size :]
        self._sums.fill(0)
        for step in range(self._steps):
            if not goes_on():
                return None
            self._run(step, updates)
            found = self._summed if self._team.partition.workers > 1 else self._team.gradients[0]
            if step:
                out += found
            else:
                out[...] = found
        return self._team.loss(self._sums) / self._over

    def _run(self, step: int, updates: int) -> None:
        team, single, done = self._team, self._single, step
        while done == step:  # as it is if somebody has asked another run of the team to stop
            team.run_structure.whole_gradient = address(self._summed)
            if single is not None and single.goes_on_with(None, self._numbers):
                single.run(step, updates)
            else:
                steps = Steps(step, step + 1, updates)
                team.prepare("differentiate", self._batches, steps, self._numbers, self._sums, self._first)
                threads = cost_model.threads(team.program, self.rows, 1)
                can_go_on = not threads and not self._calls_any
                self._single = SingleStep(team, None, self._numbers) if can_go_on else None
                self._run_team(team, self.rows, threads)
            done, _ = team.outcome()
