"""Base of executables with flat parameters: data on the backend, and reading and writing of numbers.

Parameters, gradient and each optimizer slot are one flat array each, in canonical order, except that frozen parameters
follow all trained ones. So the trained part is contiguous, and gradient and slots cover exactly that part.
"""

from collections.abc import Hashable, Mapping
from dataclasses import field, replace

import numpy as np

from dnnkit.backends.classes import class_columns, require_classes
from dnnkit.backends.executable import Executable
from dnnkit.backends.graph import readers
from dnnkit.backends.operations import Operations
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Dense
from dnnkit.backends.stagewise.finite import require_finite
from dnnkit.backends.stagewise.giant_step import GiantStep
from dnnkit.backends.stagewise.layout import FlatLayout
from dnnkit.backends.stagewise.regularization import Regularization
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Plan, Snapshot, TrainingState
from dnnkit.deferred import dataclass
from dnnkit.kernels.array import Array, namespace
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.kernels.optimizer_step.reference import AVERAGE


@dataclass(frozen=True)
class Data:
    """Rows on the backend: inputs (N, F), targets, row weights; the weights also on the host, for their sums.

    The inputs are `CompressedRows` where the executable multiplies these.

    Weights per output, (N, outputs), have a mean of 1, so their sums are row counts, and they are not on the host.
    """

    x: Array
    y: Array | None
    weights: Array | None
    host_weights: HostArray | None
    bits: HostArray | None = field(default=None, kw_only=True)
    """The nonzero columns of each row (kernels/nonzero_columns), if requested."""

    def __len__(self) -> int:
        return int(self.x.shape[0])


