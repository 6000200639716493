"""Graphs from symbolic values: names, forms, the identity of layers, and one clear error for what makes no network."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError, DataError, DnnkitError, ShapeError
from dnnkit.graph.graph import Call, Graph, Source, graph_of


def test_values_know_their_shapes_and_layers_follow_call_order() -> None:
    x = dk.Input((2, 3), name="image")
    h = dk.Flatten()(x)
    assert x.shape == (None, 2, 3)
    assert (h.shape, h.ndim) == ((None, 6), 2)
    dead = dk.Dense(7)(h)  # leads to no output
    shared = dk.Dense(6, "tanh")
    y = dk.Add()([shared(h), shared(shared(h)), h])
    graph = graph_of(x, [y, dk.Dense(2, name="out")(y)]).graph
    assert graph.names == ["flatten", "dense", "add", "out"]
    assert graph.output_names == ("add", "out")
    assert graph.labels() == ["image", "flatten", "dense", "dense#2", "dense#3", "add", "out"]
    assert graph.output_shapes() == [(6,), (2,)]
    assert list(graph.parameters()) == ["dense/kernel", "dense/bias", "out/kernel", "out/bias"]
    assert dead.shape == (None, 7)


def test_equal_layers_are_two_and_a_layer_is_one_frozen_or_not() -> None:
    x = dk.Input(3)
    one, other = dk.Dense(2), dk.Dense(2)
    assert one == other
    assert len(graph_of(x, one(x) + other(x)).graph.layers) == 3
    assert len(graph_of(x, one(x) + one(x)).graph.layers) == 2
    net = dk.Model(x, one(x))
    net.freeze("dense")
    again = dk.Model(net.inputs, one(x) + net.layers[0](x))
    assert len(again.layers) == 2


def test_a_chain_is_a_graph_as_sequential_has_it() -> None:
    layers = [dk.Flatten(), dk.Dense(3), dk.Dropout(0.1)]
    x = dk.Input((2, 2))
    y: Any = x
    for layer in layers:
        y = layer(y)
    chain = Graph.chain(layers, (2, 2))
    assert graph_of(x, y).graph == chain
    assert chain.is_chain
    assert graph_of(x, [y]).graph != chain
    assert not graph_of(x, dk.Add()([dk.Flatten()(x), dk.Flatten()(x)])).graph.is_chain


def test_inputs_and_outputs_are_named_by_keys_names_or_numbers() -> None:
    a, b, c = dk.Input(2), dk.Input(2), dk.Input(2, name="c")
    d = dk.Dense(1)
    graph = graph_of([a, b, c], [d(a), d(b), d(c)]).graph
    assert [each.name for each in graph.inputs] == ["input", "input_1", "c"]
    assert graph.output_names == ("dense", "dense_1", "dense_2")
    graph = graph_of({"u": a, "v": b}, {"sum": a + b}).graph
    assert [each.name for each in graph.inputs] == ["u", "v"]
    assert graph.output_names == ("sum",)
    assert (graph.input_form, graph.output_form) == ("named", "named")


def test_a_model_may_begin_in_the_middle() -> None:
    x = dk.Input(4)
    h = dk.Dense(3, "relu", name="h")(x)
    y = dk.Dense(1)(h)
    above = dk.Model(h, y, seed=0, backend="numpy")
    assert above.input_names == ["h"]
    assert above.predict(np.ones((2, 3))).shape == (2, 1)


x, z = dk.Input((4,), name="x"), dk.Input((3,), name="z")
image = dk.Input((2, 2))
h = dk.Dense(4)(x)
two = dk.Model(x, [dk.Dense(2, name="one")(x), dk.Dense(3, name="other")(x)])
inner = dk.Dense(2)
within = dk.Sequential([inner])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: dk.Model(), ConfigurationError, r"takes inputs and outputs.*`call` method"),
        (lambda: dk.Model(x, 3), ConfigurationError, "outputs is 3: expected a symbolic value"),
        (lambda: dk.Model(np.ones(3), h), ConfigurationError, "inputs is .* expected a symbolic value"),
        (lambda: dk.Model([x, np.ones(3)], h), ConfigurationError, "of symbolic values only"),
        (lambda: dk.Model(x, h + dk.Dense(4)(z)), ConfigurationError, r"depends on Input\(.*'z'.*not among the inputs"),
        (lambda: dk.Model([x, x], h), ConfigurationError, "one value twice"),
        (lambda: dk.Add()([x, z]), ShapeError, r"shapes \(4,\) and \(3,\): expected equal shapes"),
        (lambda: x + z, ShapeError, "expected equal shapes"),
        (lambda: x + 1, ConfigurationError, r"a symbolic value \+ 1: expected another"),
        (lambda: 2 * x, ConfigurationError, "Rescaling"),
        (lambda: x / x, ConfigurationError, "only layers compute"),
        (lambda: x[:, 0], ConfigurationError, "is indexed by"),
        (lambda: np.asarray(x), DataError, "has no numbers"),
        (lambda: bool(h), DataError, "no truth value"),
        (lambda: np.ones(4) + x, ConfigurationError, "only layers compute"),
        (lambda: dk.Add()([x]), ConfigurationError, "takes a list of 2 or more values, but is called on 1"),
        (lambda: dk.Add()(x), ConfigurationError, r"write Add\(\)\(\[a, b\]\)"),
        (lambda: dk.Subtract()([x, x, x]), ConfigurationError, "a list of 2 values"),
        (lambda: dk.Concatenate(axis=2)([x, z]), ConfigurationError, "expected -1"),
        (lambda: dk.Concatenate()([image, image]), ShapeError, r"put Flatten\(\)"),
        (lambda: dk.Dense(3)([x, z]), ConfigurationError, "called on 2: combine them by dk.Concatenate"),
        (lambda: dk.Dense(3)(np.ones((2, 2))), ConfigurationError, "Arrays go through a network"),
        (lambda: dk.Dense(3)(image), ShapeError, r"put Flatten\(\) before this layer"),
        (lambda: dk.Dense(3)(x, training=True), ConfigurationError, "need not be given"),
        (lambda: dk.Dense(3)(x, z), ConfigurationError, "pass several values as a list"),
        (lambda: dk.Sequential([dk.Add()]).build(3), ConfigurationError, "takes several values, but in a Sequential"),
        (lambda: dk.Sequential([dk.Input(5), dk.Dense(2)])(x), ShapeError, r"samples of shape \(5,\) as 'input'"),
        (lambda: two([x, x]), ConfigurationError, "has 1 inputs, x; got 2 values"),
        (lambda: two({"y": x}), ConfigurationError, "has the inputs x; got y"),
        (lambda: dk.Model(x, two(x)[1]), ConfigurationError, "the output 'one' .* is not used, but the layers one"),
        (lambda: dk.Model(x, inner(x) + within(x)), ConfigurationError, "'nested_model/dense' are the same layer"),
        (lambda: graph_of([x, z], inner(x) + inner(z)).graph.parameters(), ShapeError, "values of different shapes"),
        (lambda: dk.Model(x, dk.Dense(2, input_dim=9)(x)).build(4), ConfigurationError, r"samples of shape \(9,\)"),
        (lambda: dk.Model([x, dk.Input(2)], [h, h], name=3), ConfigurationError, "name"),
        (lambda: dk.Model(dk.Input(2, name="a"), h), ConfigurationError, "not among the inputs"),
    ],
)  # fmt: skip
def test_invalid_graphs_are_one_error(make: Callable[[], Any], error: type[DnnkitError], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    "wrong",
    [
        {"calls": (Call(1, (0,)),)},
        {"calls": (Call(0, (1,)),)},
        {"calls": (Call(0, ()),)},
        {"outputs": (2,)},
        {"outputs": ()},
        {"output_names": ("a", "b")},
        {"inputs": ()},
        {"inputs": (Source("a", (4,)), Source("a", (4,)))},
    ],
)
def test_a_graph_is_validated_before_it_is_used(wrong: dict[str, Any]) -> None:
    good = Graph((Source("a", (4,)),), (dk.Dense(2),), (Call(0, (0,)),), (1,), ("dense",))
    with pytest.raises(ConfigurationError):
        replace(good, **wrong)


def test_nested_networks_cannot_grow_without_bound() -> None:
    def repeated(net: Any) -> dk.Model:
        value = given = dk.Input(2)
        for _ in range(18):
            given = net(given)
        return dk.Model(value, given)

    few = repeated(repeated(dk.Sequential([dk.Dense(2)])))
    with pytest.raises(ConfigurationError, match="5,832 layer calls"):
        repeated(few)
