"""`check_backend`: all questions and some short trainings on a backend, with a table of what it supports."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

import dnnkit as dk
from dnnkit.backends import Backend, get_backend
from dnnkit.backends.measures import Loss, Metric
from dnnkit.backends.operations import Operations
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Dense, Parameter
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.errors import TrainingWarning
from dnnkit.kernels import registry
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.losses import LOSSES
from dnnkit.network.whole import WholeNetwork
from dnnkit.optimizers import OPTIMIZERS
from dnnkit.testing import frozen, grouped
from dnnkit.testing.backend_operations import of_backend
from dnnkit.testing.conformance import QUESTIONS, asked

KINDS = {"activation": "activation", "loss": "loss", "metric": "metric", "optimizer": "update"}
"""Kinds and the operation that performs each."""
TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
"""Relative difference between the losses of two backends after some epochs."""


@dataclass
class Line:
    """Results for one kind.

    Attributes:
        kind: as in `Question.kind`, or "training".
        asked, passed: number of questions, each about one kernel.
        fast: kernels that the backend's fast path supports.
        by_formula: kernels that it computes by their formula, operation by operation.
    """

    kind: str
    asked: int = 0
    passed: int = 0
    fast: list[str] = field(default_factory=list)
    by_formula: list[str] = field(default_factory=list)


@dataclass
class Report:
    """What a backend supports; `print` it for the table."""

    backend: str
    version: str
    device: str
    lines: list[Line]
    failures: list[str]

    def __str__(self) -> str:
        """Return the table, followed by the failures."""
        rows: list[tuple[str, ...]] = [("kind", "passed", "fast path", "by formula")]
        for line in self.lines:
            total = len(line.fast) + len(line.by_formula)
            names = [f"{len(names)} of {total}" if total else "" for names in (line.fast, line.by_formula)]
            rows.append((line.kind, f"{line.passed} of {line.asked}", *names))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        head = f"backend {self.backend} ({self.version}, {self.device})"
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        formulas = [f"{line.kind} by formula: {', '.join(line.by_formula)}" for line in self.lines if line.by_formula]
        return "\n".join([head, "", *table, "", *formulas, *(f"FAILED {failure}" for failure in self.failures)]).strip()


def check_backend(name: str | Backend, *, verbose: bool = True) -> Report:
    """Run the conformance kit on a backend.

    Arguments:
        name: name of an installed or built-in backend, as in `DNNKIT_BACKEND`; or a backend object.
        verbose: whether to print the table.

    Returns:
        What passed, by kind, and what runs on the backend's fast path.

    Raises:
        AssertionError: something is wrong; the message lists all failures.
        BackendUnavailable: there is no such backend, or it does not work here.
    """
    backend = get_backend(name)
    implementation = of_backend(backend)
    lines = {kind: _capabilities(backend, kind) for kind in dict.fromkeys(question.kind for question in QUESTIONS)}
    failures: list[str] = []
    for question, kernel in asked(implementation):
        found = question.failures(implementation, kernel)
        lines[question.kind].asked += 1
        lines[question.kind].passed += not found
        failures += [f"{question.kind}: {failure}" for failure in found]
    training = lines.setdefault("training", Line("training"))
    for what, ask in _trainings(backend):
        training.asked += 1
        try:
            ask()
            training.passed += 1
        except Exception as error:  # continue with the others
            failures.append(f"training: {what}: {type(error).__name__}: {str(error).strip()}")
    report = Report(backend.name, backend.version, backend.device, list(lines.values()), failures)
    if verbose:
        print(report)
    if failures:
        raise AssertionError(f"backend {backend.name}: {len(failures)} failures\n" + "\n".join(failures))
    return report


# -- the fast path ---------------------------------------------------------------------------------------------------


def _capabilities(backend: Backend, kind: str) -> Line:
    line = Line(kind)
    if kind in KINDS:
        own = getattr(type(backend), KINDS[kind]) is not getattr(Operations, KINDS[kind])
        for name in RULES if kind == "optimizer" else registry.names(kind):
            is_fast = own and backend.unsupported_reason(_program(kind, name)) is None
            (line.fast if is_fast else line.by_formula).append(name)
    return line


def _program(kind: str, name: str) -> Program:
    """Return a small program with one kernel of that name."""
    loss = registry.loss(name if kind == "loss" else "mean_squared_error")
    return Program(
        input_shape=(3,),
        output_features=2,
        stages=(Dense(Parameter("dense/kernel", (3, 2)), None, name if kind == "activation" else "linear"),),
        head="linear",
        loss=Loss(loss.name, "values", loss.reduction),
        metrics=(Metric(name, name, sums=registry.metric(name).number_of_sums(2)),) if kind == "metric" else (),
        rule=name if kind == "optimizer" else "sgd",
        dtype="float32",
        seed=0,
        num_threads=None,
    )


# -- training --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Training:
    """A small training task: some activations, a loss, an optimizer."""

    activations: tuple[str, ...]
    loss: str
    optimizer: str

    def __str__(self) -> str:
        return f"{', '.join(self.activations)}; {self.loss}; {self.optimizer}"

    def network(self, backend: Backend | str, dtype: Any) -> dk.Sequential:
        """Return the untrained network."""
        layers: list[dk.Layer] = [dk.Dense(8, activation=activation) for activation in self.activations]
        if not OPTIMIZERS.find(self.optimizer).full_batch:
            layers.append(dk.Dropout(0.2))
        net = dk.Sequential(
            [dk.Rescaling(1 / 16, -0.5), *layers, dk.Dense(3, activation=self._last)],
            backend=backend,
            seed=1,
            dtype=dtype,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)  # activations with zero gradient are included
            net.compile(optimizer=self.optimizer, loss=self.loss, metrics=["accuracy"])
        return net

    def data(self) -> tuple[HostArray, HostArray]:
        """Return uint8 inputs, and targets that depend on them."""
        x = np.random.default_rng(2).integers(0, 17, (60, 5), dtype=np.uint8)
        labels = x[:, :3].argmax(axis=1)
        if self._targets == "labels":
            return x, labels
        return x, np.eye(3)[labels] + (self._kernel.target_range == "positive")

    @property
    def _targets(self) -> str:
        return LOSSES.find(self.loss)().targets

    @property
    def _kernel(self) -> registry.Loss:
        return registry.loss(LOSSES.find(self.loss)().kernel or "")

    @property
    def _last(self) -> str:
        kernel = self._kernel
        if kernel.scores == "not negative":
            return "softplus"
        if kernel.scores != "probabilities":
            return "linear"
        return "softmax" if kernel.outputs == "categorical" else "sigmoid"

    def losses(self, backend: Backend | str, dtype: str) -> HostArray:
        """Return the losses of a few epochs."""
        return self.fit(self.network(backend, dtype), epochs=3)

    def fit(self, net: WholeNetwork, epochs: int = 1) -> HostArray:
        """Train, and return the losses of the epochs."""
        rows = None if net.optimizer.full_batch else 16
        return np.array(net.fit(*self.data(), epochs=epochs, batch_size=rows, verbose=0)["loss"])


def _trainings(backend: Backend) -> Iterator[tuple[str, Callable[[], None]]]:
    names = list(registry.names("activation"))
    groups = [tuple(names[start : start + 3]) for start in range(0, len(names), 3)]
    losses, optimizers = list(LOSSES), list(OPTIMIZERS)
    count = max(len(groups), len(losses), len(optimizers))
    parts = zip(range(count), cycle(groups), cycle(losses), cycle(optimizers), strict=False)
    for training in [_Training(activations, loss, optimizer) for _, activations, loss, optimizer in parts]:
        for dtype, tolerance in TOLERANCE.items():
            yield f"{training}, {dtype}", partial(_same_trajectory, backend, training, dtype, tolerance)
        yield f"{training}, saved", partial(_saved, backend, training)
    smooth = _Training(("tanh",), "categorical_crossentropy", "adam")
    yield "gradients against differences", partial(_gradients, backend, smooth)
    yield "an evaluation, batch by batch", partial(_heard, backend, smooth)
    yield from frozen.trainings(backend)
    yield from grouped.trainings(backend)


def _same_trajectory(backend: Backend, training: _Training, dtype: str, tolerance: float) -> None:
    """The losses of each epoch match the NumPy backend's."""
    actual, expected = training.losses(backend, dtype), training.losses("numpy", dtype)
    error = float(np.abs(actual / expected - 1).max())
    assert error < tolerance, f"losses {actual}, with NumPy {expected}: relative difference {error:.3g}"
    assert training.losses(backend, dtype).tobytes() == actual.tobytes(), "a second run is not bitwise identical"


