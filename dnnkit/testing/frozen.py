"""Tests of a backend with frozen layers: they do not change and have no influence, and the others learn as usual."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.backends.state import HostArray
from dnnkit.errors import BackendUnavailable

FROZEN = (("dense",), ("dense_1",), ("dense", "dense_2"), ("dense", "dense_1", "dense_2"), ("dense_3",))
"""Frozen layers: below all trained ones, between them, both, all hidden, and the last."""
ACTIVATIONS = ("tanh", "relu", "gelu")
CLOSE = 1e-9


def trainings(backend: Backend) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield a description and a function that raises AssertionError if the backend is wrong."""
    if _network(backend, ("dense",)).executable.api_version < 2:
        yield "frozen layers are refused with an error", partial(_refuses, backend)
        return
    for frozen in FROZEN:
        what = f"frozen layers {', '.join(frozen)}"
        yield f"{what}: unchanged, the others learn as with NumPy", partial(_stay, backend, frozen)
        yield f"{what}: gradients of the others only", partial(_gradients, backend, frozen)
    yield "frozen layers below are equivalent to preprocessing", partial(_upper_part, backend)
    yield "frozen layers: frozen during training, and unfrozen", partial(_half_way, backend)


def _network(backend: Backend | str, frozen: tuple[str, ...]) -> dk.Sequential:
    """Return a network with weight decay and gradient clipping, which frozen parameters may not affect."""
    layers = [dk.Dense(7 + place, activation=activation) for place, activation in enumerate(ACTIVATIONS)]
    net = dk.Sequential([*layers, dk.Dense(3, activation="softmax")], backend=backend, seed=4, dtype="float64")
    net.compile(dk.AdamW(0.02, weight_decay=0.1, global_clipnorm=0.2), "sparse_categorical_crossentropy", ["accuracy"])
    for name in frozen:
        net.freeze(name)
    net.build(5)
    return net


def _data() -> tuple[HostArray, HostArray]:
    x = np.random.default_rng(3).normal(size=(60, 5))
    return x, x[:, :3].argmax(axis=1)


def _fit(net: dk.Sequential, x: Any, y: Any, epochs: int = 2) -> HostArray:
    return np.array(net.fit(x, y, epochs=epochs, batch_size=16, verbose=0)["loss"])


def _check_close(what: str, actual: HostArray, expected: HostArray) -> None:
    error = float(np.abs(actual - expected).max()) / max(1.0, float(np.abs(expected).max()))
    assert error < CLOSE, f"{what}: differs by {error:.3g}"


def _check_alike(net: dk.Sequential, other: dk.Sequential) -> None:
    for name, value in net.parameters.items():
        _check_close(name, value, other.parameters[name])


def _is_frozen(name: str, frozen: tuple[str, ...]) -> bool:
    return name.rpartition("/")[0] in frozen


def _stay(backend: Backend, frozen: tuple[str, ...]) -> None:
    """Frozen parameters are bitwise unchanged, and all others change."""
    net, other, (x, y) = _network(backend, frozen), _network("numpy", frozen), _data()
    before = dict(net.parameters)
    losses = _fit(net, x, y)
    for name, value in net.parameters.items():
        is_same = value.tobytes() == before[name].tobytes()
        assert is_same == _is_frozen(name, frozen), f"{name} {'stayed' if is_same else 'changed'}"
    _check_close("losses", losses, _fit(other, x, y))
    _check_alike(net, other)


def _gradients(backend: Backend, frozen: tuple[str, ...]) -> None:
    net, (x, y) = _network(backend, frozen), _data()
    wanted = [name for name in net.parameters if not _is_frozen(name, frozen)]
    _, gradients = net.get_gradients(x[:7], y[:7], with_input=True)
    assert list(gradients) == [*wanted, "input"], f"gradients of {', '.join(gradients)}"
    everything = _network("numpy", ())
    everything.parameters = net.parameters
    _, expected = everything.get_gradients(x[:7], y[:7], with_input=True)
    for name, gradient in gradients.items():
        _check_close(f"gradient of {name}", gradient, expected[name])
    found = dk.check_gradients(net, x[:7], y[:7], samples=5)
    assert found.passed, f"relative errors {found.errors}"


def _upper_part(backend: Backend) -> None:
    """Training above frozen layers equals training the upper layers alone on the lower layers' outputs."""
    net, (x, y) = _network(backend, FROZEN[0]), _data()
    below = dk.Sequential(net.layers[:1], backend="numpy", dtype="float64")
    above = dk.Sequential(net.layers[1:], backend="numpy", seed=net.seed, dtype="float64")
    above.compile(net.optimizer, net.loss, net.metrics)
    below.build(5)
    above.build(7)
    below.parameters = {name: value for name, value in net.parameters.items() if name.startswith("dense/")}
    pairs = list(zip(above.parameters, [name for name in net.parameters if not name.startswith("dense/")], strict=True))
    above.parameters = {mine: net.parameters[its] for mine, its in pairs}
    _check_close("losses", _fit(net, x, y), _fit(above, below.predict(x), y))
    for mine, its in pairs:
        _check_close(its, net.parameters[its], above.parameters[mine])


def _half_way(backend: Backend) -> None:
    """Optimizer state of the other layers is kept; that of unfrozen layers starts anew."""
    net, other, (x, y) = _network(backend, ()), _network("numpy", ()), _data()
    for each in (net, other):
        _fit(each, x, y, 1)
        each.freeze("dense_1")
        _fit(each, x, y, 1)
        each.unfreeze("*")
    assert not any(slot.any() for name, slot in net.executable.snapshot().slots.items() if "/dense_1/" in name)
    _check_close("losses", _fit(net, x, y), _fit(other, x, y))
    _check_alike(net, other)


def _refuses(backend: Backend) -> None:
    net, (x, y) = _network(backend, FROZEN[0]), _data()
    net.evaluate(x, y)
    try:
        net.fit(x, y, verbose=0)
    except BackendUnavailable as error:
        words = str(error)
    else:
        words = "it trains them"
    assert "frozen" in words, words
    net.unfreeze("*")
    _fit(net, x, y, 1)
