"""Frozen layers: what stays fixed, what continues, and what freezing means for everything that a network does."""

import copy
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.backends.numpy_backend import NumpyBackend
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Dense, Parameter
from dnnkit.backends.stagewise.executable import StagewiseExecutable
from dnnkit.errors import BackendUnavailable, ConcurrentUse, ConfigurationError, NotReady, TrainingWarning, UnknownName
from dnnkit.layers.base import with_trainable
from dnnkit.testing import frozen as kit

rng = np.random.default_rng(8)
X, Y = rng.normal(size=(50, 6)), rng.integers(0, 3, 50)


@dataclass(frozen=True)
class Shift(dk.Layer):
    """y = x + s with trained numbers; it counts its calls."""

    first: float = 0.5

    def parameters(self, input_shape):
        return {"shift": (input_shape, dk.initializers.Constant(self.first))}

    def forward(self, xp, x, shift):
        return x + shift, None

    def backward(self, xp, dy, saved, shift):
        CALLS.append(type(self))
        return dy, xp.sum(dy, axis=0)


@dataclass(frozen=True)
class Below(Shift):
    """The same layer, under a distinct class."""


CALLS: list[type] = []


def network(backend: Any = "numpy", dtype: Any = "float64", **more: Any) -> dk.Sequential:
    layers = [dk.Dense(9, activation="tanh"), dk.Dropout(0.1), dk.Dense(8, activation="gelu"), dk.Dense(3)]
    net = dk.Sequential(layers, backend=backend, dtype=dtype, seed=3, **more)
    loss = dk.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(dk.AdamW(0.02, global_clipnorm=0.5), loss, ["accuracy"])
    net.build(6)
    return net


def fit(net: dk.Sequential, **more: Any) -> dk.History:
    return net.fit(X, Y, **{"batch_size": 16, "verbose": 0, **more})


def bits(net: dk.Sequential) -> dict[str, bytes]:
    snapshot = net.executable.snapshot()
    return {name: value.tobytes() for name, value in {**snapshot.parameters, **snapshot.slots}.items()}


# -- training --------------------------------------------------------------------------------------------------------


def test_every_backend_passes_the_kit(backend: Backend) -> None:
    asked = [ask for _, ask in kit.trainings(backend)]
    assert len(asked) == 2 * len(kit.FROZEN) + 2
    for ask in asked:
        ask()


def test_the_gradient_in_the_input_goes_through_frozen_layers(backend: Backend) -> None:
    net, x = network(backend), X[:3].copy()
    net.freeze("dense", "dense_2")
    _, gradients = net.get_gradients(x, Y[:3], with_input=True)
    expected = dk.numerical_gradient(lambda moved: net.get_gradients(moved, Y[:3])[0], x)
    np.testing.assert_allclose(gradients["input"], expected, rtol=1e-6, atol=1e-8)


def test_applied_gradients_are_those_of_trained_parameters(backend: Backend) -> None:
    net, other = network(backend), network(backend)
    for each in (net, other):
        each.freeze("dense_1")
    for _ in range(3):
        net.apply_gradients(net.get_gradients(X, Y)[1])
        other.train_step(X, Y)
    for name, value in net.parameters.items():
        np.testing.assert_allclose(value, other.parameters[name], rtol=1e-9, atol=1e-12, err_msg=name)
    before, gradients = bits(net), net.get_gradients(X, Y)[1]
    with pytest.raises(ConfigurationError, match="gradient of dense_1/kernel is given, but the layer is frozen"):
        net.apply_gradients({**gradients, "dense_1/kernel": np.zeros((9, 8))})
    del gradients["dense/bias"]
    with pytest.raises(ConfigurationError, match="gradient of dense/bias is missing"):
        net.apply_gradients(gradients)
    assert bits(net) == before


