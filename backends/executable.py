"""What a backend builds from a program: the executable, owner of every buffer.

The contract only. `stagewise/executable.py` fulfils it for every backend, one operation after another; a backend with a
faster way (a compiled epoch, a resident GPU kernel) has its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

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
"""What is called after a batch of an evaluation, with its number and the totals so far."""


@dataclass(frozen=True)
class Gradients:
    """The loss of a batch and its gradient in every trained parameter, on the backend; `input` only if asked for."""

    loss: float
    parameters: Mapping[str, Array]
    input: Array | None = None


@dataclass(frozen=True)
class Epochs:
    """What was measured in epochs that were run in one call: their logs, by name a number of each."""

    count: int
    logs: Mapping[str, list[float]]
    last: Totals


class Executable(ABC):
    """A built network. After `build`, a training step allocates nothing that grows.

    One epoch: `begin_epoch(data, order, batch_size)`, then `run_steps(0, steps, ...)` in one call or in several, then
    `totals()`. Nothing is read back from the device before `totals`.
    """

    program: Program
    plan: Plan
    state: TrainingState
    epoch: Any = None
    """All that `begin_epoch` begins: who keeps it, and puts it back, may run steps of other data meanwhile."""
    api_version = 1
    """What it understands. 2 has programs that are graphs, with ops, statistics and several outputs; frozen parameters;
    penalties and bounds; groups of parameters, running means and all of `Hyperparameters`; updates that are made of
    several batches. An executable of before these says nothing, and would train as if they were not there: it is given
    no such program, and no network trains with it that has such."""
    can_run_epochs = False
    """Whether it runs epochs of one step in one call; the order of the rows does not matter then."""
    loads_in_parallel = False
    """Whether another thread may call `load` while steps run, so that the next data are ready when these are used."""
    reads_in_parallel = False
    """Whether several threads may call `predict`, `predict_few`, `evaluate` and `read_parameter` at once, also beside
    one that does something else, if they are given the parameters: of `copy_parameters`, or of `settle` as long as
    nothing changes them. All else is for one thread at a time; the network sees to that."""

    # -- data --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def load(self, x: Array, y: Array | None, weights: Array | None) -> Any:
        """Take checked data (N, ...), targets and row weights, (N,) or of each output (N, outputs) (`balanced`); the
        result, of length N, is what other calls want.

        All is checked but whether data are finite: as every number is read here, in the dtype of the program, it is
        seen here, too, and `DataError` says where one is not.

        Arrays are the host's, or the backend's own. They must not change while the executable uses them.
        """

    @property
    def loading(self) -> Hashable | None:
        """All that `load` depends on besides the arrays: where it is equal, executables share what one has loaded.

        None where nobody shares.
        """
        return None

    # -- training ----------------------------------------------------------------------------------------------------

    def prepare(  # noqa: B027 - a backend that compiles nothing has nothing to do
        self, data: Any, batch_size: int, hyperparameters: Hyperparameters, held_out: Any = None
    ) -> None:
        """Do what takes long before the first step of an epoch with such batches, and of an evaluation of `held_out`.

        Called before any clock runs, where it can be interrupted. Whoever does not call it waits in the first step.
        """

    @abstractmethod
    def begin_epoch(self, data: Any, order: HostArray, batch_size: int) -> None:
        """Hand over data and the order of its rows once for many steps, and set the totals to zero."""

    @property
    def ended(self) -> str:
        """Why there is nothing left to train, in words, after steps of an optimizer that knows when; else empty."""
        return ""

    @property
    def counts(self) -> Mapping[str, int]:
        """What is told of an epoch besides loss and metrics, such as how often they were evaluated."""
        return {}

    @abstractmethod
    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:
        """Run steps first … last - 1 of the epoch; return the step after the last one that was run.

        That is `last`, or less after `request_stop`. `learning_rates[i]` is for step first + i.
        """

    def run_epochs(self, data: Any, most: int, hyperparameters: Hyperparameters) -> Epochs:
        """Run so many epochs of one step each, or fewer, where `can_run_epochs`; as one by one, but for who looks."""
        raise NotImplementedError(f"{type(self).__name__} runs epochs one by one")

    @abstractmethod
    def request_stop(self) -> None:
        """Make the running or next `run_steps` return between two steps; callable from a signal handler."""

    def give_up(self) -> None:
        """As `request_stop`, for somebody who does not wait: a step of seconds may end without an update."""
        self.request_stop()

    @abstractmethod
    def totals(self) -> Totals:
        """Loss and metrics summed over the steps since `begin_epoch`, as they were before each update."""

    def sums(self) -> EpochSums | None:
        """What `totals` is made of, to go on from; None where the backend cannot: then totals are those of the rest."""
        return None

    def go_on_from(self, sums: EpochSums) -> None:
        """Let the epoch that has just begun, not with its first step, add to these sums."""
        raise NotImplementedError("an executable that gives sums goes on from them")

    def turn_to(self, data: Any, order: HostArray, batch_size: int, sums: EpochSums | None, step: int = 0) -> None:
        """Go on with the running epoch, the next steps of which have other data: totals add to these sums.

        Steps count from the first of this order from now on, and `step` of them is the next; `state.position` and all
        totals still count from the epoch's first.
        """
        self.begin_epoch(data, order, batch_size)  # totals are those of the rest, where sums are not known

    @abstractmethod
    def gradients(self, data: Any, *, with_input: bool = False) -> Gradients:
        """Loss and gradients of all rows of the data as one batch, in training mode; changes no state."""

    def derivatives(self, data: Any, source: "Executable") -> HostArray | None:
        """Derivatives of the scores of all rows in their inputs, (N, outputs, features), with another's parameters.

        None where the rows have to be given once for each output, to `gradients`.
        """
        return None

    @abstractmethod
    def update(self, gradients: Mapping[str, Array], hyperparameters: Hyperparameters) -> None:
        """A step with gradients by name of all that is trained, such as a mean of several ranks, as of a batch."""

    # -- parts of a batch, for ranks that share it -------------------------------------------------------------------

    def differentiate_part(self, data: Any, batch: HostArray, first: int, last: int, out: HostArray) -> list[float]:
        """What rows first ... last - 1 of a batch add to its gradient, and to the sums of loss and metrics.

        The parts of a batch add up to what a training step measures, and to the gradient that it updates with: dropout
        draws what it draws for the whole batch, a mean is over the whole batch, and penalties are in the part that
        begins with row 0. Changes no state.

        Arguments:
            data: as `load` gave it.
            batch: numbers of all the rows of the batch, int64.
            first, last: which of these are the part's; at least one.
            out: host memory from `empty_gradient`, for the gradient.

        Returns:
            The sums (`Program.measured`,) over the part's rows.
        """
        raise self._without_parts()

    def empty_gradient(self) -> HostArray:
        """Flat host memory for a gradient of all that is trained, in the program's dtype."""
        raise self._without_parts()

    def update_flat(self, gradient: HostArray, hyperparameters: Hyperparameters) -> None:
        """`update` with a gradient as `differentiate_part` writes it."""
        raise self._without_parts()

    def _without_parts(self) -> BackendUnavailable:
        return BackendUnavailable(
            f"the backend {self.plan.backend!r} has no parts of batches, which ranks need to share one: its "
            f"{type(self).__name__} has no differentiate_part. Leave out distributed=, or use another backend, such as "
            "numpy"
        )

    # -- all rows as one function of the trained parameters, for `iterations.py` -------------------------------------

    def read_trained(self) -> Array:
        """A copy of all trained parameters, as one flat array of the backend."""
        raise self._without_full_batches()

    def write_trained(self, numbers: Array) -> None:
        """Replace all trained parameters by what is as flat as `read_trained` gave it."""
        raise self._without_full_batches()

    def name_trained(self, numbers: Array) -> dict[str, HostArray]:
        """By name, on the host, what is as flat as `read_trained` gives it."""
        raise self._without_full_batches()

    def flatten_trained(self, values: Mapping[str, HostArray]) -> Array:
        """The opposite; what is missing is zeros."""
        raise self._without_full_batches()

    def weight(self, data: Any, rows: HostArray | None = None) -> float:
        """The sum of the row weights, of those rows if their numbers are given."""
        raise self._without_full_batches()

    def differentiate_all(
        self, data: Any, numbers: Array, rows: int, goes_on: Callable[[], bool]
    ) -> tuple[float, Array] | None:
        """Loss of all rows with these numbers as the trained parameters, and its gradient, as flat; changes no state.

        So many rows are computed at a time, so that memory is bounded. `goes_on` is asked between two such chunks;
        None as soon as it says no.
        """
        raise self._without_full_batches()

    def iterations(self, pairs: int, rows: int) -> "Iterations | None":
        """What makes many iterations of L-BFGS in one call, with so many pairs; None where nothing does.

        So many rows are computed at a time; the same as above.
        """
        return None

    def _without_full_batches(self) -> BackendUnavailable:
        return BackendUnavailable(
            f"the backend {self.plan.backend!r} has no full batches, which L-BFGS needs: its {type(self).__name__} has "
            "no differentiate_all. Use another optimizer, such as dk.Adam(), or another backend, such as numpy"
        )

    # -- batches of a user's own loop --------------------------------------------------------------------------------

    def train_batch(self, x: Any, y: Any, hyperparameters: Hyperparameters) -> float | None:
        """One update on x and y just as the user gave them; the loss before it.

        None, and nothing is done, if that is no faster than an epoch of one step, or something may be wrong with them.
        """
        return None

    def differentiate_batch(self, x: Any, y: Any) -> Gradients | None:
        """`gradients` of x and y just as the user gave them, in memory of their own; or None, as `train_batch`."""
        return None

    def step_parts(self, data: Any, order: HostArray, batch_size: int) -> StepParts:
        """How long a training step on these rows takes, part by part; afterwards the network has trained on them."""
        return StepParts((), None, measured_step(self, data, order, batch_size))

    # -- inference ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def evaluate(
        self, data: Any, batch_size: int, parameters: Any = None, after_batch: AfterBatch | None = None
    ) -> Totals:
        """Loss and metrics summed over all rows, dropout off; with the newest parameters, or those given.

        `after_batch` is called after each `batch_size` rows; without it, as many are computed at a time as are fastest.
        """

    def measure(
        self, data: Any, batch_size: int, parameters: Any = None, after_batch: AfterBatch | None = None
    ) -> dict[str, float]:
        """`evaluate`, by name; exact, where it has sums that only estimate a metric."""
        values = self.evaluate(data, batch_size, parameters, after_batch).means(self.program.metrics)
        if any(metric.exact is not None for metric in self.program.metrics):
            predictions, (targets, weights) = self.predict(data, batch_size, parameters), self.targets(data)
            for metric in self.program.metrics:
                if metric.exact is not None:
                    own = of_output(self.program.part(metric), targets, predictions)
                    values[metric.name] = metric.exact(*own, weights_of(weights, metric.output, namespace(targets)))
        return values

    def targets(self, data: Any) -> tuple[HostArray, HostArray | None]:
        """Labels (N,) or rows (N, K) of what `load` gave, and the row weights, on the host."""
        raise NotImplementedError(f"{type(self).__name__} does not tell targets, which exact metrics are computed from")

    @abstractmethod
    def predict(self, data: Any, batch_size: int, parameters: Any = None) -> HostArray:
        """Predictions (N, O) on the host, dropout off; with the newest parameters, or those given."""

    def predict_few(self, x: Any, parameters: Any = None) -> HostArray | None:
        """Predictions (N, O) for x just as the user gave it, if that is faster and x needs no check; else None."""
        return None

    # -- numbers in and out ------------------------------------------------------------------------------------------

    def settle(self) -> Any:
        """The parameters for `predict` and its like, without a copy: what changes them next may write to them."""
        return None

    def copy_parameters(self) -> Any:
        """A copy of the parameters as they are now, for `predict` and its like."""
        return None

    def averages(self) -> Any:
        """The running means of the parameters, and frozen ones as they are, for `predict` and its like: a copy."""
        raise NotImplementedError(f"{type(self).__name__} keeps no running means of parameters")

    @abstractmethod
    def read_parameter(self, name: str, parameters: Any = None) -> HostArray:
        """A copy of one parameter in its canonical shape; the newest, or of those given."""

    def write_average(self, name: str, value: HostArray) -> None:
        """Replace one running mean, as `write_parameter` does a parameter."""
        raise NotImplementedError(f"{type(self).__name__} keeps no running means of parameters")

    @abstractmethod
    def write_parameter(self, name: str, value: HostArray) -> None:
        """Replace one parameter; the value has its shape and dtype."""

    @property
    def within(self) -> "Executable":
        """What computes: itself, unless it trains by asking another one, which holds the parameters."""
        return self

    def take_over(self, other: "Executable") -> None:
        """Go on with the numbers and the state of another that runs on them: they are the same then, and no copies.

        The other was built by the same backend, of a program with the same parameters and rule.

        Raises:
            BackendUnavailable: it has no way to share numbers.
        """
        raise BackendUnavailable(
            f"the backend {self.plan.backend!r} has no way to compute gradients from those of the outputs, for its "
            f"{type(self).__name__} has no take_over: use another backend, such as numpy"
        )

    def follow(self, other: "Executable", share: float) -> None:
        """Move each parameter to that of its name in another: (1 - share) of its own, and share of the other's."""
        for parameter in self.program.parameters:
            own, its = self.read_parameter(parameter.name), other.read_parameter(parameter.name)
            self.write_parameter(parameter.name, interpolate(own, its.astype(own.dtype, copy=False), share))

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Copies of all parameters, slots and state."""

    @abstractmethod
    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot's numbers; slots that it lacks become zero."""
