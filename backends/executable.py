"""Executables: what a backend builds from a program, owner of all buffers.

This is only the contract. `stagewise/executable.py` implements it for every backend, one operation after another; a
backend with a faster way (a compiled epoch, recorded GPU steps) has its own executable.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dnnkit.backends.inspection import StepParts, measured_step
from dnnkit.backends.outputs import of_output, weights_of
from dnnkit.backends.program import Program
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Plan, Snapshot, Totals, TrainingState
from dnnkit.deferred import dataclass
from dnnkit.errors import BackendUnavailable
from dnnkit.kernels.array import Array, namespace
from dnnkit.kernels.interpolate.reference import interpolate

if TYPE_CHECKING:
    from dnnkit.backends.iterations import Iterations

AfterBatch: TypeAlias = Callable[[int, Totals], None]
"""Callback after each batch of an evaluation, with its number and the totals so far."""


@dataclass(frozen=True)
class Gradients:
    """Loss of a batch and its gradient in every trained parameter, on the backend; `input` only if requested."""

    loss: float
    parameters: Mapping[str, Array]
    input: Array | None = None


@dataclass(frozen=True)
class Epochs:
    """Logs of epochs that were run in one call: by name, one number per epoch."""

    count: int
    logs: Mapping[str, list[float]]
    last: Totals


class Executable(ABC):
    """A built network. After `build`, a training step allocates nothing that grows.

    An epoch: `begin_epoch(data, order, batch_size)`, then `run_steps(0, steps, ...)` in one call or several, then
    `totals()`. Nothing is read from the device before `totals`.
    """

    program: Program
    plan: Plan
    state: TrainingState
    epoch: Any = None
    """State that `begin_epoch` creates. A caller may save it, run steps on other data, and restore it."""
    api_version = 1
    """Version of the contract it supports. Version 2 adds programs that are graphs, with ops, statistics and several
    outputs; frozen parameters; penalties and constraints; parameter groups, running means and all of
    `Hyperparameters`; and gradient accumulation. An executable written before has the default, and would silently
    ignore these, so it is never given such a program.
    """
    most_filled = 0.0
    """Largest fraction of nonzero numbers up to which `load` should be given `CompressedRows`, which the first layer
    then multiplies as they are; 0 if it does not support them.
    """
    can_run_epochs = False
    """Whether it runs several epochs of one step in one call; the order of the rows then does not matter."""
    loads_in_parallel = False
    """Whether another thread may call `load` while steps run, to prefetch the next data."""
    reads_in_parallel = False
    """Whether several threads may call `predict`, `predict_few`, `evaluate` and `read_parameter` at once, even while
    another method runs, if they pass parameters: from `copy_parameters`, or from `settle` while nothing changes
    them. All other methods are for one thread at a time, which the network ensures.
    """

    # -- data --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def load(self, x: Array, y: Array | None, weights: Array | None) -> Any:
        """Load checked data (N, ...), targets and row weights, (N,) or per output (N, outputs) (see `balanced`).

        The result, of length N, is passed to other methods. Everything has been checked except whether numbers are
        finite: since every number is read here, in the program's dtype, that is checked here, and `DataError` says
        where one is not.

        Arrays are on the host, or the backend's own. They must not change while the executable uses them.
        """

    @property
    def loading(self) -> Hashable | None:
        """Everything that `load` depends on besides the arrays: executables with equal values share loaded data.

        None if loaded data are not shared.
        """
        return None

    # -- training ----------------------------------------------------------------------------------------------------

    def prepare(  # noqa: B027 - a backend that compiles nothing has nothing to do
        self, data: Any, batch_size: int, hyperparameters: Hyperparameters, held_out: Any = None
    ) -> None:
        """Do slow preparation for an epoch of such batches, and for an evaluation of `held_out`, ahead of its first
        step.

        Called before timing starts, and interruptible. Without it, the first step takes longer.
        """

    @abstractmethod
    def begin_epoch(self, data: Any, order: HostArray, batch_size: int) -> None:
        """Pass data and row order for many steps at once, and reset the totals."""

    def permutation(self, entropy: HostArray, rows: int) -> HostArray:
        """Return `numpy.random.default_rng(entropy).permutation(rows)`; entropy is at most four words of 32 bits."""
        return np.random.default_rng(entropy.tolist()).permutation(rows)

    @property
    def ended(self) -> str:
        """Why training is finished, for optimizers that determine it; empty otherwise."""
        return ""

    @property
    def counts(self) -> Mapping[str, int]:
        """Logged numbers of an epoch besides loss and metrics, such as the number of evaluations."""
        return {}

    @abstractmethod
    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:
        """Run steps first … last - 1 of the epoch; return the step after the last one that was run.

        That is `last`, or less after `request_stop`. `learning_rates[i]` is for step first + i.
        """

    def run_epochs(self, data: Any, most: int, hyperparameters: Hyperparameters) -> Epochs:
        """Run up to `most` epochs of one step each, if `can_run_epochs`; equivalent to running them one by one."""
        raise NotImplementedError(f"{type(self).__name__} runs epochs one by one")

    @abstractmethod
    def request_stop(self) -> None:
        """Make the current or next `run_steps` return between two steps; callable from a signal handler."""

    def give_up(self) -> None:
        """Like `request_stop`, but a step that takes seconds is abandoned without an update."""
        self.request_stop()

    @abstractmethod
    def totals(self) -> Totals:
        """Return loss and metrics summed over the steps since `begin_epoch`, each as before its update."""

    def sums(self) -> EpochSums | None:
        """Return the sums behind `totals`, for resuming; None if not supported: resumed totals then cover the rest
        only.
        """
        return None

    def go_on_from(self, sums: EpochSums) -> None:
        """Add these sums to the epoch that has just begun at a later step."""
        raise NotImplementedError("an executable that returns sums can resume from them")

    def turn_to(self, data: Any, order: HostArray, batch_size: int, sums: EpochSums | None, step: int = 0) -> None:
        """Continue the running epoch on other data; totals are added to these sums.

        Steps now count from the first of this order, and `step` is the next; `state.position` and all totals still
        count from the start of the epoch.
        """
        self.begin_epoch(data, order, batch_size)  # without sums, totals cover the rest only

    @abstractmethod
    def gradients(self, data: Any, *, with_input: bool = False) -> Gradients:
        """Return loss and gradients of all rows as one batch, in training mode; changes no state."""

    def derivatives(self, data: Any, source: "Executable") -> HostArray | None:
        """Return derivatives of the scores of all rows in their inputs, (N, outputs, features), for `source`'s
        parameters.

        None if the caller has to pass the rows to `gradients` once per output.
        """
        return None

    @abstractmethod
    def update(self, gradients: Mapping[str, Array], hyperparameters: Hyperparameters) -> None:
        """Apply an optimizer step with given gradients of all trained parameters, by name (a mean over ranks)."""

    # -- parts of a batch, for ranks that share one --------------------------------------------------------------------

    def differentiate_part(self, data: Any, rows: HostArray, first: int, weight: float, out: HostArray) -> list[float]:
        """Compute the contribution of consecutive rows of a batch to its gradient, loss and metrics.

        The parts of a batch add up to what a training step measures, and to its gradient: dropout draws as for the
        whole batch, a mean is over the whole batch, and penalties belong to the part that begins with row 0. Changes no
        state.

        Arguments:
            data: as returned by `load`.
            rows: indices of the part's rows in the data, int64; at least one.
            first: number of rows of the batch before these.
            weight: sum of the row weights of the whole batch, as from `weight`.
            out: host memory from `empty_gradient`, for the gradient.

        Returns:
            The sums (`Program.measured`,) over the part's rows.
        """
        raise self._without_parts()

    def empty_gradient(self) -> HostArray:
        """Return flat host memory for a gradient of all trained parameters, in the program's dtype."""
        raise self._without_parts()

    def update_flat(self, gradient: HostArray, hyperparameters: Hyperparameters) -> None:
        """Like `update`, with a gradient as written by `differentiate_part`."""
        raise self._without_parts()

    def _without_parts(self) -> BackendUnavailable:
        return BackendUnavailable(
            f"the backend {self.plan.backend!r} cannot split a batch among ranks: its "
            f"{type(self).__name__} has no differentiate_part. Leave out distributed=, or use another backend, such as "
            "numpy"
        )

    # -- all rows as one function of the trained parameters, for `iterations.py` -------------------------------------

    def read_trained(self) -> Array:
        """Return a copy of all trained parameters as one flat array of the backend."""
        raise self._without_full_batches()

    def write_trained(self, numbers: Array) -> None:
        """Replace all trained parameters by a flat array as from `read_trained`."""
        raise self._without_full_batches()

    def name_trained(self, numbers: Array) -> dict[str, HostArray]:
        """Convert a flat array as from `read_trained` to host arrays by name."""
        raise self._without_full_batches()

    def flatten_trained(self, values: Mapping[str, HostArray]) -> Array:
        """Invert `name_trained`; missing parameters are zero."""
        raise self._without_full_batches()

    def weight(self, data: Any, rows: HostArray | None = None) -> float:
        """Return the sum of the row weights, of all rows or of the given ones."""
        raise self._without_full_batches()

    def differentiate_all(
        self, data: Any, numbers: Array, rows: int, is_wanted: Callable[[], bool]
    ) -> tuple[float, Array] | None:
        """Return the loss over all rows and its flat gradient, for these trained parameters; changes no state.

        Rows are computed in chunks of `rows`, which bounds memory. `is_wanted` is asked between chunks; once it returns
        False, the result is None.
        """
        raise self._without_full_batches()

    def iterations(self, pairs: int, rows: int) -> "Iterations | None":
        """Return what runs many L-BFGS iterations in one call, with this many pairs; None if not supported.

        Rows are computed in chunks of `rows`.
        """
        return None

    def _without_full_batches(self) -> BackendUnavailable:
        return BackendUnavailable(
            f"the backend {self.plan.backend!r} does not support the full batches of L-BFGS: its "
            f"{type(self).__name__} has no differentiate_all. Use another optimizer, such as dk.Adam(), or another "
            "backend, such as numpy"
        )

    # -- batches of a user's loop --------------------------------------------------------------------------------------

    def train_batch(self, x: Any, y: Any, hyperparameters: Hyperparameters) -> float | None:
        """Apply an update on unchecked x and y from the user; return the loss before it.

        None, without effect, if that is no faster than an epoch of one step, or the data need the full checks.
        """
        return None

    def differentiate_batch(self, x: Any, y: Any) -> Gradients | None:
        """Return `gradients` of unchecked x and y from the user, in new memory; or None, as `train_batch`."""
        return None

    def step_parts(self, data: Any, order: HostArray, batch_size: int) -> StepParts:
        """Measure each part of a training step on these rows; the network is trained by it."""
        return StepParts((), None, measured_step(self, data, order, batch_size))

    # -- inference ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def evaluate(
        self, data: Any, batch_size: int, parameters: Any = None, after_batch: AfterBatch | None = None
    ) -> Totals:
        """Return loss and metrics summed over all rows, without dropout; for the newest parameters, or those given.

        `after_batch` is called after each `batch_size` rows; without it, the fastest chunk size is used.
        """

    def measure(
        self, data: Any, batch_size: int, parameters: Any = None, after_batch: AfterBatch | None = None
    ) -> dict[str, float]:
        """Return `evaluate` by name; exact where the sums only estimate a metric."""
        values = self.evaluate(data, batch_size, parameters, after_batch).means(self.program.metrics)
        if any(metric.exact is not None for metric in self.program.metrics):
            predictions, (targets, weights) = self.predict(data, batch_size, parameters), self.targets(data)
            for metric in self.program.metrics:
                if metric.exact is not None:
                    own = of_output(self.program.part(metric), targets, predictions)
                    values[metric.name] = metric.exact(*own, weights_of(weights, metric.output, namespace(targets)))
        return values

    def targets(self, data: Any) -> tuple[HostArray, HostArray | None]:
        """Return labels (N,) or rows (N, K) of loaded data, and the row weights, on the host."""
        raise NotImplementedError(f"{type(self).__name__} does not return targets, which exact metrics need")

    @abstractmethod
    def predict(self, data: Any, batch_size: int, parameters: Any = None) -> HostArray:
        """Return predictions (N, O) on the host, without dropout; for the newest parameters, or those given."""

    def predict_few(self, x: Any, parameters: Any = None) -> HostArray | None:
        """Return predictions (N, O) for unchecked x, if that is faster and x needs no checks; otherwise None."""
        return None

    # -- numbers in and out ------------------------------------------------------------------------------------------

    def settle(self) -> Any:
        """Return the parameters for `predict` and similar, without a copy: later changes may overwrite them."""
        return None

    def copy_parameters(self) -> Any:
        """Return a copy of the current parameters for `predict` and similar."""
        return None

    def averages(self) -> Any:
        """Return a copy of the running means of the parameters, with frozen parameters unchanged, for `predict` and
        similar.
        """
        raise NotImplementedError(f"{type(self).__name__} keeps no running means of parameters")

    @abstractmethod
    def read_parameter(self, name: str, parameters: Any = None) -> HostArray:
        """Return a copy of one parameter in its canonical shape; the newest, or of those given."""

    def write_average(self, name: str, value: HostArray) -> None:
        """Replace one running mean, as `write_parameter` does a parameter."""
        raise NotImplementedError(f"{type(self).__name__} keeps no running means of parameters")

    @abstractmethod
    def write_parameter(self, name: str, value: HostArray) -> None:
        """Replace one parameter; the value has its shape and dtype."""

    @property
    def within(self) -> "Executable":
        """The executable that holds the parameters: itself, unless it wraps another."""
        return self

    def take_over(self, other: "Executable") -> None:
        """Share the numbers and state of another executable, without copies.

        The other was built by the same backend, from a program with the same parameters and rule.

        Raises:
            BackendUnavailable: the backend cannot share numbers.
        """
        raise BackendUnavailable(
            f"the backend {self.plan.backend!r} cannot compute gradients from gradients of the outputs: its "
            f"{type(self).__name__} has no take_over. Use another backend, such as numpy"
        )

    def follow(self, other: "Executable", share: float) -> None:
        """Move each parameter towards that of the same name in another: (1 - share) own + share other."""
        for parameter in self.program.parameters:
            own, its = self.read_parameter(parameter.name), other.read_parameter(parameter.name)
            self.write_parameter(parameter.name, interpolate(own, its.astype(own.dtype, copy=False), share))

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Return copies of all parameters, slots and state."""

    @abstractmethod
    def restore(self, snapshot: Snapshot) -> None:
        """Restore the numbers of a snapshot; missing slots become zero."""
