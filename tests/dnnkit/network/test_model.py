"""`dk.Model`: graphs are trained, evaluated, saved and described on every backend like chains."""

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.backends.executable import Executable
from dnnkit.backends.numpy_backend import NumpyBackend
from dnnkit.backends.stagewise.executable import StagewiseExecutable
from dnnkit.errors import (
    BackendUnavailable,
    CheckpointError,
    ConfigurationError,
    DataError,
    DnnkitError,
    ShapeError,
    UnknownName,
)
from tests import conftest

RNG = np.random.default_rng(7)
LEFT, RIGHT = RNG.normal(size=(36, 4)), RNG.normal(size=(36, 4))
KINDS, PRICES = RNG.integers(0, 3, 36), RNG.normal(size=(36, 2))
X, Y = {"left": LEFT, "right": RIGHT}, {"kind": KINDS, "price": PRICES}


def network(backend: str | None = None, dtype: Any = "float64", units: int = 5, **settings: Any) -> dk.Model:
    """Two inputs, a nested network, a shared layer, skips, a softmax that is also read, two outputs."""
    left, right = dk.Input((4,), name="left"), dk.Input((4,), name="right")
    tower = dk.Sequential([dk.Dense(units + 1, "tanh"), dk.Dropout(0.2), dk.Dense(units, "sigmoid")], name="tower")
    shared = dk.Dense(units, "tanh", name="shared")
    merged = tower(left) + tower(right) * shared(left) - shared(right)
    merged = dk.layers.average([merged, shared(left)])
    kind = dk.Dense(3, "softmax", name="kind")(merged)
    price = dk.Dense(2, name="price")(dk.Concatenate()([kind, merged]))
    given = {"seed": 1, "backend": backend, "dtype": dtype, **settings}
    return dk.Model({"left": left, "right": right}, {"kind": kind, "price": price}, **given)


def compiled(**settings: Any) -> dk.Model:
    net = network(**settings)
    losses = {"kind": "sparse_categorical_crossentropy", "price": dk.losses.Huber(delta=0.7)}
    net.compile(dk.Adam(0.02), losses, {"kind": ["accuracy"], "price": "mae"}, {"price": 0.3})
    return net


def fit(net: dk.Model, epochs: int = 1, **given: Any) -> dk.History:
    weights = np.linspace(0.5, 2, 36)
    return net.fit(X, Y, epochs=epochs, batch_size=8, sample_weight=weights, verbose=0, **given)


def assert_equal(net: Any, other: Any) -> None:
    assert list(net.parameters) == list(other.parameters)
    for name in net.parameters:
        assert_array_equal(net.parameters[name], other.parameters[name], err_msg=name)


# -- what it computes ------------------------------------------------------------------------------------------------


def test_gradients_are_those_of_differences_and_of_the_trace(backend: Backend) -> None:
    net = compiled(backend=backend.name, units=2)
    few = {name: part[:5] for name, part in X.items()}, {name: part[:5] for name, part in Y.items()}
    dk.check_gradients(net, *few)
    trace, (loss, gradients) = net.trace(*few), net.get_gradients(*few, with_input=True)
    assert_allclose(trace["loss"], loss, rtol=1e-12)
    for name in net.parameters:
        assert_allclose(trace[f"{name}/gradient"], gradients[name], rtol=1e-9, atol=1e-13, err_msg=name)
    both = np.concatenate([gradients["left"], gradients["right"]], axis=1)
    assert_allclose(trace["input/gradient"], both, rtol=1e-9, atol=1e-13)


