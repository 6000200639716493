"""Tests of a backend with optimizer options beyond a rate: groups, running means, clipping, varying numbers."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.backends.state import HostArray
from dnnkit.errors import BackendUnavailable
from dnnkit.optimizers import Optimizer

OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "groups of parameters": lambda: dk.AdamW(
        0.02,
        weight_decay=0.1,
        no_decay="bias",
        groups={"dense_1": {"learning_rate": 0.04, "beta_1": 0.7}, "*kernel": {"learning_rate_factor": 0.5}},
    ),
    "running means": lambda: dk.Adam(0.02, use_ema=True, ema_momentum=0.7),
    "a bound of each parameter's gradient": lambda: dk.SGD(0.3, clipnorm=0.05),
    "a bound of each element's gradient": lambda: dk.SGD(0.3, clipvalue=0.01),
    "decay that varies": lambda: dk.SGD(0.1, weight_decay=dk.schedules.CosineDecay(0.3, 8)),
}
CLOSE = 1e-9


def trainings(backend: Backend) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield a description and a function that raises AssertionError if the backend is wrong."""
    ask = _same if _network(backend, dk.SGD()).executable.api_version >= 2 else _refuses
    for words, make in OPTIMIZERS.items():
        yield f"an optimizer with {words}", partial(ask, backend, make)


def _network(backend: Backend | str, optimizer: Optimizer) -> dk.Sequential:
    layers = [dk.Dense(7, activation="tanh"), dk.Dense(6, activation="tanh"), dk.Dense(3, activation="softmax")]
    net = dk.Sequential(layers, backend=backend, seed=4, dtype="float64")
    net.compile(optimizer, "sparse_categorical_crossentropy")
    net.build(5)
    return net


def _data() -> tuple[HostArray, HostArray]:
    x = np.random.default_rng(3).normal(size=(60, 5))
    return x, x[:, :3].argmax(axis=1)


def _same(backend: Backend, make: Callable[[], Optimizer]) -> None:
    """Check parameters and predictions against the NumPy backend, and that a copy continues bitwise identically."""
    x, y = _data()
    net, expected = _network(backend, make()), _network("numpy", make())
    for each in (net, expected):
        each.fit(x, y, epochs=2, batch_size=16, verbose=0)
    for name, value in net.parameters.items():
        _check_close(name, value, expected.parameters[name])
    _check_close("predictions", net.predict(x), expected.predict(x))
    copy = net.copy()
    for each in (net, copy):
        each.fit(x, y, epochs=1, batch_size=16, verbose=0)
    assert np.array_equal(net.predict(x), copy.predict(x)), "a copy continues differently"


def _refuses(backend: Backend, make: Callable[[], Optimizer]) -> None:
    """Check that the backend refuses before training."""
    x, y = _data()
    net = _network(backend, make())
    try:
        net.fit(x, y, verbose=0)
    except BackendUnavailable:
        return
    raise AssertionError("an executable of api_version 1 trains with such an optimizer")


def _check_close(what: str, actual: HostArray, expected: HostArray) -> None:
    error = float(np.abs(actual - expected).max()) / max(1.0, float(np.abs(expected).max()))
    assert error < CLOSE, f"{what}: differs by {error:.3g}"