class FlatExecutable(Executable):
    """A program's parameters, gradient and slots as flat arrays of a backend."""

    reads_in_parallel = True
    cache_aligned = False
    """Whether each parameter starts at a cache line."""

    def __init__(self, backend: Operations, program: Program, plan: Plan) -> None:
        self.program, self.plan, self.state = program, plan, TrainingState()
        self._giant_step = GiantStep()
        self._backend, self._xp = backend, backend.xp
        self._dtype = backend.dtype(program.dtype)
        self._rescale, self._stages, self._sources = program.gathered
        self._reduction = program.loss.reduction if program.loss else "mean"
        self._rule = program.optimizer_rule
        self._slot_names = program.slots
        trained, frozen = program.trainable_parameters, program.frozen_parameters
        self._layout = FlatLayout((*trained, *frozen), cache_aligned=self.cache_aligned)
        self._trained = FlatLayout(trained, cache_aligned=self.cache_aligned)
        """Layout of gradient and slots: the beginning of the other."""
        self._pieces = self._trained.runs(program.group_of)
        """Pieces that are updated alike, and their group numbers."""
        self._regularization = Regularization(backend, program, self._trained)
        self._class_columns = class_columns(program)
        """Columns of the data with class numbers, and their numbers of classes."""
        self._new_memory()
        self.loads_in_parallel = isinstance(self._parameters, np.ndarray)
        """Device libraries have a current device and stream per thread."""

    def _new_memory(self) -> None:
        """Allocate zeros for parameters, gradient and slots."""
        trained, zeros = self._trained.size, self._backend.zeros
        self._parameters, self._gradient = zeros(self._layout.size, self._dtype), zeros(trained, self._dtype)
        self._slots = [zeros(trained, self._dtype) for _ in self._slot_names]

    # -- data --------------------------------------------------------------------------------------------------------

    def load(self, x: Array, y: Array | None, weights: Array | None) -> Data:  # noqa: D102 - as in Executable
        backend, dtype, loss = self._backend, self.program.dtype, self.program.loss
        with np.errstate(over="ignore"):  # overflow to infinity is detected and reported below
            x = self._scaled(x.astype(dtype)) if isinstance(x, CompressedRows) else self._as_table(x)
        if y is not None and loss is not None:
            is_floating = namespace(y).isdtype(y.dtype, "real floating")
            y = backend.asarray(y, loss.target_dtype(dtype, is_floating=is_floating))
        if weights is None:
            return self._examined(Data(x, y, None, None))
        weights = backend.asarray(weights, dtype)
        if weights.ndim > 1:
            return self._examined(Data(x, y, weights, None))
        return self._examined(Data(x, y, weights, backend.to_numpy(weights).astype(np.float64)))

    def _scaled(self, x: CompressedRows) -> CompressedRows:
        """Return compressed rows with their numbers rescaled, since they are multiplied in place."""
        return x if self._rescale.scale == 1 else x * self._rescale.scale

    def _as_table(self, x: Array) -> Array:
        """Return samples as rows (N, F) on the backend."""
        source = namespace(x)
        kept = self._backend.keeps_dtype(source, x.dtype)  # converted while a batch is gathered: fewer bytes are read
        return self._backend.asarray(source.reshape(x, (x.shape[0], -1)), None if kept else self.program.dtype)

    def turn_to(  # noqa: D102
        self, data: Data, order: HostArray, batch_size: int, sums: EpochSums | None, step: int = 0
    ) -> None:
        self.begin_epoch(data, order, batch_size)
        if sums is not None:
            self.go_on_from(sums)

    @property
    def loading(self) -> Hashable | None:  # noqa: D102
        loss = None if self.program.loss is None else self.program.loss.targets
        scale = self._rescale.scale if self.most_filled else 1.0  # compressed rows are rescaled when they are loaded
        return type(self), id(self._backend), self.program.dtype, loss, self._class_columns, scale

    def targets(self, data: Data) -> tuple[HostArray, HostArray | None]:  # noqa: D102
        targets = self._backend.to_numpy(data.y)
        labels = self.program.loss is not None and self.program.loss.targets == "labels"
        weights = data.host_weights
        if weights is None and data.weights is not None:
            weights = self._backend.to_numpy(data.weights)
        return (targets if labels else targets.reshape(len(targets), -1)), weights

    def _examined(self, data: Data) -> Data:
        """Return the data with what a scan of all numbers revealed; raise `DataError` if one is not finite."""
        require_finite("x", data.x, self.program.dtype)
        require_classes(data.x, self._class_columns)
        return data

    @property
    def most_filled(self) -> float:  # type: ignore[override] # noqa: D102
        is_first = bool(self._stages) and isinstance(self._stages[0], Dense) and readers(self._sources)[0] == [(0, 0)]
        keeps_zeros = self._rescale.offset == 0 and not self._class_columns
        return self._most_filled if is_first and keeps_zeros else 0.0

    @property
    def _most_filled(self) -> float:
        """`most_filled` for a dense stage that reads the data, possibly scaled."""
        return self._backend.most_filled

    def _weight_sums(self, data: Data, order: HostArray, batch_size: int) -> HostArray:
        """Return the sum of the row weights of each batch, (steps,)."""
        if data.host_weights is not None:
            return np.add.reduceat(data.host_weights[order], np.arange(0, len(order), batch_size))
        whole, rest = divmod(len(order), batch_size)
        sums = np.full(whole + (rest > 0), float(batch_size))
        sums[whole:] = rest
        return sums

    # -- numbers in and out ------------------------------------------------------------------------------------------

    def _read(self, flat: Array, name: str) -> HostArray:
        return np.array(self._backend.to_numpy(self._layout.view(flat, name, self._xp)))

    def _write(self, values: Mapping[str, HostArray], layout: FlatLayout) -> Array:
        return self._backend.asarray(layout.flatten(values, self.program.dtype))

    def _pack(self, parts: list[Array], out: Array) -> Array:
        """Concatenate arrays of all (or all trained) parameters, in layout order, into one flat array like `out`."""
        return self._backend.pack(parts, out)

    def settle(self) -> Array:  # noqa: D102
        return self._parameters

    def copy_parameters(self) -> Array:  # noqa: D102
        return self._xp.asarray(self._parameters, copy=True)

    def averages(self) -> Array:  # noqa: D102
        end = self._trained.size
        average = self._slots[self._slot_names.index("average")]
        return self._xp.concat([average, self._parameters[end:]])

    def write_average(self, name: str, value: HostArray) -> None:  # noqa: D102
        place, slots = self._slot_names.index("average"), list(self._slots)
        parts = {**self._trained.views(slots[place], self._xp), name: self._backend.asarray(value, self.program.dtype)}
        slots[place] = self._pack(list(parts.values()), slots[place])
        self._slots = slots

    def read_parameter(self, name: str, parameters: Array | None = None) -> HostArray:  # noqa: D102
        return self._read(self._parameters if parameters is None else parameters, name)

    def write_parameter(self, name: str, value: HostArray) -> None:  # noqa: D102
        views = self._layout.views(self._parameters, self._xp)
        parts = {**views, name: self._backend.asarray(value, self.program.dtype)}
        self._parameters = self._pack(list(parts.values()), self._parameters)

    def take_over(self, other: Executable) -> None:  # noqa: D102
        assert isinstance(other, FlatExecutable), "one backend builds programs with the same parts alike"
        self.state, self._giant_step = other.state, other._giant_step  # an abandoned step is waited for here, too
        self._take_numbers(other)

    def _take_numbers(self, other: "FlatExecutable") -> None:
        self._parameters, self._slots = other._parameters, other._slots

    def follow(self, other: Executable, share: float) -> None:  # noqa: D102
        source = self._flat_of(other)
        self._giant_step.wait()
        self._parameters = self._backend.interpolate(self._parameters, source, share, out=self._parameters)

    def _lies_like(self, other: "FlatExecutable") -> bool:
        """Whether both have the same layout, library and dtype."""
        is_near = self._backend is other._backend and self.program.dtype == other.program.dtype
        return is_near and self._layout == other._layout

    def _flat_of(self, other: Executable) -> Array:
        """Return the parameters of another in this layout: in place if it has the same."""
        if isinstance(other, FlatExecutable) and other._lies_like(self):
            return other._parameters
        values = {parameter.name: other.read_parameter(parameter.name) for parameter in self.program.parameters}
        return self._write(values, self._layout)

    def read_trained(self) -> Array:  # noqa: D102
        return self._xp.asarray(self._parameters[: self._trained.size], copy=True)

    def write_trained(self, numbers: Array) -> None:  # noqa: D102
        self._parameters = self._with_frozen(numbers)

    def _with_frozen(self, numbers: Array) -> Array:
        """Return flat parameters with these trained ones."""
        frozen = self._parameters[self._trained.size :]
        return self._xp.concat([numbers, frozen]) if self.program.frozen_parameters else numbers

    def name_trained(self, numbers: Array) -> dict[str, HostArray]:  # noqa: D102
        named = self._trained.views(self._backend.to_numpy(numbers), np)
        return {name: np.array(value) for name, value in named.items()}

    def flatten_trained(self, values: Mapping[str, HostArray]) -> Array:  # noqa: D102
        return self._write(values, self._trained)

    def empty_gradient(self) -> HostArray:  # noqa: D102
        return self._trained.empty(self.program.dtype)

    def update_flat(self, gradient: HostArray, hyperparameters: Hyperparameters) -> None:  # noqa: D102
        self.update(self._trained.views(gradient, np), hyperparameters)

    def weight(self, data: Data, rows: HostArray | None = None) -> float:  # noqa: D102
        if data.host_weights is None:
            return float(len(data) if rows is None else len(rows))
        return float((data.host_weights if rows is None else data.host_weights[rows]).sum())

    def snapshot(self) -> Snapshot:  # noqa: D102
        slots = zip(self._slot_names, self._slots, strict=True)
        return Snapshot(
            {each.name: self._read(self._parameters, each.name) for each in self.program.parameters},
            {f"{slot}/{name}": self._read(flat, name) for slot, flat in slots for name in self._trained.names},
            replace(self.state, sums=self.sums() if self.state.position else None),
        )

    def restore(self, snapshot: Snapshot) -> None:  # noqa: D102
        self._parameters = self._write(snapshot.parameters, self._layout)
        self._slots = [self._write(_of_slot(snapshot, slot), self._trained) for slot in self._slot_names]
        self.state = replace(snapshot.state)
        self.epoch = None  # what was measured in this state is part of the snapshot


def _of_slot(snapshot: Snapshot, slot: str) -> dict[str, HostArray]:
    """Return parameter -> numbers of a slot, from a snapshot's "slot/parameter".

    Missing running means start at the parameters.
    """
    start = f"{slot}/"
    found = {name.removeprefix(start): value for name, value in snapshot.slots.items() if name.startswith(start)}
    return {**snapshot.parameters, **found} if slot in AVERAGE.slots else found
