"""Predictions of a few rows, in preallocated buffers."""

import ctypes
from functools import partial

import numpy as np

from dnnkit.backends.aligned import address, zeros
from dnnkit.backends.numba_backend.data import plain
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.state import HostArray
from dnnkit.kernels._engine import calls

COPIED = 8192
"""Bytes of inputs up to which copying them takes no longer than looking up their address."""


class FewRows:
    """Buffers of one caller for predictions of up to as many rows as the team supports."""

    def __init__(self, team: WorkerTeam, scale: float, offset: float) -> None:
        self._team = team  # keeps alive what the run refers to
        self._own_parts, self._sums = team.own_parts("predict a few"), team.zero_totals()
        self._schedule = team.link(team.key_of_few)
        self._run, self._worker, self._parameters = team.run_structure, team.worker, np.zeros(0)
        run, program, rows = self._run, team.program, team.rows
        self._predict = partial(calls.caller("predict_few", program.dtype), ctypes.addressof(run))
        x, out = (
            zeros((rows, *program.input_shape), program.dtype),
            zeros((rows, program.output_features), program.dtype),
        )
        self._x = [x[:count] for count in range(rows + 1)]
        self._out = [out[:count] for count in range(rows + 1)]
        self._x_at, run.out = address(x), address(out)
        run.schedule, run.scale, run.offset = ctypes.addressof(self._schedule), scale, offset

    def predict(self, x: HostArray, parameters: HostArray) -> HostArray | None:
        """Return predictions of x (rows, ...); None if x is not finite."""
        rows, worker = len(x), self._worker
        if parameters is not self._parameters:
            self._parameters, worker.parameters = parameters, address(parameters)
        if x.nbytes <= COPIED:
            self._x[rows][...] = x
            self._run.x = self._x_at
        else:
            x = plain(x)
            self._run.x = address(x)
        worker.rows = rows
        if self._own_parts is None:
            self._predict()
        else:
            self._own_parts.begin("predict a few", parameters, self._sums)
            self._predict()
            self._own_parts.end()
        return self._out[rows].copy() if worker.nan_step < 0 else None
