"""Copies and pickles of networks: they continue like their originals, and share nothing with them."""

import copy
import logging
import multiprocessing
import pickle
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.activations import ACTIVATIONS
from dnnkit.backends import Backend, get_backend
from dnnkit.backends.diagnosis import warn_once
from dnnkit.errors import CheckpointError, ConfigurationError
from dnnkit.kernels import registry as kernels
from dnnkit.metrics import METRICS
from tests.backends.networks import CASES, data, may_be_flat
from tests.dnnkit.saves.test_saving import AbsoluteError, Factor, largest


def pickled(net: Any) -> Any:
    return pickle.loads(pickle.dumps(net))


WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": pickled,
    "pickle, protocol 0": lambda net: pickle.loads(pickle.dumps(net, 0)),
    "copy.copy": copy.copy,
    "net.copy": lambda net: net.copy(),
    "copy.deepcopy": copy.deepcopy,
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
X, LABELS = data()
FIRST = next(iter(CASES))


def train(net: dk.Sequential, name: str = FIRST, **how: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(X, CASES[name].targets(LABELS), **{"batch_size": 20, "epochs": 2, "verbose": 0, **how})


def assert_same(net: dk.Sequential, other: dk.Sequential) -> None:
    """Compare everything that decides how they continue, bit for bit."""
    mine, its = net.executable.snapshot(), other.executable.snapshot()
    np.testing.assert_equal(dict(its.parameters), dict(mine.parameters))
    np.testing.assert_equal(dict(its.slots), dict(mine.slots))
    assert its.state == mine.state
    np.testing.assert_equal(other.history.history, net.history.history)
    assert other.history.epoch == net.history.epoch
    for attribute in ("seed", "dtype", "num_threads", "input_shape", "layers", "loss", "optimizer", "metrics"):
        assert getattr(other, attribute) == getattr(net, attribute)


@may_be_flat
@each_way
@pytest.mark.parametrize("name", CASES)
def test_a_trained_network_continues_bit_for_bit(backend: Backend, name: str, way: Callable[[Any], Any]) -> None:
    net = CASES[name].network(backend)
    train(net, name)
    twin = way(net)
    assert type(twin.backend) is type(backend)
    assert_same(net, twin)
    np.testing.assert_array_equal(twin.predict(X), net.predict(X))
    for each in (net, twin):
        train(each, name)
    assert_same(net, twin)
    assert len(twin.history["loss"]) == 4


@each_way
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("state", ["described", "compiled", "built", "built and compiled"])
def test_a_network_at_any_stage(backend: Backend, state: str, dtype: Any, way: Callable[[Any], Any]) -> None:
    layers = [dk.Rescaling(1 / 16), dk.Flatten(), dk.Dense(10, activation="softmax")]
    net = dk.Sequential(layers, backend=backend, dtype=dtype, num_threads=1, seed=7)
    if "built" in state:
        net.build((4, 4))
    if "compiled" in state:
        net.compile(dk.Adam(0.01), "sparse_categorical_crossentropy", ["accuracy"])
    twin = way(net)
    assert (twin.is_built, twin.is_compiled) == (net.is_built, net.is_compiled)
    for each in (net, twin):
        if not each.is_compiled:
            each.compile(dk.Adam(0.01), "sparse_categorical_crossentropy", ["accuracy"])
        train(each)
    assert_same(net, twin)
    assert twin.backend.name == net.backend.name


@each_way
def test_a_copy_shares_nothing(backend: Backend, way: Callable[[Any], Any]) -> None:
    net = CASES[FIRST].network(backend)
    train(net)
    twin, before = way(net), dict(net.parameters)
    train(twin)
    twin.optimizer.learning_rate = 99.0
    np.testing.assert_equal(dict(net.parameters), before)
    assert net.optimizer.learning_rate != 99.0
    assert len(net.history.epoch) == 2
    assert any((twin.parameters[name] != value).any() for name, value in before.items())


@each_way
def test_a_copy_finishes_an_epoch_that_was_interrupted(backend: Backend, way: Callable[[Any], Any]) -> None:
    net = CASES[FIRST].network(backend)

    class Interrupt(dk.Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            if batch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(net, callbacks=[Interrupt()])
    twin = way(net)
    assert twin.executable.state.position == 3
    for each in (net, twin):
        train(each)
    assert_same(net, twin)


@each_way
def test_a_history_with_values_that_are_not_numbers(way: Callable[[Any], Any]) -> None:
    net = dk.Sequential([dk.Dense(1)], backend="numpy", seed=0)
    net.build(2)
    net.history.add(0, {"loss": float("inf")}, 0.1)
    net.history.add(1, {"loss": float("nan"), "late": -float("inf")}, 0.1)
    assert_same_history = np.testing.assert_equal
    assert_same_history(way(net).history.history, net.history.history)


# -- custom parts ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Halving(dk.schedules.Schedule):
    """Not in any registry."""

    def __call__(self, step: int) -> float:
        return 0.1 / (1 + step)


class Plain(dk.schedules.Schedule):
    """Not even a dataclass, so no save can describe it."""

    def __call__(self, step: int) -> float:
        return 0.05


@dataclass
class Signs(dk.optimizers.Optimizer):
    """An update rule with a slot."""

    learning_rate: Any = 0.01
    slots = ("last",)

    @staticmethod
    def update(step, parameter, gradient, last, learning_rate, xp):
        return parameter - learning_rate * xp.sign(gradient + last), gradient


@each_way
@pytest.mark.parametrize("optimizer", [Signs(Halving()), dk.SGD(Plain())], ids=["rule", "schedule"])
def test_ones_own_parts_come_along(backend: Backend, optimizer: Any, way: Callable[[Any], Any]) -> None:
    """By pickle's references; `custom_objects` is not needed."""
    net = dk.Sequential([Factor(0.5), dk.Dense(3, activation="tanh"), dk.Dense(1)], seed=0, backend=backend)
    net.compile(optimizer, AbsoluteError(), [largest])
    x = np.linspace(-1, 1, 80).reshape(40, 2)
    y = x[:, :1] - x[:, 1:]
    net.fit(x, y, epochs=2, verbose=0)
    twin = way(net)
    for each in (net, twin):
        each.fit(x, y, epochs=2, verbose=0)
    for name, value in net.parameters.items():
        np.testing.assert_array_equal(twin.parameters[name], value)
    assert twin.history.history == net.history.history
    assert {type(layer) for layer in twin.layers} == {Factor, dk.Dense}


class Named(dk.Sequential):
    """A subclass of a network with additional state, including itself."""

    def __init__(self, title: str) -> None:
        super().__init__([dk.Dense(2)], seed=0, backend="numpy")
        self.title, self.me = title, [self]


@each_way
def test_a_subclass_with_attributes(way: Callable[[Any], Any]) -> None:
    net = Named("first")
    net.build(3)
    twin = way(net)
    assert type(twin) is Named
    assert twin.title == "first"
    assert twin.me[0] is twin
    np.testing.assert_equal(dict(twin.parameters), dict(net.parameters))


@each_way
def test_a_copy_takes_no_seed_from_later_networks(way: Callable[[Any], Any]) -> None:
    dk.reset_seed(3)
    net = dk.Sequential([dk.Dense(1)])
    following = dk.Sequential().seed
    dk.reset_seed(3)
    assert dk.Sequential().seed == way(net).seed == net.seed
    assert dk.Sequential().seed == following


def test_two_networks_in_one_list_stay_one() -> None:
    net = dk.Sequential([dk.Dense(1)], seed=0)
    first, second = pickled([net, net])
    assert first is second


class Cube:
    """A custom activation."""

    @staticmethod
    def forward(x, xp):
        return x * x * x

    @staticmethod
    def derivative(x, xp):
        return 3 * x * x


def nearness(y_true, y_pred):
    return np.min(np.abs(y_pred - y_true), axis=1)


@contextmanager
def only_within() -> Iterator[None]:
    """Names registered within the block are unknown afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ACTIVATIONS, "_things", dict(ACTIVATIONS._things))
        patch.setattr(METRICS, "_things", dict(METRICS._things))
        patch.setattr(kernels, "RUNTIME_ACTIVATIONS", dict(kernels.RUNTIME_ACTIVATIONS))
        yield
    kernels.activation.cache_clear()


def test_registered_parts_are_pickled_with_their_names() -> None:
    """The process that reads a pickle may not have registered it."""
    x = np.ones((4, 2))
    with only_within():
        dk.register("activation", "pickled_cube", Cube)
        dk.register("metric", "pickled_nearness", nearness)
        net = dk.Sequential([dk.Dense(1, activation="pickled_cube")], seed=0, backend="numpy")
        net.compile("sgd", "mean_squared_error", ["pickled_nearness"])
        net.build(2)
        written, expected = pickle.dumps(net), net.evaluate(x, np.zeros((4, 1)))
    with only_within():
        assert pickle.loads(written).evaluate(x, np.zeros((4, 1))) == expected


# -- where it runs ---------------------------------------------------------------------------------------------------


def test_without_its_backend_it_continues_on_the_current_one(caplog: pytest.LogCaptureFixture) -> None:
    net = CASES[FIRST].network("numpy")
    train(net)
    state = net.__getstate__()
    state["backend"] = "cupy:7"
    twin = dk.Sequential.__new__(dk.Sequential)
    warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, "dnnkit"), dk.use_backend("numpy"):
        twin.__setstate__(state)
    assert twin.backend.name == "numpy"
    assert "a pickled network, of backend 'cupy:7', continues on 'numpy': backend 'cupy" in caplog.text
    assert_same(net, twin)


def test_the_device_is_pickled() -> None:
    backend = get_backend("numpy")
    assert backend.address == "numpy"
    backend = type(backend)()
    backend._device_asked = "1"
    assert dk.Sequential([dk.Dense(1)], backend=backend).__getstate__()["backend"] == "numpy:1"


def test_a_pickle_of_another_format_is_rejected() -> None:
    state = {**dk.Sequential([dk.Dense(1)]).__getstate__(), "format": 99, "dnnkit": "9.0"}
    with pytest.raises(
        CheckpointError,
        match=r"written in format 99 by dnnkit 9.0; this version reads formats up to 3: install dnnkit 9.0",
    ):
        dk.Sequential().__setstate__(state)


# -- other processes -------------------------------------------------------------------------------------------------


def go_on(net: dk.Sequential) -> dk.Sequential:
    train(net)
    return net


@pytest.mark.parametrize("backend_name", ["numpy", "numba"])
def test_a_new_process_trains_it_on_and_gives_it_back(backend_name: str) -> None:
    twist = dk.activation("twist", "x / (1 + exp(-beta * x))", beta=1.25)
    layers = [dk.Rescaling(1 / 16), dk.Flatten(), dk.Dense(9, activation=twist), dk.Dense(10, activation="softmax")]
    net = dk.Sequential(layers, backend=backend_name, seed=5)
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    train(net)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(go_on, net).result()
    assert there.backend.name == backend_name
    assert_same(go_on(net), there)


# -- what pickle rejects ---------------------------------------------------------------------------------------------


def compiled(**parts: Any) -> dk.Sequential:
    @dataclass(frozen=True)
    class Local(dk.Layer):
        pass

    class LocalRate(dk.schedules.Schedule):
        pass

    class LocalLoss(dk.losses.Loss):
        pass

    named = {
        "layer": Local(),
        "optimizer": dk.SGD(LocalRate()),
        "loss": LocalLoss(),
        "metric": lambda y_true, y_pred: y_pred,
    }
    taken = {part: thing for part, thing in named.items() if part in parts}
    net = dk.Sequential([dk.Dense(1), *([taken["layer"]] if "layer" in taken else [])], seed=0, backend="numpy")
    metrics = [taken["metric"]] if "metric" in taken else []
    net.compile(taken.get("optimizer", "sgd"), taken.get("loss", "mean_squared_error"), metrics)
    return net


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("layer", "layer 1, Local, cannot be pickled"),
        ("optimizer", "the optimizer SGD cannot be pickled"),
        ("loss", "the loss LocalLoss cannot be pickled"),
        ("metric", "the metric '<lambda>' cannot be pickled"),
    ],
)
def test_parts_that_cannot_be_pickled_are_named_with_the_cure(part: str, words: str) -> None:
    net = compiled(**{part: True})
    with pytest.raises(ConfigurationError, match=f"{words}.*define it at the top of a module"):
        pickle.dumps(net)
    assert copy.deepcopy(net).is_compiled


def found() -> Any:
    """Stands for a lambda."""
    return largest


class PlainPickler(pickle._Pickler):
    """Like joblib's: written in Python, but it handles functions as pickle does."""


class LambdaPickler(pickle.Pickler):
    """Like cloudpickle's: it can pickle what pickle rejects."""

    def reducer_override(self, thing: Any) -> Any:
        return (found, ()) if getattr(thing, "__name__", "") == "<lambda>" else NotImplemented

    def dump(self, thing: Any) -> None:
        return super().dump(thing)


def test_a_pickler_that_accepts_more_gets_no_error_of_pickles() -> None:
    written = BytesIO()
    LambdaPickler(written).dump(compiled(metric=True))
    assert pickle.loads(written.getvalue()).metrics == (largest,)
    with pytest.raises(ConfigurationError, match="the metric '<lambda>' cannot be pickled"):
        PlainPickler(written).dump(compiled(metric=True))
