"""Constructing a network: its layers, `compile`, `build`, its backend and executable."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends import choosing
from dnnkit.backends.base import Backend
from dnnkit.backends.choosing import ASSUMED_ROWS, Chosen
from dnnkit.backends.executable import Executable
from dnnkit.backends.program import Program
from dnnkit.backends.registry import get_backend
from dnnkit.backends.state import Hyperparameters, Snapshot, TrainingState
from dnnkit.diagnosis.first_look import Looked
from dnnkit.errors import BackendUnavailable, ConfigurationError, NotReady
from dnnkit.graph.graph import Graph
from dnnkit.initializers import Shape
from dnnkit.instead import refuse
from dnnkit.layers import Layer
from dnnkit.losses import Loss
from dnnkit.metrics import Given
from dnnkit.metrics import check as check_metrics
from dnnkit.network import checks, lowering
from dnnkit.network.agreement import warn_of_disagreement
from dnnkit.network.folding import Folding
from dnnkit.network.goals import Goal, check_names, goals_of
from dnnkit.network.parameters import Averages, Parameters
from dnnkit.network.protocol import Network
from dnnkit.network.turns import Turns
from dnnkit.network.weights import WithWeights
from dnnkit.optimizers import OPTIMIZERS, Optimizer
from dnnkit.training.history import History


class Buildable(WithWeights):
    """A network's layers, loss and optimizer, and the executable that a backend builds from them."""

    def __init__(
        self,
        graph: Graph,
        backend: str | Backend | None,
        seed: int,
        dtype: lowering.Dtype,
        num_threads: int | None,
    ) -> None:
        self.graph: Graph = graph
        """The layers and their connections. Internal."""
        self.goals: tuple[Goal, ...] = tuple(Goal(None) for _ in graph.outputs)
        """Loss and metrics of each output. Internal."""
        self.seed, self.dtype, self.num_threads = seed, dtype, num_threads
        self.gradient_accumulation_steps = 1
        self.stop_training = False
        self.turns = Turns()
        """Serializes changes of the network. Internal."""
        self._optimizer: Optimizer | None = None
        self._backend_asked = backend
        self._backend: Backend | None = None
        self._why = ""
        """Why "auto" chose the backend; empty if the backend was given by name."""
        self._weighed_rows: int | None = None
        """Batch size for which "auto" chose, while it may still choose again; otherwise None."""
        self._looked = Looked()
        self._executable: Executable | None = None
        self._folding: Folding | None = None
        """Predicts in its place, with fewer stages."""
        self._history: History | None = None
        self._parameters: tuple[Executable, Parameters] | None = None
        self._companions: tuple[Executable, dict[Any, Executable]] | None = None
        """(executable, companions that run on its parameters with gradients from outside): see `open_step`."""
        self._differentiated: tuple[Executable, dict[bool, Executable]] | None = None
        self._output_shapes: list[Shape] = []
        self._is_plain = len(graph.inputs) == 1 and graph.output_form == "one"
        """Whether the network has one input array and one output array."""

    # -- building ----------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: str | Optimizer | type[Optimizer] = "rmsprop",
        loss: str | Loss | type[Loss] | Sequence[Any] | Mapping[str, Any] | None = None,
        metrics: Given | Sequence[Any] | Mapping[str, Any] | None = (),
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        *,
        gradient_accumulation_steps: int | None = None,
        **others: Any,
    ) -> None:
        """Set the optimizer, the loss and the metrics. Keeps the parameters, resets the optimizer state.

        Warns (`TrainingWarning`) if the last activation, the loss and the metrics do not fit each other.

        With several outputs, the weighted sum of their losses is minimized. `loss`, `metrics` and `loss_weights` are
        then lists with one element per output, or dictionaries by output name; a single loss applies to every output.
        An output without a loss (None, or missing in the dictionary) is only predicted.

        Arguments:
            optimizer: a name or an `Optimizer`; default "rmsprop".
            loss: a name or a `Loss`. Without one, only `step` and `apply_gradients` can train the network, with
                gradients computed elsewhere.
            metrics: names, `Metric`s, or functions `(y_true, y_pred)` that return one value per row
                (docs/extending.md).
            loss_weights: factor of each output's loss in the sum; default 1.
            gradient_accumulation_steps: number of batches per update, across calls. The gradient is the mean of the
                batches' gradients, or their sum if the loss is a sum, as in `step`; four batches of 32 train like one
                of 128, up to rounding. `fit` still counts batches as steps; schedules count updates; dropout draws a
                mask per batch. Batches left over at the end of an epoch count towards the first update of the next.
            others: unsupported arguments of Keras; the error says what to use instead.

        Raises:
            UnknownArgument: an argument is not supported.
            UnknownName: there is no optimizer, loss, metric or output of that name.
            ConfigurationError: arguments contradict each other.
            ConcurrentUse: a fit is running.
        """
        refuse("compile", others, Buildable.compile)
        chosen, goals = OPTIMIZERS.make(optimizer, Optimizer), list[Goal]()
        if loss is None and (metrics or loss_weights):
            raise ConfigurationError(
                f"compile got {'metrics' if metrics else 'loss_weights'} but no loss, which they need: pass a loss, "
                "such as loss='mean_squared_error'"
            )
        for goal in goals_of(self.graph.output_names, loss, loss_weights, metrics):
            goals.append(replace(goal, metrics=check_metrics(goal.metrics)))
        check_names(self.graph.output_names, goals)
        if loss is not None:
            warn_of_disagreement(self.graph, goals)
        together = checks.check_optional_count("gradient_accumulation_steps", gradient_accumulation_steps) or 1
        if chosen.full_batch and together > 1:
            raise ConfigurationError(
                f"gradient_accumulation_steps={together}, but {type(chosen).__name__} uses all samples in each step: "
                "leave it out"
            )
        with self.turns.rebuilding("compile"):
            self.gradient_accumulation_steps = together
            self._optimizer, self.goals = chosen, tuple(goals)
            if self._executable is not None:
                self._rebuild(keep_slots=False, rows=self._weighed_rows)

    def build(self, input_shape: int | Sequence[int | None], *, batch_size: int = ASSUMED_ROWS) -> None:
        """Create the parameters for samples of a given shape.

        Not needed if the shape is known from `Input` or the first layer: the network then builds itself as soon as its
        parameters are used.

        Arguments:
            input_shape: shape of one sample; a leading None stands for the batch and is dropped.
            batch_size: batch size for which the backend "auto" compares a GPU with the CPU; the first `fit` compares
                again with its own.

        Raises:
            ConfigurationError: the network is already built, or has no layers.
            ShapeError: a layer does not accept its input shape.
        """
        rows = checks.check_count("batch_size", batch_size)
        with self.turns.rebuilding("build"):
            self._build(input_shape, rows)

    def build_of(self, input_shape: tuple[int, ...], give: Callable[[Network], None]) -> None:
        """`build`, with parameters set by `give`, such as those of a save. Internal."""
        with self.turns.rebuilding("build"):
            self._check_buildable()
            self._make(input_shape)
            give(self)

    def _build(self, input_shape: int | Sequence[int | None], rows: int) -> None:
        self._check_buildable()
        shape = checks.check_input_shape(input_shape)
        checks.check_size(self._graph_for(shape), self.dtype)
        self._make(shape, rows)
        self.executable.restore(Snapshot(self.initial_parameters(), {}, TrainingState()))
        if self.turns.shared_layers is not None:
            self.turns.shared_layers.publish_initial()

    def _check_buildable(self) -> None:
        if self._executable is not None:
            raise ConfigurationError("the network is built already: make a new Sequential for another input shape")
        if not self.descriptions:
            raise ConfigurationError("the network has no layers: pass at least one to Sequential")

    def _graph_for(self, input_shape: Shape) -> Graph:
        """Return the graph for samples of that shape.

        Raises:
            ConfigurationError: the network or one of its layers declares another shape.
        """
        if self.input_shape not in (None, input_shape):
            where = "as given by Input or the first layer" if len(self.graph.inputs) == 1 else "all inputs concatenated"
            raise ConfigurationError(f"samples have shape {input_shape}: expected {self.input_shape}, {where}")
        graph = self.graph.with_input_shape(input_shape)
        graph.check_sample_shapes()
        return graph

    def _make(self, input_shape: tuple[int, ...], rows: int = ASSUMED_ROWS) -> None:
        """Build the network with zero parameters, for batches of about `rows` rows."""
        graph = self._graph_for(input_shape)
        program = self._program(graph)
        chosen, executable = choosing.build(choosing.choose(self._backend_asked, program, rows), program)
        self.graph, self._output_shapes = graph, graph.output_shapes()
        self._weighed_rows = rows if chosen.why else None
        self._take(chosen, executable)

    def _program(self, graph: Graph | None = None, goals: Sequence[Goal] | None = None) -> Program:
        graph = graph or self.graph
        graph.check_sample_shapes()
        return lowering.lower_graph(
            graph,
            self.goals if goals is None else goals,
            optimizer=self._optimizer,
            dtype=self.dtype,
            seed=self.seed,
            num_threads=self.num_threads,
            accumulation=self.gradient_accumulation_steps,
        )

    def hyperparameters(self, count: int = 1) -> Hyperparameters:
        """Optimizer hyperparameters of the next `count` batches; batches of one update share those of the update."""
        executable, together = self.executable, self.gradient_accumulation_steps
        first, groups = executable.state.step, executable.program.groups
        if together == 1 or count == 1:
            return self.optimizer.hyperparameters(first // together, count, groups)
        updates = np.arange(first, first + count) // together
        found = self.optimizer.hyperparameters(int(updates[0]), int(updates[-1] - updates[0]) + 1, groups)
        return found.of_steps(updates - updates[0])

    def initial_parameters(self) -> dict[str, NDArray[Any]]:
        """Return the initial parameters drawn from the seed, by canonical name."""
        if self.input_shape is None:
            raise NotReady("the network is not built yet: call build(input_shape) or fit first")
        return lowering.initial_parameters(self.graph, self.seed, self.dtype)

    def to(self, backend: str | Backend) -> Self:
        """Move the network to another backend, with its parameters and optimizer state.

        Arguments:
            backend: name of a backend, such as "numpy", or a `Backend`.

        Returns:
            The network itself.

        Raises:
            UnknownName, BackendUnavailable: there is no such backend, or it does not work here.
            ConcurrentUse: a fit is running.
        """
        resolved = get_backend(backend)
        with self.turns.rebuilding("to"):
            self._backend_asked = resolved
            if self._executable is not None:
                self._backend, self._why, self._weighed_rows = resolved, "", None
                self._rebuild()
        return self

    def _rebuild(self, keep_slots: bool = True, rows: int | None = None) -> None:
        """Build a new executable for the network's current state and copy the old one's parameters to it.

        The backend stays the same, except that "auto" chooses again if `rows` (the batch size it chose for) is given
        and nothing has been trained yet.
        """
        assert self._backend is not None
        chosen, program = Chosen(self._backend, self._why), self._program()
        if rows is not None and self.executable.state.step == 0:
            chosen = choosing.choose("auto", program, rows)
        elif rows is not None:
            self._weighed_rows = None
        self._take(*choosing.build(chosen, program), keep_slots)

    def _rebuild_for_layers(self) -> None:
        """Build a new executable after `descriptions` were replaced by layers with the same parameters."""
        self._rebuild(rows=self._weighed_rows)
        self.executable.state.execution = ""  # the partition depends on the work, which has changed

    def _take(self, chosen: Chosen, executable: Executable, keep_slots: bool = True) -> None:
        """Adopt the executable and copy the previous one's parameters and state to it."""
        if executable.program.accumulation > 1 and executable.api_version < 2:
            raise BackendUnavailable(
                f"the backend {executable.plan.backend!r} updates after every batch: its "
                f"{type(executable).__name__} has api_version = {executable.api_version}, and gradient accumulation "
                "requires 2. Leave out gradient_accumulation_steps, or use another backend, such as numpy"
            )
        if self._executable is not None:
            snapshot = self._executable.snapshot()
            if not keep_slots:
                snapshot = Snapshot(snapshot.parameters, {}, replace(snapshot.state, step=0, sums=None, evaluations=0))
            executable.restore(snapshot)
        self._backend, self._executable = chosen.backend, executable
        self._folding = Folding.of(chosen.backend, executable)
        if self._history is None:
            self._history = History(self.seed, executable.plan)
        self._record_choice(chosen.why)

    @contextmanager
    def replaced(self, executable: Executable) -> Iterator[None]:
        """Temporarily replace the executable by another, and copy its state back at the end. Internal."""
        own, backend = self.executable, self.backend
        execution = own.state.execution
        with self.turns:
            self._executable, self._folding = executable, Folding.of(backend, executable)
        try:
            yield
        finally:
            with self.turns:
                snapshot = executable.snapshot()
                own.restore(replace(snapshot, state=replace(snapshot.state, execution=execution)))
                self._executable, self._folding = own, Folding.of(backend, own)

    def _record_choice(self, why: str) -> None:
        """Record why "auto" chose the backend, in the network and in the plan (and so in history and saves)."""
        self._why, executable = why, self.executable
        if why:
            executable.plan = replace(executable.plan, details={**executable.plan.details, choosing.CHOSEN: why})
        self.history.plan = executable.plan

    def _weigh_again(self, rows: int) -> None:
        """Let "auto" choose again for this batch size, if it chose for another and nothing has been trained."""
        weighed = self._weighed_rows
        if weighed is not None and weighed != rows and self.executable.state.step == 0:
            with self.turns.rebuilding("a fit that chooses its backend"):
                program = self._program()
                chosen = choosing.choose("auto", program, rows)
                if chosen.backend is self._backend:
                    self._record_choice(chosen.why)
                else:
                    self._take(*choosing.build(chosen, program))
                self._weighed_rows = rows

    # -- properties --------------------------------------------------------------------------------------------------

    @property
    def descriptions(self) -> tuple[Layer, ...]:
        """The layers as they were given; `layers` returns copies that give access to their weights."""
        return self.graph.layers

    @property
    def input_shape(self) -> Shape | None:
        """Shape of a sample, None if not yet known; with several inputs, the shape of all of them concatenated."""
        return self.graph.input_shape

    @property
    def loss(self) -> Any:
        """The loss, or a dictionary of losses by output name; None before `compile`."""
        if len(self.goals) == 1:
            return self.goals[0].loss
        named = zip(self.graph.output_names, self.goals, strict=True)
        return {name: goal.loss for name, goal in named if goal.loss is not None} or None

    @property
    def metrics(self) -> tuple[Given, ...]:
        """The metrics, output by output."""
        return tuple(metric for goal in self.goals for metric in goal.metrics)

    @property
    def executable(self) -> Executable:
        """The executable that the backend built; raises `NotReady` if the network cannot be built yet."""
        if self._executable is None:
            self._build_as_known("call build(input_shape) or fit first")
            assert self._executable is not None
        return self._executable

    def _build_as_known(self, otherwise: str) -> None:
        """Build the network if the input shape is known."""
        if self.input_shape is None:
            raise NotReady(f"the network is not built yet: {otherwise}")
        self.build(self.input_shape)

    @property
    def backend(self) -> Backend:
        """The backend of the network; raises `NotReady` if the network cannot be built yet."""
        if self._backend is None:
            self._build_as_known("its backend is chosen by build or fit")
            assert self._backend is not None
        return self._backend

    @property
    def is_built(self) -> bool:
        """Whether the parameters exist."""
        return self._executable is not None

    @property
    def is_compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._optimizer is not None

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; its hyperparameters may be changed at any time."""
        if self._optimizer is None:
            raise NotReady("the network is not compiled yet: call compile(optimizer, loss) first")
        return self._optimizer

    @property
    def history(self) -> History:
        """History of all epochs trained so far, over all calls of `fit` and across saves."""
        if self._history is None:
            self._build_as_known("it has no history")
            assert self._history is not None
        return self._history

    @history.setter
    def history(self, history: History) -> None:
        self._history = history
        why = choosing.reason_in(history.plan)
        if why and not self._why and self._backend is not None and self._backend.name == history.plan.backend:
            self._why, plan = why, self.executable.plan  # after loading or copying, keep the reason
            self.executable.plan = replace(plan, details={**plan.details, choosing.CHOSEN: why})

    @property
    def parameters(self) -> Parameters:
        """The parameters by canonical name: `dense/kernel`, `dense/bias`, `dense_1/kernel`, ...; assignable."""
        executable = self.executable
        if self._parameters is None or self._parameters[0] is not executable:
            self._parameters = executable, Parameters(lambda: self.executable, self.turns)
        return self._parameters[1]

    @parameters.setter
    def parameters(self, values: Mapping[str, Any]) -> None:
        self.set_parameters(values)

    @property
    def averages(self) -> Averages:
        """Exponential moving averages of the parameters by name, if the optimizer keeps them (`use_ema`).

        Assigning all parameters at once resets the averages to them; assigning single ones does not.
        """
        executable = self.executable
        if not executable.program.averages:
            raise NotReady("no moving averages of the parameters are kept: compile an optimizer with use_ema=True")
        return Averages(lambda: self.executable, self.turns)

    @property
    def predicts_with_averages(self) -> bool:
        """Whether `predict` and `evaluate` use the moving averages of the parameters."""
        executable, optimizer = self._executable, self._optimizer
        if executable is None or optimizer is None or not executable.program.averages or not executable.state.step:
            return False
        return optimizer.use_ema and optimizer.predict_with == "average"

    @property
    def predicting_parameters(self) -> Parameters:
        """The parameters that predictions use: `averages` or `parameters`."""
        return self.averages if self.predicts_with_averages else self.parameters

    def set_parameters(self, values: Mapping[str, Any]) -> None:
        """Assign several parameters at once, after checking all of them; atomic for other threads.

        Arguments:
            values: arrays by canonical name.

        Raises:
            UnknownName, ShapeError, DataError: a value does not fit; nothing has changed then.
        """
        self.parameters.assign(values)
