"""The compiled epoch: a program as tables and addresses for `kernels/train_steps`, run in one call for many steps."""

import math
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.executable import Gradients
from dnnkit.backends.flat_executable import Data, FlatExecutable
from dnnkit.backends.program import (
    Activate,
    Dense,
    Dropout,
    HostArray,
    Hyperparameters,
    Plan,
    Program,
    Rescale,
    Snapshot,
    Totals,
    stage_parameters,
)
from dnnkit.kernels import contract, slices
from dnnkit.kernels.array import Array
from dnnkit.kernels.compiled import announce
from dnnkit.kernels.train_steps import cpu

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend import NumbaBackend

INTERRUPTIBLE = 64
"""Steps from which a run is worth a thread of its own, so that Ctrl-C is heard while it runs."""


class Workspace:
    """Buffers for batches of up to `rows` rows, and the table that says where in them each stage reads and writes."""

    def __init__(self, executable: "CompiledEpoch", rows: int) -> None:
        program, dtype = executable.program, executable.program.dtype
        self.rows = rows
        self._size = self._mask_size = 0
        features = math.prod(program.input_shape)
        outputs = program.output_features
        x = first_x = self._take(features)
        widest = max([features, *(stage.kernel.shape[1] for stage in program.stages if isinstance(stage, Dense))])
        scratch = self._take(widest)  # z, then dz: never both in use
        lines, numbers = [], []
        for stage in executable.stages:
            line, pair, width = executable.describe(stage, features)
            line |= {"inputs": features, "outputs": width, "x": x, "y": self._take(width), "z": scratch}
            line["dx"] = self._take(features)
            if line["saves_input"] and isinstance(stage, Dense):
                line["z"] = self._take(width)
            if isinstance(stage, Dropout):
                line["keep"], self._mask_size = self._mask_size, self._mask_size + rows * width
            lines.append([line.get(name, 0) for name in cpu.COLUMNS])
            numbers.append(pair)
            x, features = line["y"], width
        dscores = self._take(outputs)
        self.places = (x, dscores, scratch)
        self.table = np.array(lines, np.int64).reshape(len(lines), len(cpu.COLUMNS))
        self.numbers = np.array(numbers, np.float64).reshape(len(lines), 2)
        self.memory = np.empty(self._size, dtype)
        self.keeps = np.empty(self._mask_size, np.bool_)
        width = math.prod(program.input_shape)
        self.batch = (
            self.memory[first_x : first_x + rows * width].reshape(rows, width),
            np.zeros(rows if executable.has_labels else 0, np.int64),
            np.zeros((0 if executable.has_labels else rows, outputs), dtype),
            np.ones(rows, dtype),
        )
        self.dx_place = int(self.table[0, cpu.DX]) if lines else dscores

    def _take(self, width: int) -> int:
        """The place of `rows` rows of that width; every place begins a cache line of its own."""
        place, self._size = self._size, self._size + -(-self.rows * width // 16) * 16
        return place


class CompiledEpoch(FlatExecutable):
    """A program whose every part has a compiled kernel."""

    def __init__(self, backend: "NumbaBackend", program: Program, plan: Plan) -> None:
        super().__init__(backend, program, plan)
        announce(f"the training loop in {program.dtype}")
        self.stages = self._stages
        self._join_slots()
        self._addresses = {name: slices.activation_slices(name, program.dtype) for name in self._activations()}
        self._loss: Any = None
        if program.loss is not None:
            kernel = program.loss.kernel
            assert isinstance(kernel, str)
            self._loss = slices.loss_slices(kernel, program.loss.targets, program.dtype)
        self._update = slices.update_slices(program.update, program.dtype) if program.update else None
        kinds = [slices.CATEGORICAL if metric.kernel == "categorical" else slices.BINARY for metric in program.metrics]
        self._metric_kinds = np.array(kinds, np.int64)
        self._thresholds = np.array([metric.threshold for metric in program.metrics], program.dtype)
        trained = [index for index, stage in enumerate(self.stages) if stage_parameters(stage)]
        self._first_trained = trained[0] if trained else len(self.stages)
        self._control = np.array([0, 0, -1], np.int64)
        self._workspaces: dict[int, Workspace] = {}
        self._compiled = False

    def _join_slots(self) -> None:
        """The slots as rows of one array, which is what an update takes."""
        self._slot_rows = np.zeros((max(1, len(self._slots)), self._layout.size), self.program.dtype)
        for row, slot in zip(self._slot_rows, self._slots, strict=False):
            row[...] = slot
        self._slots = list(self._slot_rows[: len(self._slots)])

    def restore(self, snapshot: Snapshot) -> None:  # noqa: D102
        super().restore(snapshot)
        self._join_slots()

    # -- the program as tables ---------------------------------------------------------------------------------------

    @property
    def has_labels(self) -> bool:
        """Whether targets are class numbers."""
        return self.program.loss is None or self.program.loss.targets == "labels"

    def _activations(self) -> set[str]:
        return {s.activation for s in self.stages if isinstance(s, Dense | Activate)} | {self.program.head}

    def describe(self, stage: Any, features: int) -> tuple[dict[str, int], tuple[float, float], int]:
        """(columns of the stage's row that do not depend on a workspace, its two numbers, its width)."""
        match stage:
            case Dense(kernel=kernel, bias=bias, activation=name):
                places = {"kernel": self._layout.offset(kernel.name)}
                if bias is not None:
                    places |= {"bias": self._layout.offset(bias.name), "biases": bias.size}
                return {"kind": cpu.DENSE} | places | self._activation_columns(name), (0.0, 0.0), kernel.shape[1]
            case Activate(activation=name):
                return {"kind": cpu.ACTIVATE} | self._activation_columns(name), (0.0, 0.0), features
            case Rescale(scale=scale, offset=offset):
                return {"kind": cpu.RESCALE, "saves_input": 0}, (scale, offset), features
            case Dropout(rate=rate, layer=layer):
                return {"kind": cpu.DROPOUT, "saves_input": 0, "layer": layer}, (rate, 0.0), features
        raise AssertionError(f"{stage} should have been refused by NumbaBackend.supports")

    def _activation_columns(self, name: str) -> dict[str, int]:
        functions = self._addresses[name]
        return {
            "forward": functions.address("forward"),
            "backward": functions.address("backward"),
            "saves_input": int(contract.activation(name).saves == "input"),
        }

    def _workspace(self, rows: int) -> Workspace:
        """The smallest workspace for that many rows; at most one for training and one for inference are kept."""
        if rows not in self._workspaces:
            if len(self._workspaces) > 1:
                self._workspaces.pop(next(iter(self._workspaces)))
            self._workspaces[rows] = Workspace(self, rows)
        return self._workspaces[rows]

    def _network(self, workspace: Workspace) -> tuple[Any, ...]:
        loss_address = self._loss.address("loss_and_metrics") if self._loss is not None else 0
        return (
            workspace.table,
            workspace.numbers,
            self._parameters,
            self._gradient,
            workspace.memory,
            workspace.keeps,
            workspace.places,
            self.program.seed,
            self._reduction == "sum",
            (loss_address, self.program.output_features),
            self._metric_kinds,
            self._thresholds,
        )

    def _arrays(self, data: Data) -> tuple[Any, ...]:
        nothing = np.zeros((0, data.x.shape[1]), np.uint8), np.zeros((0, data.x.shape[1]), self.program.dtype)
        bytes_, numbers = (data.x, nothing[1]) if data.x.dtype == np.uint8 else (nothing[0], data.x)
        labels, values = np.zeros(0, np.int64), np.zeros((0, self.program.output_features), self.program.dtype)
        if data.y is not None:
            labels, values = (data.y, values) if self.has_labels else (labels, data.y)
        weights = np.zeros(0, self.program.dtype) if data.weights is None else data.weights
        scale, offset = float(self._rescale.scale), float(self._rescale.offset)
        return (_plain(bytes_), _plain(numbers), scale, offset, _plain(labels), _plain(values), _plain(weights))

    def _prepare(self, data: Data, rows: int) -> tuple[Workspace, tuple[Any, ...], tuple[Any, ...]]:
        workspace = self._workspace(rows)
        if data.weights is None:
            workspace.batch[3].fill(1)
        return workspace, self._network(workspace), self._arrays(data)

    def load(self, x: Array, y: Array | None, weights: Array | None) -> Data:  # noqa: D102
        data = super().load(x, y, weights)
        if y is not None and self._rule is not None and not self._compiled:
            # Compile, or read from the cache, before any clock runs: a run of no steps.
            self._compiled = True
            self.begin_epoch(data, np.arange(len(data)), 1)
            self._call(0, 0, Hyperparameters(np.empty(0), dict.fromkeys(self._rule.hyperparameters, 0.0)))
        return data

    # -- training ----------------------------------------------------------------------------------------------------

    def begin_epoch(self, data: Data, order: HostArray, batch_size: int) -> None:  # noqa: D102
        self._data, self._batch_size = data, min(batch_size, len(order))
        self._order = np.ascontiguousarray(order, np.int64)
        self._batch_weights = self._weight_sums(data, order, batch_size)
        self._totals = np.zeros(1 + len(self.program.metrics))
        self._weight_total = 0.0
        self._control[cpu.STOP], self._control[cpu.NAN_STEP] = 0, -1

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
        return self._call(first, last, hyperparameters)

    def _call(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:
        assert self._update is not None, "the network checks that it is compiled"
        workspace, network, data = self._prepare(self._data, self._batch_size)
        self._control[cpu.STEP] = self.state.step
        arguments = (
            network,
            data,
            workspace.batch,
            self._order,
            self._batch_size,
            self._batch_weights,
            first,
            last,
            self._slot_rows,
            self._update.address("update"),
            hyperparameters.learning_rates,
            self._constants(hyperparameters),
            hyperparameters.clip_norm or 0.0,
            self._control,
            self._totals,
            self._first_trained,
        )
        with self._backend.running(self.program, self._batch_size):
            done = int(_interruptible(cpu.run_steps, arguments, last - first))
        self.state.step = int(self._control[cpu.STEP])
        self._weight_total += float(self._batch_weights[first:done].sum())
        self._control[cpu.STOP] = 0
        return done

    def _constants(self, hyperparameters: Hyperparameters) -> HostArray:
        assert self._rule is not None
        return np.array([hyperparameters.constants[name] for name in self._rule.hyperparameters], np.float64)

    def request_stop(self) -> None:  # noqa: D102
        self._control[cpu.STOP] = 1

    def totals(self) -> Totals:  # noqa: D102
        return self._read_totals(self._totals, self._weight_total, int(self._control[cpu.NAN_STEP]))

    def _read_totals(self, totals: HostArray, weight: float, nan_step: int) -> Totals:
        loss, *metrics = (float(value) for value in totals)
        return Totals(loss, weight, tuple(metrics), self._reduction, nan_step)

    def gradients(self, data: Data, *, with_input: bool = False) -> Gradients:  # noqa: D102
        workspace, network, arrays = self._prepare(data, len(data))
        order, totals = np.arange(len(data)), np.zeros(1 + len(self.program.metrics))
        weight = float(self._weight_sums(data, order, len(data))[0])
        first = -1 if with_input else self._first_trained
        with self._backend.running(self.program, len(data)):
            cpu.take_batch(arrays, order, workspace.batch)
            cpu.backpropagate(network, workspace.batch, len(data), weight, totals, self.state.step, first)
        loss = float(totals[0]) if self._reduction == "sum" else float(totals[0]) / (weight or 1.0)
        dx = None
        if with_input:
            shape = (len(data), arrays[0].shape[1])
            place = workspace.dx_place
            dx = workspace.memory[place : place + math.prod(shape)].reshape(shape) * self._rescale.scale
        return Gradients(loss, self._layout.views(self._gradient, np), dx)

    def update(self, gradients: Mapping[str, Array], hyperparameters: Hyperparameters) -> None:  # noqa: D102
        assert self._update is not None, "the network checks that it is compiled"
        self._gradient[...] = self._write(gradients)
        self.state.step += 1
        cpu.improve(
            self._parameters,
            self._gradient,
            self._slot_rows,
            self._update.address("update"),
            self.state.step,
            float(hyperparameters.learning_rates[0]),
            self._constants(hyperparameters),
            hyperparameters.clip_norm or 0.0,
        )

    # -- inference ---------------------------------------------------------------------------------------------------

    def evaluate(self, data: Data, batch_size: int) -> Totals:  # noqa: D102
        rows = min(batch_size, len(data))
        workspace, network, arrays = self._prepare(data, rows)
        order, totals = np.arange(len(data)), np.zeros(1 + len(self.program.metrics))
        with self._backend.running(self.program, rows):
            cpu.evaluate(network, arrays, workspace.batch, order, rows, totals)
        return self._read_totals(totals, float(self._weight_sums(data, order, rows).sum()), -1)

    def predict(self, data: Data, batch_size: int) -> HostArray:  # noqa: D102
        rows = min(batch_size, len(data))
        workspace, network, arrays = self._prepare(data, rows)
        out = np.empty((len(data), self.program.output_features), self.program.dtype)
        head = self._addresses[self.program.head].address("forward")
        with self._backend.running(self.program, rows):
            cpu.predict(network, arrays, workspace.batch, np.arange(len(data)), rows, head, out)
        return out


def _plain(array: HostArray) -> HostArray:
    """The array contiguous, and typed as one that may be written: a second type would compile everything again.

    Data are only read, so memory that must not be written is not.
    """
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else np.asarray(_Writable(array))


class _Writable:
    """The memory of a read-only array, under another flag; keeps the array alive."""

    def __init__(self, array: HostArray) -> None:
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
        self._array = array


def _interruptible(function: Callable[..., Any], arguments: tuple[Any, ...], steps: int) -> Any:
    """Call a compiled function so that signals are heard in between.

    Python runs signal handlers in the main thread only, and not while that is inside compiled code: a long run goes to
    a thread of its own while the main thread waits, able to hear.
    """
    if steps < INTERRUPTIBLE or threading.current_thread() is not threading.main_thread():
        return function(*arguments)
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(function(*arguments))
        except BaseException as error:  # handed to the thread that waits
            failure.append(error)

    thread = threading.Thread(target=run, name="dnnkit-epoch")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]
