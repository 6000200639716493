"""Training on the whole data at a time: an executable whose steps are iterations of L-BFGS.

It stands around the executable that a backend builds of the same program without an optimizer, and asks that for loss
and gradient as a function of the trained parameters (`Executable.differentiate_all`), all of them one flat array. What
the algorithm does with such arrays are operations of the backend; `kernels/lbfgs` has the formulas and the line search.

One step is one iteration: a direction, and along it as many evaluations as the strong Wolfe conditions want, mostly
one.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite, sqrt
from time import perf_counter
from typing import Any

import numpy as np

from dnnkit.backends.executable import AfterBatch, Executable, Gradients
from dnnkit.backends.inspection import StepParts
from dnnkit.backends.operations import Operations
from dnnkit.backends.program import FullBatch, Program
from dnnkit.backends.stages import Dropout, Op, Stage
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Plan, Snapshot, Totals, TrainingState
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array
from dnnkit.kernels.lbfgs.line_search import Found, GaveUp, Trial, strong_wolfe
from dnnkit.kernels.lbfgs.pairs import Pair

ACTIVATIONS = 1 << 26
"""Bytes that the outputs of all stages may take at a time: more rows than that are computed in chunks."""

CHUNK = 1 << 32
"""Rows times parameters of a chunk, of about a quarter of a second: so long Ctrl-C may have to wait."""

LEAST_ROWS = 256
"""Of a chunk, however many parameters there are."""

EVALUATED = 1024
"""Rows that metrics are computed from at a time."""

NO_CURVATURE = 1e-10
"""Share of |y|² that s·y must exceed: below, rounding decides its sign."""


def around(executable: Executable, program: Program, backend: Operations) -> Executable:
    """The executable of the program without its optimizer, trained as the program says."""
    assert isinstance(program.rule, FullBatch)
    return FullBatchExecutable(executable, program, program.rule.pairs, backend)


def rows_at_a_time(program: Program) -> int:
    """Of a chunk of the data; of the program alone, for it decides the last bits."""
    numbers = 4 * sum(program.widths)  # values and their gradients, before and after an activation
    by_memory = ACTIVATIONS // (np.dtype(program.dtype).itemsize * numbers)
    return max(LEAST_ROWS, min(by_memory, CHUNK // max(1, program.size)))


def require_one_function(program: Program) -> None:
    """Raise `ConfigurationError` where the loss is no function of the parameters alone: then no comparison is right."""
    cure = "leave it out, or train with another optimizer, such as dk.Adam()"
    for stage in program.stages:
        if (name := drawing(stage)) is not None:
            raise ConfigurationError(
                f"{name} makes the loss another one in each step, but L-BFGS compares losses at several parameters: "
                f"{cure}"
            )
        if isinstance(stage, Op) and has_statistics(stage):
            raise ConfigurationError(
                f"{stage.kind} learns statistics step by step, but L-BFGS has few steps and many evaluations: freeze "
                f"the layer, use one without statistics, such as a LayerNormalization, or {cure}"
            )
    if program.bounds:
        raise ConfigurationError(
            "a layer has a constraint, but L-BFGS looks for the lowest loss of all: leave it out, use a penalty, such "
            "as kernel_regularizer='l2', or train with another optimizer, such as dk.Adam()"
        )


def drawing(stage: Stage) -> str | None:
    """The name of a stage that draws random numbers; None of others."""
    if isinstance(stage, Dropout) and (callable(stage.rate) or stage.rate > 0):
        return "Dropout"
    draws = isinstance(stage, Op) and hasattr(registry.find(stage.kind, "stage"), "PURPOSE")
    return stage.kind if isinstance(stage, Op) and draws else None


def has_statistics(stage: Op) -> bool:
    """Whether its training steps change statistics of its own."""
    is_frozen = dict(stage.settings).get("frozen", False)
    return not is_frozen and bool(getattr(registry.find(stage.kind, "stage"), "AFTER", ()))


@dataclass(frozen=True)
class Point:
    """Parameters, and the gradient there; flat."""

    numbers: Array
    gradient: Array
    largest: float
    """Number of the gradient."""


@dataclass
class Epoch:
    """The data of an epoch, and what was measured in it."""

    data: Any
    weight: float
    totals: Totals | None = None


class FullBatchExecutable(Executable):
    """A built program, trained by L-BFGS."""

    epoch: Epoch | None

    def __init__(self, inner: Executable, program: Program, pairs: int, backend: Operations) -> None:
        self._inner, self._backend, self._xp = inner, backend, backend.xp
        self.program, self.epoch = program, None
        self._rows, self._most = rows_at_a_time(program), pairs
        self._pairs: tuple[Pair, ...] = ()
        """Of the last steps, the oldest first."""
        self._reduction = program.loss.reduction if program.loss is not None else "mean"
        self._ended, self._is_given_up = "", False
        self._last: tuple[Any, Trial[Point]] | None = None
        """The data of the last step, and where it ended: the next begins there."""

    @property
    def within(self) -> Executable:
        """What a backend built."""
        return self._inner

    # -- what the executable inside does -----------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """How the backend runs the program."""
        return self._inner.plan

    @plan.setter
    def plan(self, plan: Plan) -> None:
        self._inner.plan = plan

    @property
    def state(self) -> TrainingState:
        """Step, epoch and position."""
        return self._inner.state

    @state.setter
    def state(self, state: TrainingState) -> None:
        self._inner.state = state

    @property
    def can_freeze(self) -> bool:  # type: ignore[override]
        """See `Executable`."""
        return self._inner.can_freeze

    @property
    def can_hold(self) -> bool:  # type: ignore[override]
        """See `Executable`."""
        return self._inner.can_hold

    @property
    def reads_in_parallel(self) -> bool:  # type: ignore[override]
        """See `Executable`."""
        return self._inner.reads_in_parallel

    def load(self, x: Array, y: Array | None, weights: Array | None) -> Any:  # noqa: D102
        return self._inner.load(x, y, weights)

    def gradients(self, data: Any, *, with_input: bool = False) -> Gradients:  # noqa: D102
        return self._inner.gradients(data, with_input=with_input)

    def differentiate_batch(self, x: Any, y: Any) -> Gradients | None:  # noqa: D102
        return self._inner.differentiate_batch(x, y)

    def evaluate(  # noqa: D102
        self, data: Any, batch_size: int, parameters: Any = None, after_batch: AfterBatch | None = None
    ) -> Totals:
        return self._inner.evaluate(data, batch_size, parameters, after_batch)

    def targets(self, data: Any) -> tuple[HostArray, HostArray | None]:  # noqa: D102
        return self._inner.targets(data)

    def predict(self, data: Any, batch_size: int, parameters: Any = None) -> HostArray:  # noqa: D102
        return self._inner.predict(data, batch_size, parameters)

    def predict_few(self, x: Any, parameters: Any = None) -> HostArray | None:  # noqa: D102
        return self._inner.predict_few(x, parameters)

    def settle(self) -> Any:  # noqa: D102
        return self._inner.settle()

    def copy_parameters(self) -> Any:  # noqa: D102
        return self._inner.copy_parameters()

    def read_parameter(self, name: str, parameters: Any = None) -> HostArray:  # noqa: D102
        return self._inner.read_parameter(name, parameters)

    def write_parameter(self, name: str, value: HostArray) -> None:  # noqa: D102
        self._inner.write_parameter(name, value)

    # -- numbers in and out ------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """As every executable's; the steps are slots "step_0", "step_1", ..., the oldest first, and so are changes."""
        inner, slots = self._inner.snapshot(), dict[str, HostArray]()
        with self._backend.on_device():
            for place, pair in enumerate(self._pairs):
                for slot, flat in (("step", pair.step), ("change", pair.change)):
                    named = self._inner.name_trained(flat)
                    slots |= {f"{slot}_{place}/{name}": array for name, array in named.items()}
        return Snapshot(
            inner.parameters, slots, replace(inner.state, sums=self.sums() if inner.state.position else None)
        )

    def restore(self, snapshot: Snapshot) -> None:  # noqa: D102
        self._inner.restore(Snapshot(snapshot.parameters, {}, snapshot.state))
        self.epoch, self._last, slots = None, None, snapshot.slots
        self._pairs = ()
        with self._backend.on_device():
            for place in range(self._most):
                pair = [_of_slot(slots, f"{slot}_{place}/") for slot in ("step", "change")]
                if not all(pair):
                    break
                self._remember(*map(self._inner.flatten_trained, pair))

    # -- training ----------------------------------------------------------------------------------------------------

    def prepare(  # noqa: D102
        self, data: Any, batch_size: int, hyperparameters: Hyperparameters, held_out: Any = None
    ) -> None:
        require_one_function(self.program)
        with self._backend.on_device():
            self._begin(data)  # which compiles what it needs; the first step begins with what it found

    def begin_epoch(self, data: Any, order: HostArray, batch_size: int) -> None:
        """The order of the rows does not matter, for all are looked at."""
        require_one_function(self.program)
        self.epoch = Epoch(data, self._inner.weight(data))
        self._is_given_up, self._ended = False, ""

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
        step, pairs, evaluations = first, self._pairs, self.state.evaluations
        try:
            with self._backend.on_device(), np.errstate(all="ignore"):
                while step < last and not self._is_given_up and not self._ended:
                    self._iterate(float(hyperparameters.learning_rates[step - first]), hyperparameters.constants)
                    step += 1
                    pairs, evaluations = self._pairs, self.state.evaluations
        except GaveUp:  # as if the step had not begun
            self._pairs, self.state.evaluations = pairs, evaluations
        finally:
            self._is_given_up = False
        return last if self._ended else step

    def request_stop(self) -> None:
        """Of who wants a turn: it comes after the step, of which there is one at a time."""

    def give_up(self) -> None:  # noqa: D102
        self._is_given_up = True

    @property
    def ended(self) -> str:  # noqa: D102
        return self._ended

    @property
    def counts(self) -> Mapping[str, int]:  # noqa: D102
        return {"evaluations": self.state.evaluations}

    def _evaluate(self, data: Any, numbers: Array) -> tuple[float, Array]:
        found = self._inner.differentiate_all(data, numbers, self._rows, lambda: not self._is_given_up)
        if found is None:
            raise GaveUp
        return found

    def _begin(self, data: Any) -> Trial[Point]:
        """The point where the parameters are: that of the last step, unless somebody changed something since."""
        numbers = self._inner.read_trained()
        if self._last is not None and self._last[0] is data:
            at = self._last[1]
            if bool(self._xp.all(at.where.numbers == numbers)):
                return at
        loss, gradient = self._evaluate(data, numbers)
        at = Trial(0.0, loss, 0.0, Point(numbers, gradient, self._largest(gradient)))
        self._last = data, at
        return at

    def _iterate(self, rate: float, constants: Mapping[str, float]) -> None:
        epoch = self.epoch
        assert epoch is not None
        begin = self._begin(epoch.data)
        if self.state.evaluations == 0:  # of a training that goes on, the first was counted before
            self.state.evaluations = 1
        now, largest = begin.where, begin.where.largest
        if not isfinite(begin.value) or not isfinite(largest):
            self._end(epoch, begin, f"the loss is {begin.value:g}, and the largest number of its gradient {largest:g}")
            return
        if largest <= constants["gradient_tolerance"]:
            self._end(epoch, begin, self._converged(largest, constants))
            return
        found = self._search(epoch.data, begin, rate, constants)
        if found.trial is None and self._pairs:
            self._pairs = ()  # the direction of steepest descent is one in which any loss falls
            found = self._search(epoch.data, begin, rate, constants)
        if found.trial is None:
            self._end(epoch, begin, self._stuck(found.evaluations))
            return
        after = found.trial.where
        self._inner.write_trained(after.numbers)
        self._remember(after.numbers - now.numbers, after.gradient - now.gradient)
        end = replace(found.trial, step=0.0)
        self._last, self.state.step = (epoch.data, end), self.state.step + 1
        fell, largest = begin.value - end.value, after.largest
        reason = ""
        if largest <= constants["gradient_tolerance"]:
            reason = self._converged(largest, constants)
        elif fell <= constants["change_tolerance"] * abs(begin.value):
            tolerance = constants["change_tolerance"]
            reason = f"the loss fell by {fell:.1e}, which is at most change_tolerance={tolerance:g} of it"
        elif 0 < constants["max_evaluations"] <= self.state.evaluations:
            reason = f"max_evaluations={constants['max_evaluations']:.0f} are made"
        self._end(epoch, end, reason)

    def _search(self, data: Any, begin: Trial[Point], rate: float, constants: Mapping[str, float]) -> Found[Point]:
        """The line search along the direction that the memory gives; the first step of all is as long as asked."""
        backend, now = self._backend, begin.where
        direction = backend.lbfgs_direction(now.gradient, self._pairs)
        slope = backend.dot(now.gradient, direction)
        if not slope < 0 and self._pairs:  # by rounding
            self._pairs, direction = (), -now.gradient
            slope = backend.dot(now.gradient, direction)
        if not -np.inf < slope < 0:
            return Found(None, False, 0)
        step = rate if self._pairs else min(rate, constants["initial_step"] / sqrt(-slope))

        def evaluate(step: float) -> Trial[Point]:
            numbers = now.numbers + step * direction
            loss, gradient = self._evaluate(data, numbers)
            self.state.evaluations += 1
            largest = self._largest(gradient)
            return Trial(step, loss, backend.dot(gradient, direction), Point(numbers, gradient, largest))

        most = int(constants["max_line_search"])
        conditions = constants["decrease"], constants["curvature"]
        return strong_wolfe(evaluate, replace(begin, slope=slope), step, *conditions, most)

    def _remember(self, step: Array, change: Array) -> None:
        """Keep a pair, if the loss is convex along it, without which the next direction would not lead down."""
        curvature = self._backend.dot(step, change)
        if curvature > NO_CURVATURE * self._backend.dot(change, change):
            self._pairs = (*self._pairs, Pair(step, change, curvature))[-self._most :]

    def _largest(self, gradient: Array) -> float:
        return float(self._xp.max(self._xp.abs(gradient)))

    # -- what is told ------------------------------------------------------------------------------------------------

    def _end(self, epoch: Epoch, at: Trial[Point], reason: str) -> None:
        """Note what was measured where the step ended, and why there is no other."""
        self._ended = reason
        metrics: tuple[float, ...] = ()
        if self.program.metrics:
            metrics = self._inner.evaluate(epoch.data, EVALUATED).metrics
        loss = at.value if self._reduction == "sum" else at.value * epoch.weight
        epoch.totals = Totals(loss, epoch.weight, metrics, self._reduction, -1 if at.value == at.value else 0)

    @staticmethod
    def _converged(largest: float, constants: Mapping[str, float]) -> str:
        tolerance = constants["gradient_tolerance"]
        return (
            f"converged: the largest number of the gradient is {largest:.1e}, at most gradient_tolerance={tolerance:g}"
        )

    def _stuck(self, evaluations: int) -> str:
        """No step down the gradient lowers the loss."""
        cure = "; dtype='float64' goes further" if self.program.dtype == "float32" else ""
        return (
            f"no lower loss was found down the gradient in {evaluations} evaluations: it is as low as "
            f"{self.program.dtype} can tell{cure}"
        )

    def totals(self) -> Totals:
        """Loss and metrics at the end of the step: they are those of the parameters that there are now."""
        epoch = self.epoch
        if epoch is None or epoch.totals is None:
            return Totals(0.0, 0.0, (0.0,) * (self.program.measured - 1), self._reduction)
        return epoch.totals

    def sums(self) -> EpochSums | None:  # noqa: D102
        if self.epoch is None:
            return self.state.sums
        totals = self.totals()
        return EpochSums(0, totals.weight, ((totals.loss, *totals.metrics),), totals.nan_step)

    def go_on_from(self, sums: EpochSums) -> None:  # noqa: D102
        assert self.epoch is not None
        loss, *metrics = sums.total
        self.epoch.totals = Totals(loss, sums.weight, tuple(metrics), self._reduction, sums.nan_step)

    def update(self, gradients: Mapping[str, Array], hyperparameters: Hyperparameters) -> None:  # noqa: D102
        raise ConfigurationError(
            "L-BFGS takes no gradients from outside, for it evaluates the loss at parameters of its own: train by "
            "net.fit(x, y) or net.train_step(x, y), or compile with another optimizer, such as dk.SGD()"
        )

    def step_parts(self, data: Any, order: HostArray, batch_size: int) -> StepParts:
        """How long one evaluation of loss and gradient on these rows takes."""
        numbers, always = self._inner.read_trained(), lambda: True
        seconds = []
        for _ in range(3):
            start = perf_counter()
            self._inner.differentiate_all(data, numbers, batch_size, always)
            seconds.append(perf_counter() - start)
        return StepParts((), None, min(seconds))


def _of_slot(slots: Mapping[str, HostArray], start: str) -> dict[str, HostArray]:
    """Parameter -> its numbers, of all slots whose names begin so."""
    return {name.removeprefix(start): value for name, value in slots.items() if name.startswith(start)}
