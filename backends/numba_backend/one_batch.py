"""Single steps on batches that a user passes one by one, as in a user's training loop.

`fit` prepares an epoch and runs it. Here each step is a separate run, often of less than 0.1 ms, so whatever all
batches of a shape have in common is prepared once; for a new batch only addresses change.
"""

from collections.abc import Callable
from math import inf, isfinite
from typing import Any

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.numba_backend.bytecode import Purpose
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.single_step import SingleStep
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.stages import Rescale
from dnnkit.backends.state import HostArray, Hyperparameters
from dnnkit.kernels import registry
from dnnkit.kernels._numba.entry_points import mark_entry_points
from dnnkit.kernels.nonzero_columns import words

FEW = 100
"""Number of labels that Python scans faster than NumPy."""


class OneBatch:
    """Batches of `rows` rows for a team, each in a separate run.

    `run(team, rows)` runs what the team was prepared for. `is_bytes`: inputs are uint8. `marks`: knowing their
    nonzero columns pays.
    """

    def __init__(
        self,
        team: WorkerTeam,
        rows: int,
        rescale: Rescale,
        first: int,
        run: Callable[[WorkerTeam, int], None],
        *,
        is_bytes: bool,
        marks: bool,
    ) -> None:
        program, self._run_team = team.program, run
        assert program.loss is not None
        features, dtype = int(np.prod(program.input_shape)), np.dtype(program.dtype)
        self.team, self._rows, self._first = team, rows, first
        self._x_dtype = np.dtype(np.uint8) if is_bytes else dtype
        self._bits = np.zeros((rows, words(features)), np.int64)
        self._mark = mark_entry_points(self._x_dtype.name) if marks or not is_bytes else None
        self._is_mean = program.loss.reduction == "mean"
        self._y_shapes: tuple[tuple[int, ...], ...]
        self._y_dtype: np.dtype[Any]
        self._range: tuple[float, float] = -inf, inf
        self._loss: registry.Loss | None = None
        if program.loss.targets != "values":
            self._y_shapes, self._y_dtype = ((rows,), (rows, 1)), np.dtype(np.int64)
            self._range = 0.0, program.output_features - 1.0
        else:
            self._loss = registry.loss(program.loss.kernel) if isinstance(program.loss.kernel, str) else None
            self._y_shapes, self._y_dtype = ((rows, program.output_features),), dtype
            if program.output_features == 1:
                self._y_shapes += ((rows,),)
        self._y_kinds = {"labels": "biu", "values": "biuf", "any": ""}[program.loss.targets]
        x, y = np.zeros((rows, features), self._x_dtype), np.zeros(self._y_shapes[0], self._y_dtype)
        scale, offset = float(rescale.scale), float(rescale.offset)
        self._batch = x, y
        self._single: SingleStep | None = None
        self._calls_any = bool(program.custom_layers or program.custom_measures)
        self._batches = Batches(
            BatchSource(x, scale, offset, y, None, self._bits if marks else None),
            np.arange(rows),
            rows,
            np.full(1, float(rows)),
        )
        self._finite, self._sums = np.zeros(1, np.bool_), team.zero_totals()
        self._marked = address(self._bits), address(self._finite), rows, features, self._bits.shape[1]

    def take(self, x: Any, y: Any) -> bool:
        """Accept a batch, with x (rows, ...), for the next run; False if it needs the checks of the general path."""
        if type(y) is not np.ndarray or y.shape not in self._y_shapes or y.dtype.kind not in self._y_kinds:
            return False
        if x.dtype != self._x_dtype or y.dtype != self._y_dtype:
            with np.errstate(over="ignore"):  # overflow to infinity is detected below
                x, y = x.astype(self._x_dtype), y.astype(self._y_dtype)
        x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        if y.size > FEW or y.dtype.kind == "f" or y.ndim > 1:
            low, high = float(y.min()), float(y.max())
        else:
            labels = y.tolist()
            low, high = min(labels), max(labels)
        if not (self._range[0] <= low and high <= self._range[1] and isfinite(low) and isfinite(high)):
            return False
        if self._loss is not None and not self._loss.is_made_for(y, low, high):
            return False
        if self._mark is not None:
            self._mark.call("mark", address(x), *self._marked)
            if not self._finite[0]:
                return False
        self._batch = x, y
        return True

    def train(self, steps: Steps, hyperparameters: Hyperparameters, numbers: Weights) -> float:
        """Update on the accepted batch; return its loss before the update."""
        return self._run("train", steps, hyperparameters, numbers)

    def differentiate(self, steps: Steps, numbers: Weights, gradient: HostArray) -> float:
        """Return the loss of the accepted batch and write its flat gradient; by one worker, or by rows."""
        worker, place = self.team.worker, address(gradient)
        kept, worker.gradient, self.team.run_structure.whole_gradient = worker.gradient, place, place
        try:
            return self._run("differentiate", steps, None, numbers)
        finally:
            worker.gradient = kept

    def _run(self, purpose: Purpose, steps: Steps, hyperparameters: Hyperparameters | None, numbers: Weights) -> float:
        team, run, single = self.team, self.team.run_structure, self._single
        self._sums.fill(0)
        done = 0
        while not done:  # not done if another run of the team was asked to stop
            if single is not None and single.accepts(hyperparameters, numbers):
                run.x, run.targets = address(self._batch[0]), address(self._batch[1])
                single.run(0, steps.first_update)
            else:
                team.prepare(purpose, self._batches, steps, numbers, self._sums, self._first)
                run.x, run.targets = address(self._batch[0]), address(self._batch[1])
                self._single = None if self._calls_any else SingleStep(team, hyperparameters, numbers)
                self._run_team(team, self._rows)
            done, _ = team.outcome()
        total = team.loss(self._sums)
        return total / self._rows if self._is_mean else total
