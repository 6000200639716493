"""Graphs on every backend: gradients by finite differences, one trajectory, outputs measured separately."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from dnnkit.backends import Backend, get_backend
from dnnkit.backends.measures import Metric
from dnnkit.backends.outputs import Output
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Op
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry
from dnnkit.testing.comparing import differences
from tests.backends.graphs import (
    CLASSES,
    MEAN_SQUARED,
    Graph,
    built,
    graphs,
    numbers,
    samples,
    trained,
    two_inputs_two_outputs,
)

FEW = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def copied(backend: Backend, array: Any) -> np.ndarray:
    return np.array(backend.to_numpy(array))


def check_gradients(
    backend: Backend, program: Program, rows: int = 5, *, with_input: bool = True, given: Any = None
) -> None:
    """Check the gradients of every trained parameter and of the input by differences of the training loss.

    Along a random direction, in which every number counts: one difference per number would take a hundred times as
    long.
    """
    values, (x, y) = numbers(program), given or samples(program, rows)
    executable, rng = built(backend, program, values), np.random.default_rng(3)
    found = executable.gradients(executable.load(x, y, None), with_input=with_input)
    actual = {name: copied(backend, one) for name, one in found.parameters.items()}
    assert set(actual) == {parameter.name for parameter in program.trainable_parameters}
    if with_input:
        actual, values = {**actual, "input": copied(backend, found.input).reshape(x.shape)}, {**values, "input": x}
    checked = 0
    for name, gradient in actual.items():
        kept, direction = values[name], rng.normal(size=values[name].shape)

        def loss(length: Any, name: str = name, kept: Any = kept, direction: Any = direction) -> float:
            moved = kept + float(length[0]) * direction
            if name != "input":
                executable.write_parameter(name, moved)
            return executable.gradients(executable.load(moved if name == "input" else x, y, None)).loss

        slope, reliable = differences(loss, np.zeros(1))
        if name != "input":
            executable.write_parameter(name, kept)
        if reliable.all():
            checked += 1
            assert float((gradient * direction).sum()) == pytest.approx(float(slope[0]), rel=1e-6, abs=1e-8), name
    assert checked > len(actual) / 2 or len(actual) < 3  # if there are few, all may be near a kink


def test_gradients_of_two_inputs_a_shared_layer_a_gate_and_two_outputs(backend: Backend) -> None:
    check_gradients(backend, two_inputs_two_outputs())


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graphs())
def test_gradients_of_any_graph(backend: Backend, program: Program) -> None:
    check_gradients(backend, program, 3)


def same(backend: Backend, program: Program, **how: Any) -> None:
    """The trajectory is NumPy's."""
    (one, means), (other, expected) = (trained(each, program, **how) for each in (backend, get_backend("numpy")))
    limit = 2e-5 if program.dtype == "float32" else 1e-10
    for name, value in other.snapshot().parameters.items():
        np.testing.assert_allclose(one.read_parameter(name), value, rtol=limit, atol=limit, err_msg=name)
    assert means == pytest.approx(expected, rel=10 * limit, abs=10 * limit)
    x, y = samples(program, 11, seed=5)
    found, wanted = (each.predict(each.load(x, None, None), 4) for each in (one, other))
    np.testing.assert_allclose(found, wanted, rtol=10 * limit, atol=10 * limit)
    measured = one.measure(one.load(x, y, None), 4)
    assert measured == pytest.approx(other.measure(other.load(x, y, None), 4), rel=10 * limit, abs=10 * limit)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_backend_follows_one_trajectory(backend: Backend, dtype: Any, clip_norm: Any, weighted: bool) -> None:
    weights = np.linspace(0.0, 2.0, 23).astype(dtype) if weighted else None
    same(backend, two_inputs_two_outputs(dtype, dropout=True), clip_norm=clip_norm, weights=weights)


@FEW
@given(graphs())
def test_so_does_any_graph(backend: Backend, program: Program) -> None:
    same(backend, program)