@pytest.mark.parametrize("clip", [None, 0.5])
def test_custom_layers_are_frozen_too_and_not_called_below_trained_ones(backend: Backend, clip: Any) -> None:
    losses = []
    for where in (backend, "numpy"):
        layers = [Below(), Shift(), dk.Dense(5, "tanh"), Shift(-0.2), dk.Dense(4, "relu"), Shift(0.1), dk.Dense(3)]
        net = dk.Sequential(layers, backend=where, dtype="float64", seed=1)
        net.compile(dk.Adam(0.01, global_clipnorm=clip), dk.losses.SparseCategoricalCrossentropy(from_logits=True))
        net.freeze("below", "shift", "shift_1", "dense_1")
        net.build(6)
        before = dict(net.parameters)
        CALLS.clear()
        losses.append(fit(net, epochs=2)["loss"])
        assert [Shift, Shift] * 8 == CALLS  # shift_2 and, for what is below it, shift_1
        changed = [name for name, value in net.parameters.items() if value.tobytes() != before[name].tobytes()]
        assert changed == ["dense/kernel", "dense/bias", "shift_2/shift", "dense_2/kernel", "dense_2/bias"]
    np.testing.assert_allclose(*losses, rtol=1e-9)


def test_every_optimizer_leaves_them_alone(backend: Backend) -> None:
    for optimizer, kind in dk.optimizers.OPTIMIZERS.items():
        if kind.full_batch:  # which rejects dropout: tests/dnnkit/test_lbfgs.py
            continue
        net = network(backend, "float32")
        net.compile(optimizer, net.loss)
        net.freeze("dense", "dense_2")
        before = bits(net)
        fit(net)
        after = bits(net)
        changed = {name.split("/")[-2] for name in after if "/" in name and after[name] != before.get(name)}
        assert changed == {"dense_1"}, optimizer
        slots = {name.split("/")[1] for name in net.executable.snapshot().slots}
        assert slots <= {"dense_1"}


# -- what continues --------------------------------------------------------------------------------------------------


def test_freezing_keeps_the_optimizer_state_of_the_others(backend: Backend) -> None:
    net = network(backend)
    fit(net)
    before = net.executable.snapshot()
    net.freeze("dense")
    after = net.executable.snapshot()
    np.testing.assert_equal(dict(after.parameters), dict(before.parameters))
    kept = {name: value for name, value in before.slots.items() if "/dense/" not in name}
    assert len(kept) == 8
    np.testing.assert_equal(dict(after.slots), kept)
    assert after.state.step == before.state.step == 4
    net.unfreeze("dense")
    thawed = net.executable.snapshot().slots
    np.testing.assert_equal({name: value for name, value in thawed.items() if "/dense/" not in name}, kept)
    assert not any(value.any() for name, value in thawed.items() if "/dense/" in name)
    fit(net)
    assert net.executable.state.step == 8


def test_an_interrupted_epoch_resumes(backend: Backend) -> None:
    net = network(backend)
    fit(net, steps=2)
    net.freeze("dense")
    history = fit(net, steps=2)
    assert net.executable.state.epoch == 1
    assert len(history["loss"]) == 1
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("how", ["saved", "pickled", "copied", "moved"])
def test_they_stay_frozen_wherever_a_network_goes(backend: Backend, how: str, tmp_path: Path) -> None:
    net = network(backend, "float32")
    fit(net, epochs=1)
    net.freeze("dense", "dense_2")
    fit(net, steps=2)
    if how == "saved":
        net.save(tmp_path)
        again = dk.load(tmp_path, backend=backend)  # type: ignore[arg-type] # as Sequential takes it
    else:
        again = pickle.loads(pickle.dumps(net)) if how == "pickled" else copy.deepcopy(net)
    if how == "moved":
        again.to("numpy").to(backend)
    assert [layer.trainable for layer in again.layers] == [False, True, True, False]
    assert bits(again) == bits(net)
    assert fit(again, epochs=2).history == fit(net, epochs=2).history
    assert bits(again) == bits(net)


def test_checkpoints_resume_and_record_frozen_layers(backend: Backend, tmp_path: Path) -> None:
    def frozen() -> dk.Sequential:
        net = network(backend, "float32")
        net.freeze("dense")
        return net

    whole, first, later, other = frozen(), frozen(), frozen(), network(backend, "float32")
    fit(whole, epochs=3)
    fit(first, epochs=2, checkpoint=tmp_path)
    with pytest.raises(dk.errors.CheckpointError, match="trainable"):
        fit(other, epochs=3, checkpoint=tmp_path)
    fit(later, epochs=3, checkpoint=tmp_path)
    assert bits(later) == bits(whole)


