"""Iterations of L-BFGS on the trained parameters of an executable, and their memory.

`kernels/lbfgs` has the algorithm; here it is given evaluations of loss and gradient, one by one on any backend. A
backend with compiled code runs many iterations in one call, in its own class.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dnnkit.backends.executable import Executable
from dnnkit.backends.operations import Operations
from dnnkit.backends.state import HostArray, Hyperparameters
from dnnkit.kernels.array import Array
from dnnkit.kernels.lbfgs import iteration as lbfgs
from dnnkit.kernels.lbfgs.reference import Pair, Point, Vectors, dot

EVALUATED = 1024
"""Rows at a time when metrics are computed."""

TAKEN = (
    "decrease", "curvature", "initial_step", "gradient_tolerance", "change_tolerance", "max_evaluations",
)  # fmt: skip
"""Hyperparameters that an ITERATION has under the same names."""


class Iterations(ABC):
    """L-BFGS on one executable.

    Arguments:
        executable: computes loss and gradient, and holds the parameters.
        most: maximum number of pairs remembered.
    """

    def __init__(self, executable: Executable, most: int) -> None:
        self._executable, self._most = executable, most
        self._s = lbfgs.ITERATION.new(1)[0]
        self._data: Any = None
        """Data for which loss and gradient are known at the start of the next iteration."""
        self._is_given_up = False
        self.ended = ""
        """Why iterating ended; empty if it can continue."""

    # -- for callers ---------------------------------------------------------------------------------------------------

    def prepare(self, data: Any) -> None:
        """Compute loss and gradient at the current parameters, unless they are known."""
        self._run(data, 0, None)

    def run(self, data: Any, count: int, hyperparameters: Hyperparameters) -> HostArray:
        """Run up to `count` iterations; return one row of results per iteration.

        A row is (loss, evaluations so far, sums of metrics ...). An interrupted iteration has no effect.
        """
        return self._run(data, count, hyperparameters)

    def _run(self, data: Any, count: int, hyperparameters: Hyperparameters | None) -> HostArray:
        s, state, self.ended = self._s, self._executable.state, ""
        if hyperparameters is not None:
            for name in TAKEN:
                setattr(s, name, hyperparameters.constants[name])
            s.most_tried = int(hyperparameters.constants["max_line_search"])
        s.left, s.evaluations = count, state.evaluations
        s.is_known = int(self._data is data and self._is_where_it_was())
        self._data = None
        lbfgs.reset(s)
        try:
            noted = self._iterate(data, None if hyperparameters is None else hyperparameters.learning_rates)
        finally:
            if not s.is_over:
                lbfgs.give_up(s)
            self._data = data if s.is_known else None
            state.step, state.evaluations = state.step + s.updates, s.evaluations
            self._is_given_up, s.pauses = False, 0
        self.ended = self._why()
        return noted

    def give_up(self) -> None:
        """Abandon the running iteration, as if it had not begun."""
        self._is_given_up = True

    def pause(self) -> None:
        """End after the running iteration, or the next."""
        self._s.pauses = 1

    def forget(self) -> None:
        """Discard loss and gradient, so that they are computed again."""
        self._data = None

    @property
    @abstractmethod
    def pairs(self) -> list[tuple[Array, Array]]:
        """The remembered pairs (step, change of the gradient), flat, the oldest first."""

    @pairs.setter
    @abstractmethod
    def pairs(self, pairs: Sequence[tuple[Array, Array]]) -> None: ...

    @abstractmethod
    def _is_where_it_was(self) -> bool:
        """Whether the parameters are those at the end of the last iteration."""

    @abstractmethod
    def _iterate(self, data: Any, rates: HostArray | None) -> HostArray:
        """Evaluate and advance until it is over or given up; see `run`."""

    def _why(self) -> str:
        """Describe why it ended."""
        s, dtype = self._s, self._executable.program.dtype
        if s.ended == lbfgs.NO_NUMBER:
            return f"the loss is {s.value:g}, and the largest element of its gradient {s.largest:g}"
        if s.ended == lbfgs.CONVERGED:
            return (
                f"converged: the largest element of the gradient is {s.largest:.1e}, at most "
                f"gradient_tolerance={s.gradient_tolerance:g}"
            )
        if s.ended == lbfgs.FLAT:
            return f"the loss fell by {s.fell:.1e}, at most a fraction change_tolerance={s.change_tolerance:g} of it"
        if s.ended == lbfgs.SPENT:
            return f"max_evaluations={s.max_evaluations:.0f} is reached"
        if s.ended == lbfgs.STUCK:
            cure = "; dtype='float64' is more precise" if dtype == "float32" else ""
            return (
                f"no lower loss was found along the search direction in {s.tried} evaluations: it is the minimum up to "
                f"rounding in {dtype}{cure}"
            )
        return ""


class ArrayIterations(Iterations):
    """L-BFGS by operations of a backend, one after another.

    Arguments:
        rows: rows per chunk.
    """

    def __init__(self, executable: Executable, most: int, rows: int, backend: Operations) -> None:
        super().__init__(executable, most)
        self._rows, self._backend = rows, backend
        self._vectors = Vectors(backend.xp, most)

    @property
    def pairs(self) -> list[tuple[Array, Array]]:  # noqa: D102
        return [(pair.step, pair.change) for pair in self._vectors.in_use(self._s)]

    @pairs.setter
    def pairs(self, pairs: Sequence[tuple[Array, Array]]) -> None:
        found = [Pair(step, change, float(dot(step, change, self._backend.xp))) for step, change in pairs]
        self._vectors.pairs, self._s.pairs = tuple(found), len(found)

    def _is_where_it_was(self) -> bool:
        now = self._vectors.now
        return now is not None and bool(self._backend.xp.all(now.numbers == self._executable.read_trained()))

    def _iterate(self, data: Any, rates: HostArray | None) -> HostArray:
        s, v, executable, noted = self._s, self._vectors, self._executable, list[tuple[float, ...]]()

        def note() -> None:
            assert v.now is not None
            executable.write_trained(self._backend.xp.asarray(v.now.numbers, copy=True))
            metrics: tuple[float, ...] = ()
            if executable.program.metrics:
                metrics = executable.evaluate(data, EVALUATED).metrics
            noted.append((s.value, s.evaluations, *metrics))

        v.note, v.rates = note, () if rates is None else rates.tolist()
        if not s.is_known:
            v.wanted = executable.read_trained()
        with np.errstate(all="ignore"):
            lbfgs.begin(s, v)
            while not s.is_over and (loss := self._evaluate(data)) is not None:
                lbfgs.advance(s, v, loss)
        v.note = lambda: None
        return np.array(noted, np.float64).reshape(len(noted), 1 + executable.program.measured)

    def _evaluate(self, data: Any) -> float | None:
        """Evaluate loss and gradient at the requested point; return None if given up."""
        is_wanted: Callable[[], bool] = lambda: not self._is_given_up  # noqa: E731
        found = self._executable.differentiate_all(data, self._vectors.wanted, self._rows, is_wanted)
        if found is None or not is_wanted():
            return None
        loss, gradient = found
        self._vectors.trial = Point(self._vectors.wanted, gradient)
        return float(loss)