def test_outputs_are_measured_each_by_itself(backend: Backend) -> None:
    program = two_inputs_two_outputs()
    executable, means = trained(backend, program)
    assert list(means) == ["loss", "kind_loss", "kind_accuracy", "size_loss", "size_mae"]
    assert means["loss"] == pytest.approx(means["kind_loss"] + 0.3 * means["size_loss"])
    x, y = samples(program, 19)
    data = executable.load(x, y, None)
    predicted, found = executable.predict(data, 7), executable.measure(data, 7)
    np.testing.assert_allclose(predicted[:, :3].sum(axis=1), 1)
    labels = y[:, 0].astype(int)
    assert found["kind_loss"] == pytest.approx(-np.log(predicted[np.arange(19), labels]).mean())
    assert found["kind_accuracy"] == (predicted[:, :3].argmax(axis=1) == labels).mean()
    assert found["size_loss"] == pytest.approx(((predicted[:, 3:] - y[:, 1:]) ** 2).mean())
    assert found["size_mae"] == pytest.approx(np.abs(predicted[:, 3:] - y[:, 1:]).mean())


def test_an_output_without_a_loss_is_predicted_and_trains_nothing(backend: Backend) -> None:
    graph = Graph(3)
    graph.op("concatenate", graph.dense(0, 2), graph.dense(0, 2, "linear"))
    outputs = Output("a", (0, 2)), Output("b", (2, 4), "sigmoid", MEAN_SQUARED, (0, 2))
    program = graph.program(outputs=outputs, rule="adam")
    before, (executable, means) = numbers(program), trained(backend, program)
    assert list(means) == ["loss", "b_loss"]
    np.testing.assert_array_equal(executable.read_parameter("dense_0/kernel"), before["dense_0/kernel"])
    assert (executable.read_parameter("dense_1/kernel") != before["dense_1/kernel"]).any()


def test_a_chain_is_the_program_of_today() -> None:
    graph = Graph(3)
    graph.dense(graph.dense(0, 4), 1)
    assert graph.sources == [(0,), (1,)]
    assert graph.program().sources == ()
    assert graph.program().is_chain
    assert hash(graph.program()) == hash(graph.program())


def test_the_compiled_joint_loss_is_the_references_sum(rng: np.random.Generator) -> None:
    program = two_inputs_two_outputs()
    assert program.loss is not None
    assert not isinstance(program.loss.kernel, str)
    scores, (_, y) = rng.normal(size=(6, 5)), samples(program, 6)
    total, gradient = program.loss.kernel.loss_and_gradient(scores, y, None, 0.5, np)
    one = registry.loss("softmax_cross_entropy").loss_and_gradient(scores[:, :3], y[:, 0].astype(int), None, 0.5)
    two = registry.loss("mean_squared_error").loss_and_gradient(scores[:, 3:], y[:, 1:], None, 0.5)
    assert total == pytest.approx(one[0] + 0.3 * two[0])
    np.testing.assert_allclose(gradient, np.concatenate([one[1], 0.3 * two[1]], axis=1))


def bad(make: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        make()
    return str(caught.value)


def test_invalid_graphs_are_reported() -> None:
    graph = Graph(3)
    graph.add(graph.layer(3, 2), 0, width=2)
    graph.stages.append(graph.layer(2, 1))
    for sources, words in (
        ([(0,), (2,)], "of which only 0 to 1"),
        ([(0,), (0,)], "no stage reads the output of stage 0"),
        ([(0,), (0, 1)], "only an Op can"),
        ([(0,), ()], "reads nothing"),
        ([(0,)], "sources of 1 stages were given, expected 2"),
    ):
        graph.sources = sources
        assert words in bad(graph.program), words
    assert "sort them by name" in bad(lambda: Op("columns", 1, settings=(("stop", 1), ("start", 0))))
    both = two_inputs_two_outputs().outputs
    summed = Output("s", (3, 5), "linear", registry_sum(), (1, 3))
    assert "must be means over rows" in bad(lambda: two_inputs_two_outputs().with_outputs([both[0], summed]))
    assert "must begin where the previous one ends" in bad(lambda: two_inputs_two_outputs().with_outputs(both[::-1]))
    metric = (Metric("mae", "absolute_error"),)
    lonely = Output("lonely", (0, 5), metrics=metric)
    assert "has metrics but no loss" in bad(lambda: two_inputs_two_outputs().with_outputs([lonely]))


def registry_sum() -> Any:
    return type(CLASSES)("sum_squared_error", "values", "sum")