def test_a_save_without_frozen_layers_is_as_before_they_existed(tmp_path: Path) -> None:
    net = network()
    net.save(tmp_path)
    (described,) = tmp_path.glob("versions/*/architecture.json")
    assert "trainable" not in described.read_text()
    net.freeze("dense_1")
    net.save(tmp_path)
    (described,) = tmp_path.glob("versions/*/architecture.json")
    layers = json.loads(described.read_text())["layers"]
    assert [layer.get("trainable") for layer in layers] == [None, None, False, None]


# -- all, none, and errors -------------------------------------------------------------------------------------------


def test_with_all_layers_frozen_only_training_is_rejected(backend: Backend) -> None:
    net = network(backend)
    expected = net.evaluate(X, Y), net.predict(X).tobytes()
    net.trainable = False
    assert not net.trainable
    assert (net.evaluate(X, Y), net.predict(X).tobytes()) == expected
    for train in (
        fit,
        lambda net: net.train_step(X, Y),
        lambda net: net.apply_gradients({}),
        lambda net: net.inspect(),
    ):
        with pytest.raises(ConfigurationError, match=r"all layers are frozen.*net\.unfreeze\('dense_2'\)"):
            train(net)
    _, gradients = net.get_gradients(X, Y, with_input=True)
    assert list(gradients) == ["input"]
    assert net.get_gradients(X, Y)[1] == {}
    net.trainable = True
    fit(net)


def test_layers_are_chosen_by_name_pattern_and_place() -> None:
    def chosen(*layers: Any) -> list[bool]:
        net = network()
        net.freeze(*layers)
        return [not layer.trainable for layer in net.layers]

    assert chosen("dense") == [True, False, False, False]
    assert chosen("dense_*") == [False, False, True, True]
    assert chosen(-1, 0) == [True, False, False, True]
    assert chosen("*") == [True] * 4
    net = network()
    for given in ("dens", 4, -5, "conv*"):
        with pytest.raises(UnknownName, match="the network has dense, dropout, dense_1, dense_2"):
            net.freeze("dense", given)
    with pytest.raises(UnknownName, match="did you mean 'dense'"):
        net.freeze("dens")
    for wrong in ((), (net.layers[0],), (True,), (None,)):
        with pytest.raises(ConfigurationError, match=r"expected (a name|names)"):
            net.freeze(*wrong)
    assert net.trainable
    assert all(layer.trainable for layer in net.layers)


def test_before_it_is_built_and_as_a_layer_is_written() -> None:
    layer = dk.Dense(9, activation="tanh", trainable=False)
    assert layer == with_trainable(dk.Dense(9, activation="tanh"), trainable=False) != dk.Dense(9, activation="tanh")
    written, later = (dk.Sequential([first, dk.Dense(3)], seed=1) for first in (layer, dk.Dense(9, activation="tanh")))
    later.freeze("dense")
    for net in (written, later):
        net.compile("adam", dk.losses.SparseCategoricalCrossentropy(from_logits=True))
        fit(net)
        assert [each.name for each in net.executable.program.frozen_parameters] == ["dense/kernel", "dense/bias"]
    assert bits(written) == bits(later)
    with pytest.raises(ConfigurationError, match=r"Dense\(trainable='no'\): expected True or False"):
        dk.Dense(9, trainable="no")  # type: ignore[arg-type]
    with pytest.raises(NotReady):
        dk.Sequential([layer]).executable  # noqa: B018 - nothing was built by writing it


@pytest.mark.parametrize("layer", [dk.Dense(9), dk.Dropout(0.1), Shift(), Below()], ids=repr)
def test_a_description_is_not_assigned_to(layer: dk.Layer) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"write {type(layer).__name__}\(\.\.\., trainable=False\).*net\.freeze"
    ):
        layer.trainable = False  # type: ignore[misc]
    with pytest.raises(ConfigurationError, match=r"net\.unfreeze"):
        layer.trainable = True  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot assign"):
        layer.rate = 1  # type: ignore[attr-defined]
    assert layer.trainable