def test_the_loss_is_the_weighted_sum_of_all_and_logs_have_each(backend: Backend) -> None:
    net = compiled(backend=backend.name)
    found = net.evaluate(X, Y)
    assert list(found.keys()) == ["loss", "kind_loss", "kind_accuracy", "price_loss", "price_mae"]
    assert found["loss"] == pytest.approx(found["kind_loss"] + 0.3 * found["price_loss"], rel=1e-12)
    kind, price = net.predict(X)["kind"], net.predict(X)["price"]
    assert found["kind_accuracy"] == pytest.approx((kind.argmax(axis=1) == KINDS).mean())
    assert found["kind_loss"] == pytest.approx(-np.log(kind[np.arange(36), KINDS]).mean())
    assert found["price_mae"] == pytest.approx(np.abs(price - PRICES).mean())
    history = fit(net, 2, validation_data=([LEFT, RIGHT], [KINDS, PRICES]))
    assert set(history.history) == {*dict(found), *(f"val_{name}" for name in dict(found))}
    assert_allclose(kind.sum(axis=1), 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_chain_is_bit_for_bit_the_sequential_of_its_layers(backend: Backend, dtype: Any) -> None:
    layers = [dk.Rescaling(0.5), dk.Flatten(), dk.Dense(9, "relu"), dk.Dropout(0.3), dk.Dense(3, "softmax")]
    x, labels = RNG.integers(0, 9, (40, 2, 3)).astype(np.uint8), RNG.integers(0, 3, 40)
    value: Any = dk.Input((2, 3))
    y = value
    for layer in layers:
        y = layer(y)
    nets = [dk.Sequential([dk.Input((2, 3)), *layers], seed=5, dtype=dtype), dk.Model(value, y, seed=5, dtype=dtype)]
    for net in nets:
        net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        net.fit(x, labels, epochs=2, batch_size=16, verbose=0)
    assert nets[0].executable.program == nets[1].executable.program
    assert_equal(*nets)
    assert nets[0].history.history == nets[1].history.history
    assert_array_equal(nets[0].predict(x[:3]), nets[1].predict(x[:3]))


def test_backends_follow_one_trajectory() -> None:
    nets = [compiled(backend=name) for name in conftest.tested_backends() if name != "strict"]
    losses = [fit(net, 3)["loss"] for net in nets]
    for found in losses[1:]:
        assert_allclose(found, losses[0], rtol=1e-10)


def test_a_nested_network_computes_as_if_it_were_written_out(backend: Backend) -> None:
    x = dk.Input(4)
    within = dk.Model(x, [dk.Dense(3, "tanh", name="a")(x), dk.Dense(2, name="b")(x)], name="within")
    a, b = within(dk.Dense(4, name="first")(x))
    nested = dk.Model(x, dk.Dense(1, name="last")(dk.layers.concatenate([a, b])), seed=3)
    h = dk.Dense(4, name="first")(x)
    both = dk.layers.concatenate([dk.Dense(3, "tanh", name="a")(h), dk.Dense(2, name="b")(h)])
    flat = dk.Model(x, dk.Dense(1, name="last")(both), seed=3)
    assert list(nested.parameters)[:4] == ["first/kernel", "first/bias", "within/a/kernel", "within/a/bias"]
    for net in (nested, flat):
        net.compile("sgd", "mse")
        net.fit(LEFT, PRICES[:, 0], epochs=2, batch_size=8, verbose=0)
    for one, other in zip(nested.get_weights(), flat.get_weights(), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("apart", [False, True])
def test_an_activation_absorbed_by_a_loss_is_available_to_others(backend: Backend, apart: bool) -> None:
    """Also where it is a separate layer, and where it is an output twice."""
    x = dk.Input(4)
    kind = dk.Activation("softmax")(dk.Dense(3, name="raw")(x)) if apart else dk.Dense(3, "softmax", name="raw")(x)
    net = dk.Model(x, [kind, kind, dk.Dense(2, name="price")(kind)], seed=0, dtype="float64")
    net.compile("sgd", ["sparse_categorical_crossentropy", "categorical_crossentropy", "mse"])
    net.fit(LEFT, [KINDS, np.eye(3)[KINDS], PRICES], batch_size=9, verbose=0)
    one, again, price = net.predict(LEFT)
    weights = net.parameters
    raw = np.exp(LEFT @ weights["raw/kernel"] + weights["raw/bias"])
    expected = raw / raw.sum(axis=1, keepdims=True)
    assert_allclose(one, expected, rtol=1e-12)
    assert_allclose(again, expected, rtol=1e-12)
    assert_allclose(price, expected @ weights["price/kernel"] + weights["price/bias"], rtol=1e-12, atol=1e-14)
    found = net.evaluate(LEFT, [KINDS, np.eye(3)[KINDS], PRICES])
    assert found["loss"] == pytest.approx(
        -2 * np.log(one[np.arange(36), KINDS]).mean() + ((price - PRICES) ** 2).mean()
    )


def test_outputs_without_a_loss_are_only_predicted(backend: Backend) -> None:
    x = dk.Input(4)
    h = dk.Dense(5, "tanh", name="code")(x)
    net = dk.Model(x, [dk.Dense(4, name="back")(h), h], seed=0, dtype="float64")
    net.compile("sgd", ["mse", None])
    net.fit(LEFT, [LEFT, None], verbose=0)
    net.fit(LEFT, {"back": LEFT}, verbose=0)
    assert list(net.evaluate(LEFT, [LEFT]).keys()) == ["loss", "back_loss"]
    back, code = net.predict(LEFT)
    assert_allclose(code @ net.get_layer("back").get_weights()[0] + net.parameters["back/bias"], back, rtol=1e-6)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_small_graph_trains_alike_on_numpy_and_elsewhere(data: st.DataObject) -> None:
    """Gradients of random graphs: each backend's are those of the reference, and finite differences agree."""
    values: list[Any] = [
        dk.Input(data.draw(st.integers(1, 3)), name=f"in{n}") for n in range(data.draw(st.integers(1, 2)))
    ]
    inputs, layers = list(values), list[dk.Layer]()
    for _ in range(data.draw(st.integers(1, 6))):
        kind = data.draw(st.sampled_from(["dense", "again", "add", "multiply", "subtract", "concatenate", "dropout"]))
        one, other = data.draw(st.sampled_from(values)), data.draw(st.sampled_from(values))
        if kind == "again" and layers:
            layer = data.draw(st.sampled_from(layers))
            fitting = [value for value in values if value.shape[1] == layer.input_dim]
            values.append(layer(data.draw(st.sampled_from(fitting))))
        elif kind in ("add", "multiply", "subtract") and one.shape == other.shape:
            values.append({"add": dk.Add, "multiply": dk.Multiply, "subtract": dk.Subtract}[kind]()([one, other]))
        elif kind == "concatenate":
            values.append(dk.Concatenate()([one, other]))
        elif kind == "dropout":
            values.append(dk.Dropout(0.3)(one))
        else:
            layers.append(dk.Dense(data.draw(st.integers(1, 3)), "tanh", input_dim=one.shape[1]))
            values.append(layers[-1](one))
    outputs = [dk.Dense(2, "sigmoid")(values[-1]), dk.Dense(1)(data.draw(st.sampled_from(values)))]
    x = [RNG.normal(size=(7, value.shape[1])) for value in inputs]
    y = [RNG.integers(0, 2, (7, 2)), RNG.normal(size=7)]
    found = []
    for name in ("numpy", "numba"):
        net = dk.Model(inputs, outputs, seed=2, backend=name, dtype="float64")
        net.compile("sgd", ["binary_crossentropy", "mse"])
        if name == "numpy":
            dk.check_gradients(net, x, y)
        found.append(net.get_gradients(x, y)[1])
    for name, gradient in found[0].items():
        assert_allclose(found[1][name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)


def test_layers_with_statistics_and_categories_work_in_graphs(backend: Backend) -> None:
    """Also one that adapts to its input, within a nested network."""
    categories, numbers = dk.Input((2,), name="categories"), dk.Input((3,), name="numbers")
    within = dk.Sequential([dk.Rescaling(2.0), dk.Normalization(), dk.Dense(2, "tanh")], name="within")
    embedded = dk.Flatten()(dk.Embedding(5, 1)(categories))
    h = dk.BatchNormalization()(dk.layers.concatenate([embedded, within(numbers)]))
    h = dk.Add()([h, dk.Dense(4, kernel_regularizer="l2")(h)])
    x = [RNG.integers(0, 5, (36, 2)), RNG.normal(3, 4, size=(36, 3))]
    net = dk.Model([categories, numbers], dk.Dense(1)(h), seed=0, dtype="float64")
    net.compile("adam", "mse")
    net.fit(x, PRICES[:, 0], batch_size=12, verbose=0)
    mean = net.parameters["within/normalization/mean"]
    assert_allclose(mean, 2 * x[1].mean(axis=0), rtol=1e-9)
    assert np.abs(net.parameters["batch_normalization/moving_mean"]).max() > 0
    dk.check_gradients(net, [part[:5] for part in x], PRICES[:5, 0])
    with pytest.raises(DataError, match="5"):
        net.predict([x[0] + 1, x[1]])


# -- resuming --------------------------------------------------------------------------------------------------------


def test_it_resumes_bit_for_bit_from_a_save_pickle_copy_and_checkpoint(backend: Backend, tmp_path: Path) -> None:
    whole = compiled(backend=backend.name)
    fit(whole, 3)
    for pause in ("save", "pickle", "copy", "checkpoint"):
        net = compiled(backend=backend.name)
        if pause == "checkpoint":
            fit(net, 1, checkpoint=tmp_path / "checkpoints")
            net = compiled(backend=backend.name)
            fit(net, 3, checkpoint=tmp_path / "checkpoints")
        else:
            net.fit(X, Y, steps=7, batch_size=8, sample_weight=np.linspace(0.5, 2, 36), verbose=0)
            if pause == "save":
                net.save(tmp_path / "net")
                net = dk.load(tmp_path / "net", backend=backend.name)
                assert isinstance(net, dk.Model)
                assert net.graph == whole.graph
                assert net.goals == whole.goals
            else:
                net = pickle.loads(pickle.dumps(net)) if pause == "pickle" else copy.deepcopy(net)
            weights = np.linspace(0.5, 2, 36)
            net.fit(X, Y, steps=8, batch_size=8, sample_weight=weights, verbose=0)
        assert_equal(net, whole)
        assert list(net.predict(X)) == ["kind", "price"]


def test_a_save_whose_graph_is_damaged_is_one_error(tmp_path: Path) -> None:
    import json

    from dnnkit.saves.folder import read_files, write_files

    net = compiled(backend="numpy")
    net.build(8)
    net.save(tmp_path / "net")
    files = read_files(tmp_path / "net")
    good = json.loads(files["architecture.json"])
    for place, value in (
        (("graph", "calls", 0, "layer"), 99),
        (("graph", "calls", 0, "reads"), [40]),
        (("graph", "outputs"), [0]),
        (("graph", "output_form"), "any"),
        (("graph", "inputs", 0, "shape"), [7]),
        (("goals",), []),
        (("goals", 0, "weight"), "much"),
        (("layers", 0, "graph", "calls", 0, "reads"), [5]),
        (("layers", 0, "graph", "layers"), 3),
    ):
        wrong = copy.deepcopy(good)
        where: Any = wrong
        for step in place[:-1]:
            where = where[step]
        where[place[-1]] = value
        write_files(tmp_path / "wrong", {**files, "architecture.json": json.dumps(wrong).encode()})
        with pytest.raises((CheckpointError, ConfigurationError, ShapeError)):
            dk.load(tmp_path / "wrong")


def test_weights_freezing_and_layers_are_those_of_the_graph() -> None:
    net = compiled(backend="numpy")
    net.build(8)
    assert [layer.name for layer in net.layers][:2] == ["tower", "shared"]
    assert [weight.shape for weight in net.get_layer("tower").weights] == [(4, 6), (6,), (6, 5), (5,)]
    net.freeze("tower")
    before = net.get_layer("tower").get_weights()
    fit(net)
    for one, other in zip(before, net.get_layer("tower").get_weights(), strict=True):
        assert_array_equal(one, other)
    assert len(net.trainable_weights) == 6
    clone = dk.clone_model(net)
    assert isinstance(clone, dk.Model)
    assert clone.graph == net.graph


# -- data and compile ------------------------------------------------------------------------------------------------


def test_data_come_as_lists_tuples_or_dictionaries() -> None:
    net = compiled(backend="numpy")
    given: list[tuple[Any, Any]] = [
        (X, Y),
        ([LEFT, RIGHT], [KINDS, PRICES]),
        ((LEFT, RIGHT), (KINDS[:, None], PRICES.tolist())),
    ]
    assert len({net.evaluate(x, y)["loss"] for x, y in given}) == 1
    assert (
        net.train_on_batch([LEFT, RIGHT], Y, return_dict=True).keys()
        == net.test_on_batch(X, Y, return_dict=True).keys()
    )
    x = dk.Input(4, name="only")
    single = dk.Model([x], [dk.Dense(2, name="out")(x)], seed=0, backend="numpy")
    single.compile("sgd", {"out": "mse"}, {"out": ["mae"]})
    for a, b in (([LEFT], [PRICES]), (LEFT, PRICES), ({"only": LEFT}, {"out": PRICES})):
        single.fit(a, b, verbose=0)
        assert list(single.evaluate(a, b).keys()) == ["loss", "mae"]
        assert isinstance(single.predict(a), list)


def test_bytes_and_other_numbers_are_used_as_they_are(backend: Backend) -> None:
    x, z = dk.Input((2, 2), name="image"), dk.Input(3, name="table")
    flat = dk.Flatten()(dk.Rescaling(1 / 255)(x))
    net = dk.Model([x, z], dk.Dense(2)(dk.layers.concatenate([flat, z])), seed=0)
    images, table = RNG.integers(0, 256, (9, 2, 2)).astype(np.uint8), RNG.normal(size=(9, 3))
    given = net.predict([images, table.astype("float32")])
    weights = net.get_weights()
    expected = np.concatenate([images.reshape(9, 4) / 255, table], axis=1) @ weights[0] + weights[1]
    assert_allclose(given, expected, rtol=1e-4, atol=1e-5)
    assert_array_equal(net.predict([images, images[:, 0, :1] * np.ones((1, 3), np.uint8)]).shape, (9, 2))


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        ([LEFT], Y, DataError, r"x is 1 things, but the network has 2 inputs, left, right"),
        (LEFT, Y, DataError, r"x is one array of shape \(36, 4\), but the network has 2 inputs"),
        ({"left": LEFT}, Y, DataError, "missing for the input 'right'"),
        ({"left": LEFT, "rihgt": RIGHT}, Y, UnknownName, "names an input 'rihgt'.*right"),
        ([LEFT, RIGHT[:, :3]], Y, ShapeError, r"x\['right'\] has shape \(36, 3\): expected \(samples, 4\)"),
        ([LEFT, RIGHT[:5]], Y, ShapeError, r"x\['left'\] has 36 samples but x\['right'\] has 5"),
        ([LEFT, RIGHT * np.nan], Y, DataError, r"x\['right'\] has NaN"),
        ([LEFT, RIGHT.astype(str)], Y, DataError, r"x\['right'\] has dtype"),
        (X, None, DataError, "y is missing.*kind, price"),
        (X, KINDS, DataError, "y is one array .* 2 outputs, kind, price"),
        (X, {"kind": KINDS}, DataError, "missing for the output 'price'"),
        (X, {"kind": KINDS, "prise": PRICES}, UnknownName, "names an output 'prise'.*price"),
        (X, [KINDS + 5, PRICES], DataError, r"y\['kind'\] has labels from 5 to 7: expected 0 to 2"),
        (X, [KINDS, PRICES[:, :1]], ShapeError, r"y\['price'\] has shape \(36, 1\): expected \(36, 2\)"),
        (X, [KINDS[:4], PRICES], ShapeError, r"x has 36 samples but y\['kind'\] has 4"),
    ],
)  # fmt: skip
def test_wrong_data_are_one_error_with_the_name(x: Any, y: Any, error: type[DnnkitError], words: str) -> None:
    with pytest.raises(error, match=words):
        compiled(backend="numpy").fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"loss": None, "metrics": {"kind": "accuracy"}}, ConfigurationError, "no loss"),
        ({"loss": ["mse"]}, ConfigurationError, "loss is a list of 1, but the network has 2 outputs, kind, price"),
        ({"loss": {"kinds": "mse"}}, UnknownName, "loss names an output 'kinds'.*kind"),
        ({"loss": "mse", "metrics": ["mae"]}, ConfigurationError, "metrics is a list of 1"),
        ({"loss": {"price": "mse"}, "metrics": {"kind": "accuracy"}}, ConfigurationError, "has metrics but no loss"),
        ({"loss": "mse", "loss_weights": 2.0}, ConfigurationError, "loss_weights is 2.0, but the network has 2 out"),
        ({"loss": "mse", "loss_weights": {"price": "x"}}, ConfigurationError, "finite number"),
        ({"loss": ["mse", "sum_squared_error"]}, ConfigurationError, "must be means over rows"),
        ({"loss": {}}, ConfigurationError, "no loss"),
    ],
)  # fmt: skip
def test_wrong_goals_are_one_error(given: dict[str, Any], error: type[DnnkitError], words: str) -> None:
    net = network("numpy")
    net.build(8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dk.errors.TrainingWarning)
        with pytest.raises(error, match=words):
            net.compile("sgd", **given)


