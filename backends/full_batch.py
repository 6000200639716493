"""Full-batch training: an executable whose steps are iterations of L-BFGS.

It wraps the executable that a backend builds for the same program without an optimizer, which has the parameters,
predicts and evaluates. Iterations are in `iterations.py`, requirements on programs in `one_function.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from dnnkit.backends import one_function
from dnnkit.backends.around import Around
from dnnkit.backends.executable import Epochs, Executable
from dnnkit.backends.inspection import StepParts
from dnnkit.backends.iterations import ArrayIterations
from dnnkit.backends.operations import Operations
from dnnkit.backends.program import FullBatch, Program
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Snapshot, Totals
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels.array import Array

SLOTS = "step", "change"
"""Slots of each remembered iteration, numbered from the oldest."""


def around(executable: Executable, program: Program, backend: Operations) -> Executable:
    """Wrap the executable of the program without its optimizer."""
    assert isinstance(program.rule, FullBatch)
    return FullBatchExecutable(executable, program, program.rule.pairs, backend)


@dataclass
class Epoch:
    """Data of an epoch, and what was measured in it."""

    data: Any
    weight: float
    totals: Totals | None = None


class FullBatchExecutable(Around):
    """A built program, trained by L-BFGS."""

    epoch: Epoch | None
    can_run_epochs = True

    def __init__(self, inner: Executable, program: Program, pairs: int, backend: Operations) -> None:
        super().__init__(inner)
        self._backend, self.program, self.epoch, self._most = backend, program, None, pairs
        self._rows = one_function.rows_at_a_time(program)
        compiled = inner.iterations(pairs, self._rows)
        self._iterations = ArrayIterations(inner, pairs, self._rows, backend) if compiled is None else compiled
        self._reduction = program.loss.reduction if program.loss is not None else "mean"
        self._ended = ""
        self._is_checked = False

    def write_parameter(self, name: str, value: HostArray) -> None:  # noqa: D102
        self._iterations.forget()  # a frozen parameter changes the loss, too
        self._inner.write_parameter(name, value)

    # -- numbers in and out ------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return a snapshot with steps as slots "step_0", "step_1", ..., the oldest first, and changes likewise."""
        inner, slots = self._inner.snapshot(), dict[str, HostArray]()
        with self._backend.on_device():
            for place, pair in enumerate(self._iterations.pairs):
                for slot, flat in zip(SLOTS, pair, strict=True):
                    named = self._inner.name_trained(flat)
                    slots |= {f"{slot}_{place}/{name}": array for name, array in named.items()}
        return Snapshot(
            inner.parameters, slots, replace(inner.state, sums=self.sums() if inner.state.position else None)
        )

    def restore(self, snapshot: Snapshot) -> None:  # noqa: D102
        self._inner.restore(Snapshot(snapshot.parameters, {}, snapshot.state))
        self.epoch, slots, pairs = None, snapshot.slots, list[tuple[Array, Array]]()
        self._iterations.forget()
        with self._backend.on_device():
            for place in range(self._most):
                step, change = (_of_slot(slots, f"{slot}_{place}/") for slot in SLOTS)
                if not (step and change):
                    break
                pairs.append((self._inner.flatten_trained(step), self._inner.flatten_trained(change)))
            self._iterations.pairs = pairs

    # -- training ----------------------------------------------------------------------------------------------------

    def prepare(  # noqa: D102
        self, data: Any, batch_size: int, hyperparameters: Hyperparameters, held_out: Any = None
    ) -> None:
        self._require_one_function()
        with self._backend.on_device():
            self._iterations.prepare(data)  # compiles what it needs; the first step reuses its evaluation

    def _require_one_function(self) -> None:
        if not self._is_checked:
            one_function.require_one_function(self.program)
            self._is_checked = True

    def begin_epoch(self, data: Any, order: HostArray, batch_size: int) -> None:
        """Begin an epoch; the order of the rows does not matter, because all are used."""
        self._require_one_function()
        if self.epoch is None or self.epoch.data is not data:
            self.epoch = Epoch(data, self._inner.weight(data))
        self.epoch.totals, self._ended = None, ""

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
        assert self.epoch is not None
        noted = self._run(self.epoch, last - first, hyperparameters)
        if len(noted):
            self.epoch.totals = self._totals(self.epoch, noted[-1])
        return last if self._ended else first + len(noted)

    def run_epochs(self, data: Any, most: int, hyperparameters: Hyperparameters) -> Epochs:  # noqa: D102
        self.begin_epoch(data, np.empty(0, np.int64), len(data))
        assert self.epoch is not None
        noted = self._run(self.epoch, most, hyperparameters)
        losses = noted[:, 0]
        if self._reduction == "mean":  # as `Totals.means` computes it from a sum
            losses = losses * self.epoch.weight / (self.epoch.weight or 1.0)
        logs: dict[str, list[float]] = {"loss": losses.tolist()}
        if self.program.metrics:
            means = [self._totals(self.epoch, row).means(self.program.metrics) for row in noted]
            logs |= {metric.name: [each[metric.name] for each in means] for metric in self.program.metrics}
        logs["evaluations"] = [int(count) for count in noted[:, 1].tolist()]
        if len(noted):
            self.epoch.totals = self._totals(self.epoch, noted[-1])
        return Epochs(len(noted), logs, self.totals())

    def _run(self, epoch: Epoch, count: int, hyperparameters: Hyperparameters) -> HostArray:
        with self._backend.on_device():
            noted = self._iterations.run(epoch.data, count, hyperparameters)
        self._ended = self._iterations.ended
        return noted

    def _totals(self, epoch: Epoch, noted: HostArray) -> Totals:
        """Return the totals of an iteration: what was measured at its end."""
        value, _, *metrics = noted.tolist()
        loss = value if self._reduction == "sum" else value * epoch.weight
        return Totals(loss, epoch.weight, tuple(metrics), self._reduction, -1 if value == value else 0)

    def request_stop(self) -> None:  # noqa: D102
        self._iterations.pause()

    def give_up(self) -> None:  # noqa: D102
        self._iterations.give_up()

    @property
    def ended(self) -> str:  # noqa: D102
        return self._ended

    @property
    def counts(self) -> Mapping[str, int]:  # noqa: D102
        return {"evaluations": self.state.evaluations}

    # -- results -------------------------------------------------------------------------------------------------------

    def totals(self) -> Totals:
        """Return loss and metrics at the end of the step, those of the current parameters."""
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
            "L-BFGS takes no external gradients, because it evaluates the loss at trial parameters: train with "
            "net.fit(x, y) or net.train_step(x, y), or compile with another optimizer, such as dk.SGD()"
        )

    def step_parts(self, data: Any, order: HostArray, batch_size: int) -> StepParts:
        """Measure one evaluation of loss and gradient on these rows."""
        numbers, always = self._inner.read_trained(), lambda: True
        seconds = []
        for _ in range(3):
            start = perf_counter()
            self._inner.differentiate_all(data, numbers, batch_size, always)
            seconds.append(perf_counter() - start)
        return StepParts((), None, min(seconds))


def _of_slot(slots: Mapping[str, HostArray], start: str) -> dict[str, HostArray]:
    """Return parameter -> numbers, for all slots with this prefix."""
    return {name.removeprefix(start): value for name, value in slots.items() if name.startswith(start)}
