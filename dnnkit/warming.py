"""Ahead-of-time compilation of everything a network may need, for containers, CI images and clusters."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

import numpy as np

from dnnkit.activations import ACTIVATIONS
from dnnkit.backends.base import Backend
from dnnkit.backends.registry import get_backend
from dnnkit.deferred import dataclass
from dnnkit.errors import TrainingWarning
from dnnkit.kernels import registry
from dnnkit.layers import Activation, Dense, Dropout, Layer, Rescaling
from dnnkit.losses import LOSSES, Loss
from dnnkit.metrics import Given, Precision, TopKCategoricalAccuracy
from dnnkit.network.checks import check_dtype
from dnnkit.network.lowering import Dtype
from dnnkit.network.sequential import Sequential
from dnnkit.optimizers import OPTIMIZERS, SGD, Adam, Optimizer

DTYPES: tuple[Dtype, ...] = ("float32", "float64")


@dataclass(frozen=True)
class Compiled:
    """A part that was compiled or found in the cache, and the seconds it took."""

    what: str
    dtype: str
    seconds: float


def warm_up(
    dtype: Dtype | None = None,
    *,
    backend: str | Backend | None = None,
    say: Callable[[Compiled], None] = lambda compiled: None,
) -> list[Compiled]:
    """Fill the cache of compiled kernels, so that later processes on this kind of CPU need not compile.

    Trains small networks that together use every built-in layer, activation, loss, optimizer and metric.

    Arguments:
        dtype: "float32" or "float64"; default both.
        backend: name of the backend, default the current one. A backend that compiles nothing returns at once.
        say: called with each part when it is done.

    Returns:
        The parts, with the seconds that each took.
    """
    chosen, parts = get_backend(backend), []
    for one in DTYPES if dtype is None else (check_dtype(dtype),):
        for what, network in _networks():
            start = perf_counter()
            network.use(chosen, one)
            parts.append(Compiled(what, one, perf_counter() - start))
            say(parts[-1])
        start = perf_counter()
        chosen.compile_ahead(one)
        parts.append(Compiled("what other data and several threads need", one, perf_counter() - start))
        say(parts[-1])
    return parts


@dataclass(frozen=True)
class _Network:
    layers: list[Layer]
    optimizer: str | Optimizer = "adam"
    loss: str = "mean_squared_error"
    metrics: Sequence[Given] | None = None

    def use(self, backend: Backend, dtype: Dtype) -> None:
        """Run every operation of networks, on data of every kind."""
        with warnings.catch_warnings():  # mismatched outputs and losses are intended here
            warnings.simplefilter("ignore", TrainingWarning)
            self._use(backend, dtype)

    def _use(self, backend: Backend, dtype: Dtype) -> None:
        net = Sequential(self.layers, seed=0, dtype=dtype, backend=backend)
        usual = ["accuracy"] if self.layers[-1] != Dense(OUTPUTS) else []
        net.compile(self.optimizer, self.loss, usual if self.metrics is None else self.metrics)
        net.build(INPUTS)
        labels = np.arange(ROWS) % OUTPUTS
        loss = LOSSES.make(self.loss, Loss)
        is_positive = loss.kernel is not None and registry.loss(loss.kernel).target_range == "positive"
        y = labels if loss.targets == "labels" else np.eye(OUTPUTS)[labels] + is_positive
        if net.executable.program.output_features == 1:
            y = y[:, :1]
        numbers = np.linspace(0, 1, ROWS * INPUTS).reshape(ROWS, INPUTS)
        mostly_zeros = np.where(numbers > 0.9, 255, 0).astype(np.uint8)
        for x in (numbers, mostly_zeros):
            rows = None if net.optimizer.full_batch else ROWS // 2
            net.fit(x, y, batch_size=rows, sample_weight=np.ones(ROWS), verbose=0)
            net.evaluate(x, y)
            net.predict(x)
        net.predict(numbers[:1].astype(dtype))
        net.get_gradients(numbers, y)
        given = np.zeros((ROWS, net.executable.program.output_features))
        net.backward(numbers, given)
        if not net.optimizer.full_batch:
            net.step(numbers, given)
        net.follow(net, 0.5)


ROWS, INPUTS, OUTPUTS = 128, 64, 3


def _networks() -> Iterator[tuple[str, _Network]]:
    usual = [Rescaling(0.5), Dense(8, activation="relu"), Dropout(0.5), Dense(OUTPUTS, activation="softmax")]
    linear = Dense(OUTPUTS)
    yield "training and prediction", _Network(usual, loss="sparse_categorical_crossentropy")
    hidden: list[Layer] = [Dense(8, activation=name) for name in ACTIVATIONS.names()]
    yield "activations", _Network([*hidden, Activation("tanh"), linear])
    for loss in LOSSES.names():
        yield (
            f"loss {loss}",
            _Network([Dense(OUTPUTS, activation="sigmoid" if "binary" in loss else "softmax")], loss=loss),
        )
        yield f"loss {loss}, not fused", _Network([Dense(OUTPUTS, activation="sigmoid"), Rescaling(1.0)], loss=loss)
    for optimizer in OPTIMIZERS.names():
        yield f"optimizer {optimizer}", _Network([linear], optimizer)
    yield "optimizer sgd with momentum", _Network([linear], SGD(momentum=0.9))
    yield "optimizer sgd, Nesterov's", _Network([linear], SGD(momentum=0.9, nesterov=True))
    binary: list[Layer] = [Dense(1, activation="sigmoid")]
    classes: list[Layer] = [Dense(OUTPUTS, activation="softmax")]
    outcomes = ["precision", "auc", "mean_absolute_error", "mean_squared_error", "r2_score"]
    yield "metrics of yes and no", _Network(binary, loss="binary_crossentropy", metrics=outcomes)
    of_classes: list[Given] = [TopKCategoricalAccuracy(k=2), Precision(average="macro"), "auc"]
    yield "metrics of classes", _Network(classes, loss="sparse_categorical_crossentropy", metrics=of_classes)
    yield "clipping", _Network([linear], SGD(global_clipnorm=1.0))
    yield "clipping, each parameter", _Network([linear], SGD(clipnorm=1.0))
    yield "running means of parameters", _Network([linear], SGD(use_ema=True))
    yield "optimizer adam, amsgrad", _Network([linear], Adam(amsgrad=True))