def test_one_output_has_no_weight_among_others() -> None:
    chain = dk.Sequential([dk.Dense(3)], backend="numpy")
    with pytest.raises(ConfigurationError, match="has one output"):
        chain.compile("sgd", "mse", loss_weights=[0.5])


def test_callbacks_know_which_metrics_of_an_output_should_grow() -> None:
    stop = dk.EarlyStopping(monitor="kind_accuracy", patience=0, baseline=2.0)
    net = compiled(backend="numpy")
    heard: list[Any] = []
    predicted = dk.LambdaCallback(on_predict_batch_end=lambda batch, logs: heard.append(logs["outputs"]))
    assert len(fit(net, 5, callbacks=[stop])["loss"]) == 2  # it never exceeds it
    below = dk.EarlyStopping(monitor="price_mae", patience=0, baseline=9.0, min_delta=0)
    assert len(fit(net, 2, callbacks=[below])["loss"]) == 2
    net.predict(X, batch_size=20, callbacks=[predicted])
    assert [part["price"].shape for part in heard] == [(20, 2), (16, 2)]


# -- descriptions ----------------------------------------------------------------------------------------------------


def test_the_summary_shows_connections_within_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    net = compiled(backend="numpy")
    net.build(8)
    net.summary()
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for words in (
        "Connected to",
        "left (Input)",
        "tower (NestedModel)",
        "left; right",
        "tower#2, shared",
        "126 parameters",
    ):
        assert words in text
    assert "Dense(5, activation='tanh', name='shared')(left)(right)" in repr(net)
    assert "Connected to" in net._repr_html_()
    found = net.inspect(batch_size=8)
    assert found.parameters == {"tower/dense": 30, "tower/dense_1": 35, "shared": 25, "kind": 18, "price": 18}
    assert sum(part.name.startswith("shared (4 → 5") for part in found.step.parts) == 3
    value = dk.Input(3, name="x" * 60)
    many = [dk.Dense(2, name="y" * 50 + str(n))(value) for n in range(9)]
    dk.Model(value, dk.layers.add(many)).summary()
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_fit_that_is_diagnosed_has_each_call_of_a_layer() -> None:
    net = compiled(backend="numpy")
    history = fit(net, 2, diagnose=True)
    assert history.diagnosis is not None
    names = [layer.name for layer in history.diagnosis.layers]
    within = ["tower/dense", "tower/dense_1", "tower/dense#2", "tower/dense_1#2"]
    assert names == [*within, "shared", "shared#2", "shared#3", "kind", "price"]