def test_not_during_a_fit() -> None:
    class Freezes(dk.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.freeze("dense")

    with pytest.raises(ConcurrentUse, match="freeze: a fit"):
        fit(network(), callbacks=[Freezes()])


def test_a_layer_that_learns_nothing_anyway_is_not_warned_of() -> None:
    layers = [dk.Dense(4, activation="step", trainable=False), dk.Dense(3)]
    loss = dk.losses.SparseCategoricalCrossentropy(from_logits=True)
    dk.Sequential(layers).compile("adam", loss)
    with pytest.warns(TrainingWarning, match="dense will not learn"):
        dk.Sequential([dk.Dense(4, activation="step"), dk.Dense(3)]).compile("adam", loss)


def test_a_stage_is_frozen_as_a_whole() -> None:
    stage = Dense(Parameter("dense/kernel", (2, 3), trainable=False), Parameter("dense/bias", (3,)), "relu")
    with pytest.raises(ConfigurationError, match="dense/kernel, dense/bias some are frozen"):
        Program((2,), 3, (stage,), "linear", None, (), None, "float32", 0, None)


def test_summary_and_inspection_tell(capsys: pytest.CaptureFixture[str]) -> None:
    net = network()
    net.freeze("dense", "dropout")
    net.summary()
    printed = capsys.readouterr().out
    assert "dense (tanh, frozen)" in printed
    assert "dropout  " in printed
    assert "170 parameters (107 trainable, 63 frozen)" in printed
    found = str(net.inspect(X, Y))
    assert "dense (6 → 9, tanh, frozen)" in found
    assert "170, 63 frozen" in found


# -- older backends --------------------------------------------------------------------------------------------------


class OldExecutable(StagewiseExecutable):
    """Like a plugin's own executable from before parameters could be frozen."""

    api_version = 1


class Old(NumpyBackend):
    name = "old"
    kind = OldExecutable

    def build(self, program: Program) -> StagewiseExecutable:
        return self.kind(self, program, self.plan(program, "its own way"))


class Decays(StagewiseExecutable):
    """Also updates frozen parameters: here by the decay alone."""

    def _apply_update(self, learning_rate: float, hyperparameters: Any) -> None:
        super()._apply_update(learning_rate, hyperparameters)
        self._parameters[self._trained.size :] *= 1 - learning_rate * hyperparameters.constants["weight_decay"]


class Counts(StagewiseExecutable):
    """Clips by the norm of a gradient of all parameters."""

    def _apply_update(self, learning_rate: float, hyperparameters: Any) -> None:
        others = 0.01 * (self._layout.size - self._trained.size)
        squares = float(self._gradient @ self._gradient)
        self._gradient *= (squares / (squares + others)) ** 0.5
        super()._apply_update(learning_rate, hyperparameters)


class TellsAll(StagewiseExecutable):
    """Returns gradients of frozen parameters."""

    def gradients(self, data: Any, *, with_input: bool = False) -> Any:
        found = super().gradients(data, with_input=with_input)
        frozen = {each.name: np.zeros(each.shape) for each in self.program.frozen_parameters}
        return type(found)(found.loss, {**found.parameters, **frozen}, found.input)


def test_an_older_backend_trains_networks_without_frozen_layers() -> None:
    net, same = network(Old()), network(NumpyBackend())
    assert fit(net)["loss"] == fit(same)["loss"]
    assert bits(net) == bits(same)
    net.freeze("dense")
    net.evaluate(X, Y)
    steps = [lambda: net.train_step(X, Y), lambda: net.get_gradients(X, Y), lambda: net.apply_gradients({})]
    for train in (lambda: fit(net), *steps):
        with pytest.raises(BackendUnavailable, match=r"backend 'old' cannot train.*frozen layers \(dense\)"):
            train()
    asked = list(kit.trainings(Old()))
    assert [what for what, _ in asked] == ["frozen layers are refused with an error"]
    asked[0][1]()


@pytest.mark.parametrize(
    ("kind", "words"), [(Decays, "dense/kernel changed"), (Counts, "differs"), (TellsAll, "gradients of ")]
)
def test_the_kit_detects_a_backend_that_changes_frozen_layers(kind: type, words: str) -> None:
    wrong = type("Wrong", (Old,), {"kind": kind})()
    found = []
    for _, ask in kit.trainings(wrong):
        try:
            ask()
        except AssertionError as error:
            found.append(str(error))
    assert any(words in failure for failure in found), found