def _saved(backend: Backend, training: _Training) -> None:
    """A network that was saved and loaded continues identically."""
    x, _ = training.data()
    net = training.network(backend, "float32")
    training.fit(net)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        net.save(Path(folder) / "net")
        again = dk.load(Path(folder) / "net", backend=backend)  # type: ignore[arg-type] # as Sequential takes it
    predictions = [each.predict(x).tobytes() for each in (net, again)]
    assert predictions[0] == predictions[1], "the loaded network predicts different values"
    losses = [training.fit(each).tolist() for each in (net, again)]
    assert losses[0] == losses[1], f"the loaded network continues with the losses {losses[1]}, not {losses[0]}"


def _gradients(backend: Backend, training: _Training) -> None:
    """Backpropagation matches the derivative of the loss."""
    x, y = training.data()
    found = dk.check_gradients(training.network(backend, "float64"), x[:7], y[:7], samples=10)
    assert found.passed, f"relative errors {found.errors}"


def _heard(backend: Backend, training: _Training) -> None:
    """Losses that a callback receives batch by batch add up to the evaluation without callbacks."""
    x, y = training.data()
    net, heard = training.network(backend, "float32"), list[float]()
    listener = dk.LambdaCallback(on_test_batch_end=lambda _, logs: heard.append(logs["loss"]))
    net.evaluate(x, y, batch_size=16, callbacks=listener)
    expected = [net.evaluate(x[:end], y[:end])["loss"] for end in (*range(16, len(x), 16), len(x))]
    assert len(heard) == len(expected), f"{len(heard)} batches of 16 rows, not {len(expected)}"
    error = float(np.abs(np.array(heard) / expected - 1).max())
    assert error < TOLERANCE["float32"], f"losses so far {heard}, of the same rows at once {expected}"