def test_auto_chooses_for_a_graph() -> None:
    net = compiled(backend="auto")
    fit(net)
    assert net.history.plan.reason is None or net.history.plan.reason


# -- plugins from before graphs --------------------------------------------------------------------------------------


class OldExecutable(StagewiseExecutable):
    """Like a plugin's own executable from when networks were chains."""

    api_version = Executable.api_version


class Old(NumpyBackend):
    name, api_version = "old", 1

    def build(self, program: Any) -> Executable:
        return OldExecutable(self, program, self.plan(program, "its own way"))


class Bare(NumpyBackend):
    name, api_version = "bare", 1


def test_a_plugin_from_before_graphs_trains_chains_and_rejects_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from dnnkit.backends import registry

    for kind in (Old, Bare):
        monkeypatch.setitem(registry.BACKENDS._things, kind.name, kind)
    chain = dk.Sequential([dk.Dense(3, "relu"), dk.Dense(1)], backend="old")
    chain.compile("sgd", "mse")
    chain.fit(LEFT, PRICES[:, 0], verbose=0)
    x = dk.Input(4)
    dk.Model(x, dk.Dense(2)(x), backend="old").predict(LEFT)
    with pytest.raises(BackendUnavailable, match=r"'old' cannot run a network with branches.*OldExecutable has"):
        network("old").predict(X)
    fit(compiled(backend="bare"))
