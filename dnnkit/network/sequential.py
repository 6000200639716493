"""Sequential: the network people make, train, ask and save."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends import choosing
from dnnkit.backends.base import Backend
from dnnkit.backends.choosing import ASSUMED_ROWS, Chosen
from dnnkit.backends.executable import Executable
from dnnkit.backends.program import Program, Snapshot, TrainingState
from dnnkit.backends.registry import get_backend
from dnnkit.callbacks.base import Callback
from dnnkit.errors import ConfigurationError, NotReady
from dnnkit.layers import Layer
from dnnkit.losses import LOSSES, Loss
from dnnkit.metrics import Given
from dnnkit.metrics import check as check_metrics
from dnnkit.network import checks, lowering, numpy_source
from dnnkit.network.agreement import warn_of_disagreement
from dnnkit.network.copying import Copyable
from dnnkit.network.describing import Describable
from dnnkit.network.own_loops import OwnLoops
from dnnkit.network.parameters import Parameters
from dnnkit.network.turns import Turns
from dnnkit.optimizers import OPTIMIZERS, Optimizer
from dnnkit.saves import saving
from dnnkit.saves.numbers import restore_numbers
from dnnkit.seeds import check_seed, draw_seed
from dnnkit.settings import SHARE
from dnnkit.training import loop
from dnnkit.training.checkpoints import Checkpoints
from dnnkit.training.epoch_order import Shuffle, check_shuffle
from dnnkit.training.fingerprint import fingerprint
from dnnkit.training.history import History
from dnnkit.training.interrupts import Interrupts
from dnnkit.training.progress import Verbosity
from dnnkit.training.run import Run

INFERENCE_BATCH = 1024
"""Rows that `predict` and `evaluate` compute at a time: enough for BLAS, little memory."""


class Sequential(Copyable, Describable, OwnLoops):
    """Layers one after the other.

    `layers` are described by `dnnkit.layers`; `backend` is a backend's name, None for the one in force when the
    network is built, which, if it is "auto", follows from the network and its batches; `seed` (32 bits) decides initial
    weights, the order of samples and dropout, None draws one (`net.seed` tells it); `dtype` is "float32" or "float64";
    `num_threads` bounds the threads, None for the backend's choice. It builds itself on the first data it sees.

    Any number of threads may call anything. What reads (`predict`, `evaluate`, `parameters`) runs side by side; beside
    a fit it sees the parameters after a whole step, at most 0.1 s old. What changes the network takes turns, also
    with the steps of a fit; another fit, `compile`, `build` or `to` meanwhile raises `ConcurrentUse`.

    A copy, by `copy.copy` as by `copy.deepcopy`, shares nothing with its original, and trains on bit for bit as it
    would. So does a network that was pickled, for other processes too, on the backend it was on; where that does not
    work, on the one in force there, which a line in the log says. Unpickling runs code, so it is for pickles of your
    own; `save` writes what anyone can read.
    """

    def __init__(
        self,
        layers: Sequence[Layer] = (),
        *,
        backend: str | Backend | None = None,
        seed: int | None = None,
        dtype: lowering.Dtype = "float32",
        num_threads: int | None = None,
    ) -> None:
        self.layers = checks.check_layers(layers)
        self.seed = draw_seed() if seed is None else check_seed(seed)
        self._draws_seed = seed is None
        self.dtype: lowering.Dtype = checks.check_dtype(dtype)
        self.num_threads = checks.check_optional_count("num_threads", num_threads)
        self.loss: Loss | None = None
        self.metrics: tuple[Given, ...] = ()
        self.stop_training = False
        self.turns = Turns()
        """Who may change the network; for dnnkit's own parts."""
        self._optimizer: Optimizer | None = None
        self._backend_asked = backend
        self._backend: Backend | None = None
        self._why = ""
        """Why "auto" took the backend; empty where somebody named it."""
        self._weighed_rows: int | None = None
        """Rows of a batch for which "auto" chose, as long as it may choose again; else None."""
        self._executable: Executable | None = None
        self._history: History | None = None
        self._parameters: tuple[Executable, Parameters] | None = None
        self.input_shape: tuple[int, ...] | None = None
        self._output_shape: tuple[int, ...] = ()

    # -- making ------------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: str | Optimizer,
        loss: str | Loss,
        metrics: Given | Sequence[Given] | None = (),
    ) -> None:
        """Say what to minimise, how, and what to report; keeps the parameters, forgets an optimizer's state.

        A metric is a name or a function `(y_true, y_pred)` that gives one value per row; docs/extending.md says more.
        Warns (`TrainingWarning`) where the last activation, the loss and the metrics do not go together.
        """
        chosen, minimised = OPTIMIZERS.make(optimizer, Optimizer), LOSSES.make(loss, Loss)
        measured = check_metrics(metrics)
        lowering.warn_of_zero_gradient(self.layers)
        warn_of_disagreement(self.layers, minimised, measured)
        with self.turns.rebuilding("compile"):
            self._optimizer, self.loss, self.metrics = chosen, minimised, measured
            if self._executable is not None:
                self._rebuild(keep_slots=False, rows=self._weighed_rows)

    def build(self, input_shape: int | Sequence[int | None], *, batch_size: int = ASSUMED_ROWS) -> None:
        """Make the parameters, for samples of that shape; a leading None stands for the batch and is dropped.

        Arguments:
            input_shape: of a sample.
            batch_size: for which the backend "auto" weighs a GPU against the processor; the first `fit` does so again.
        """
        rows = checks.check_count("batch_size", batch_size)
        with self.turns.rebuilding("build"):
            self._build(input_shape, rows)

    def build_of(self, input_shape: tuple[int, ...], give: Callable[["Sequential"], None]) -> None:
        """`build` with the numbers that `give` gives, such as those of a save; for dnnkit's own parts."""
        with self.turns.rebuilding("build"):
            self._check_buildable()
            self._make(input_shape)
            give(self)

    def _build(self, input_shape: int | Sequence[int | None], rows: int) -> None:
        self._check_buildable()
        shape = checks.check_input_shape(input_shape)
        checks.check_size(self.layers, shape, self.dtype)
        self._make(shape, rows)
        self.executable.restore(Snapshot(self.initial_parameters(), {}, TrainingState()))

    def _check_buildable(self) -> None:
        if self._executable is not None:
            raise ConfigurationError("the network is built already: make a new Sequential for another input shape")
        if not self.layers:
            raise ConfigurationError("the network has no layers: pass at least one to Sequential")

    def _make(self, input_shape: tuple[int, ...], rows: int = ASSUMED_ROWS) -> None:
        """Build the network, its parameters zero, for batches of about so many rows."""
        program = self._program(input_shape)
        chosen, executable = choosing.build(choosing.choose(self._backend_asked, program, rows), program)
        self.input_shape, self._output_shape = input_shape, lowering.shapes(self.layers, input_shape)[-1]
        self._weighed_rows = rows if chosen.why else None
        self._take(chosen, executable)

    def _program(self, input_shape: tuple[int, ...]) -> Program:
        return lowering.lower(
            self.layers,
            input_shape,
            loss=self.loss,
            metrics=self.metrics,
            optimizer=self._optimizer,
            dtype=self.dtype,
            seed=self.seed,
            num_threads=self.num_threads,
        )

    def initial_parameters(self) -> dict[str, NDArray[Any]]:
        """The parameters that the seed gives, by canonical name."""
        if self.input_shape is None:
            raise NotReady("the network is not built yet: call build(input_shape) or show it data first")
        return lowering.initial_parameters(self.layers, self.input_shape, self.seed, self.dtype)

    def to(self, backend: str | Backend) -> "Sequential":
        """Move the network to another backend, with parameters, optimizer state and all."""
        resolved = get_backend(backend)
        with self.turns.rebuilding("to"):
            self._backend_asked = resolved
            if self._executable is not None:
                self._backend, self._why, self._weighed_rows = resolved, "", None
                self._rebuild()
        return self

    def _rebuild(self, keep_slots: bool = True, rows: int | None = None) -> None:
        """A new executable for the network as it is now, with the numbers of the old one.

        It stays on its backend. If `rows` of a batch are given, for which "auto" chose, and nothing has been trained,
        "auto" chooses again.
        """
        assert self._backend is not None
        assert self.input_shape is not None
        chosen, program = Chosen(self._backend, self._why), self._program(self.input_shape)
        if rows is not None and self.executable.state.step == 0:
            chosen = choosing.choose("auto", program, rows)
        elif rows is not None:
            self._weighed_rows = None
        self._take(*choosing.build(chosen, program), keep_slots)

    def _take(self, chosen: Chosen, executable: Executable, keep_slots: bool = True) -> None:
        """Go on with what was built, and with the numbers that were there."""
        if self._executable is not None:
            snapshot = self._executable.snapshot()
            if not keep_slots:
                snapshot = Snapshot(snapshot.parameters, {}, replace(snapshot.state, step=0, sums=None))
            executable.restore(snapshot)
        self._backend, self._executable = chosen.backend, executable
        if self._history is None:
            self._history = History(self.seed, executable.plan)
        self._say_why(chosen.why)

    def _say_why(self, why: str) -> None:
        """Keep why "auto" chose the backend, here and in the plan, which goes to the history and to saves."""
        self._why, executable = why, self.executable
        if why:
            executable.plan = replace(executable.plan, details={**executable.plan.details, choosing.CHOSEN: why})
        self.history.plan = executable.plan

    def _weigh_again(self, rows: int) -> None:
        """Let "auto" choose for batches of so many rows, if it chose for others and nothing has been trained."""
        weighed = self._weighed_rows
        if weighed is not None and weighed != rows and self.executable.state.step == 0:
            assert self.input_shape is not None
            with self.turns.rebuilding("a fit that chooses its backend"):
                program = self._program(self.input_shape)
                chosen = choosing.choose("auto", program, rows)
                if chosen.backend is self._backend:
                    self._say_why(chosen.why)
                else:
                    self._take(*choosing.build(chosen, program))
                self._weighed_rows = rows

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def executable(self) -> Executable:
        """What the backend built; raises `NotReady` before `build`."""
        if self._executable is None:
            raise NotReady("the network is not built yet: call build(input_shape) or show it data first")
        return self._executable

    @property
    def backend(self) -> Backend:
        """The backend that the network was built on; raises `NotReady` before `build`."""
        if self._backend is None:
            raise NotReady("the network is not built yet: its backend is chosen then")
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
        """The optimizer; its numbers may be changed at any time."""
        if self._optimizer is None:
            raise NotReady("the network is not compiled yet: call compile(optimizer, loss) first")
        return self._optimizer

    @property
    def history(self) -> History:
        """Every epoch trained so far, over all calls of `fit` and all saves in between."""
        if self._history is None:
            raise NotReady("the network is not built yet: it has no history")
        return self._history

    @history.setter
    def history(self, history: History) -> None:
        self._history = history
        why = choosing.reason_in(history.plan)
        if why and not self._why and self._backend is not None and self._backend.name == history.plan.backend:
            self._why, plan = why, self.executable.plan  # from a save, or as a copy, it goes on to say why it is there
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

    def set_parameters(self, values: Mapping[str, Any]) -> None:
        """Assign several parameters, after all were looked at; no other thread sees some of them new and some old."""
        self.parameters.assign(values)

    # -- training ----------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        batch_size: int = 32,
        epochs: int | None = None,
        steps: int | None = None,
        steps_per_epoch: int | None = None,
        validation_data: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        shuffle: Shuffle = True,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        callbacks: Callback | str | Sequence[Callback | str] | None = (),
        verbose: Verbosity = "auto",
        initial_epoch: int = 0,
        checkpoint: str | Path | Checkpoints | None = None,
        checkpoint_every: str = "30 s",
        checkpoint_keep: int = 3,
    ) -> History:
        """Train on samples x (N, ...) and targets y; return the History of these epochs.

        `validation_data` is (x, y) or (x, y, sample_weight); `validation_split` takes that share from the end of the
        data instead, before it is shuffled. Weights multiply losses and metrics of their rows, in validation too.
        Epochs run from `initial_epoch` to `epochs`, by default one; or `steps` counts the updates instead, and the
        last epoch may be shorter. An epoch is one pass over the samples, or `steps_per_epoch` updates. `shuffle`:
        within an epoch, True shows every sample once before any again, "with_replacement" draws each from all, False
        keeps their order. A batch has at most all samples, except where `steps_per_epoch` makes them come again or
        they are drawn with replacement. Errors in the data are raised before anything is trained.

        An epoch that `steps` or an interrupt ended early is finished by the next fit of the same data and batches:
        `fit(steps=a)` and then `fit(steps=b)` is `fit(steps=a + b)`.

        `checkpoint` is a folder, in which the fit saves itself every "30 s", "500 steps" or "1 epoch"
        (`checkpoint_every`), at its end, and on Ctrl-C and SIGTERM; the newest `checkpoint_keep` are kept. The same
        call goes on from there, whatever ended it, as if nothing had: until `epochs` or `steps` are reached, counted
        from the first call. Where they are, it returns the History. A folder of another network, seed, data or
        batches is an error that says what differs.
        """
        batch_size = checks.check_count("batch_size", batch_size)
        initial_epoch = checks.check_count("initial_epoch", initial_epoch, 0)
        epochs = checks.check_optional_count("epochs", epochs)
        steps = checks.check_optional_count("steps", steps)
        steps_per_epoch = checks.check_optional_count("steps_per_epoch", steps_per_epoch)
        if epochs is not None and steps is not None:
            raise ConfigurationError(f"epochs={epochs} and steps={steps} both say how long to train: give one of them")
        validation_split = SHARE.of("validation_split", validation_split)
        checkpoints = None
        if checkpoint is not None:
            keep = checks.check_count("checkpoint_keep", checkpoint_keep)
            checkpoints = Checkpoints.of(checkpoint, checkpoint_every, keep)
        with self.turns.fitting(), Interrupts(checkpoints is not None) as interrupts, checkpoints or nullcontext():
            x, y, weights = self._check(x, y, sample_weight, class_weight, rows=batch_size)
            if checkpoints is not None:
                self._take_seed(checkpoints.seed)
            held_out: tuple[Any, ...] | None = None
            if validation_data is not None:
                if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
                    raise ConfigurationError("validation_data is not (x, y) or (x, y, sample_weight)")
                x_held_out, y_held_out, *weight = validation_data
                held_out = self._check(x_held_out, y_held_out, weight[0] if weight else None, class_weight)
            elif validation_split:
                (x, y, weights), held_out = checks.hold_out(validation_split, x, y, weights, self.dtype)
            batch_size = checks.rows_at_a_time(batch_size, int(x.shape[0]), steps_per_epoch, check_shuffle(shuffle))
            if isinstance(x, np.ndarray):  # what is a GPU's already stays there
                self._weigh_again(batch_size)
            to_numpy = self.backend.to_numpy
            run = Run(
                data=self.executable.load(x, y, weights),
                samples=int(x.shape[0]),
                validation=None if held_out is None else self.executable.load(*held_out),
                batch_size=batch_size,
                first_epoch=initial_epoch,
                epochs=epochs or 1,
                shuffle=check_shuffle(shuffle),
                fingerprints=lambda looked_at: (
                    fingerprint(to_numpy, looked_at, x, y, weights),
                    fingerprint(to_numpy, looked_at, *held_out or ()),
                ),
                steps_per_epoch=steps_per_epoch,
                limit=steps,
            )
            hyperparameters = self.optimizer.hyperparameters(self.executable.state.step, 1)
            self.executable.prepare(run.data, batch_size, hyperparameters, run.validation)
            interrupts.check()
            self.turns.begin_training()
            return loop.train(self, run, callbacks, verbose, interrupts, checkpoints)

    def _take_seed(self, seed: int | None) -> None:
        """That of a checkpoint, where the network's own was drawn."""
        if self._draws_seed and seed is not None and seed != self.seed:
            self.seed = seed
            self._rebuild()
            self.history = History(seed, self.executable.plan)

    # -- asking ------------------------------------------------------------------------------------------------------

    def evaluate(
        self, x: Any, y: Any, *, sample_weight: Any = None, batch_size: int = INFERENCE_BATCH
    ) -> dict[str, float]:
        """`{"loss": ..., "accuracy": ...}` on samples and targets, dropout off."""
        batch_size = checks.check_count("batch_size", batch_size)
        x, y, weights = self._check(x, y, sample_weight, rows=choosing.NONE_TRAINED)
        executable = self.executable
        data, rows = executable.load(x, y, weights), min(batch_size, int(x.shape[0]))
        return self.turns.read(executable, lambda parameters: executable.measure(data, rows, parameters))

    def predict(self, x: Any, *, batch_size: int = INFERENCE_BATCH) -> NDArray[Any]:
        """The network's outputs (N, ...) as a NumPy array, dropout off."""
        batch_size = checks.check_count("batch_size", batch_size)
        if (executable := self._executable) is not None and (few := self._predict_few(executable, x)) is not None:
            return few if len(self._output_shape) == 1 else few.reshape(-1, *self._output_shape)
        x = self._check_samples(x, choosing.NONE_TRAINED)
        executable = self.executable
        data, rows = executable.load(x, None, None), min(batch_size, int(x.shape[0]))
        found = self.turns.read(executable, lambda parameters: executable.predict(data, rows, parameters))
        return found.reshape(-1, *self._output_shape)

    def _predict_few(self, executable: Executable, x: Any) -> NDArray[Any] | None:
        """What takes a few microseconds: `Turns.read` where nothing has changed, without its calls."""
        turns = self.turns
        if (settled := turns.settled) is not None and settled.executable is executable:
            few = executable.predict_few(x, settled.parameters)
            if turns.settled is settled:
                return few
        return turns.read(executable, lambda parameters: executable.predict_few(x, parameters))

    def _check_samples(self, x: Any, rows: int | None) -> Any:
        """Samples as the executable loads them; builds the network if need be, for batches of at most so many rows."""
        backend = self._backend or get_backend(self._backend_asked)
        with backend.on_device():
            x = checks.as_samples(x, self.input_shape, backend)
        if not self.is_built:
            with self.turns.rebuilding("build"):
                if not self.is_built:  # as it may be since, by another thread
                    samples = int(x.shape[0])
                    self._build(
                        tuple(int(size) for size in x.shape[1:]), samples if rows is None else min(rows, samples)
                    )
            return self._check_samples(x, rows)
        return x

    def _check(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        rows: int | None = None,
    ) -> tuple[Any, Any, Any]:
        """Samples, targets and row weights as the executable loads them; builds the network if need be.

        `rows` are those of a batch; None where all are one.
        """
        self.optimizer.rule  # noqa: B018 - whether the network is compiled is said before anything about data
        x = self._check_samples(x, rows)
        self._take_rule()
        samples, program, backend = int(x.shape[0]), self.executable.program, self.backend
        with backend.on_device():
            y = checks.as_targets(y, samples, program, backend)
            weights = checks.as_weights(sample_weight, samples, program, backend)
            of_classes = checks.class_weights(class_weight, y, program, backend)
            if of_classes is not None:
                own = 1.0 if weights is None else np.asarray(backend.to_numpy(weights), np.float64)
                weights = checks.as_weights(of_classes * own, samples, program, backend)
        return x, y, weights

    def _take_rule(self) -> None:
        """Rebuild the network if the optimizer has another rule now: momentum was turned on or off."""
        if self.executable.program.rule != self.optimizer.rule:
            with self.turns.rebuilding("an optimizer with another rule"):
                self._rebuild()

    # -- keeping -----------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write architecture, parameters, optimizer state and history to a folder; `dk.load` reads it."""
        saving.save_network(self, path)

    def to_numpy_source(self, path: str | Path) -> Path:
        """Write the network as a script of at most 40 lines that needs NumPy alone; return its path.

        `path` ends in `.py`; the parameters go to the `.npz` of that name beside it. The script has `predict(x)`, and
        as a command prints the predictions for samples in a `.npy` file.
        """
        return numpy_source.write(self, path)

    def save_weights(self, path: str | Path) -> None:
        """Write the parameters to one safetensors file."""
        saving.save_weights(self, path)

    def load_weights(self, path: str | Path) -> None:
        """Read the parameters from a safetensors file or a save folder; the network must be built."""
        saving.load_weights(self, path)

    # -- copies --------------------------------------------------------------------------------------------------------

    def _become(self, state: Mapping[str, Any], backend: str | Backend | None) -> None:
        """The network that `state_of` described, on that backend."""
        same = {name: state[name] for name in ("layers", "seed", "dtype", "num_threads")}
        Sequential.__init__(self, **same, backend=backend)
        self.loss, self.metrics, self._optimizer = state["loss"], state["metrics"], state["optimizer"]
        vars(self).update(state["own"])
        if state["numbers"]:
            self._make(state["input_shape"])
            restore_numbers(self, state["numbers"], "this pickle")

    @property
    def _chosen_backend(self) -> str | Backend | None:
        return self._backend or self._backend_asked

    def _own_attributes(self) -> dict[str, Any]:
        """Attributes that `__init__` does not make."""
        made = vars(Sequential(seed=0))
        return {name: value for name, value in vars(self).items() if name not in made}
