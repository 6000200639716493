"""Every kind of stage, by its examples: gradients by finite differences, NumPy's trajectory, every partition."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dnnkit.backends import Backend, get_backend
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Op, Parameter
from dnnkit.kernels import registry
from dnnkit.kernels.stages import Example, kind
from tests.backends import kinds
from tests.backends.graphs import Graph, numbers, samples, trained
from tests.backends.test_graphs import check_gradients


@pytest.fixture(autouse=True, scope="module")
def _known() -> Iterator[None]:
    with kinds.known():
        yield


def cases() -> list[Any]:
    with kinds.known():
        return [
            pytest.param(name, number, id=f"{name}-{number}")
            for name in registry.names("stage")
            for number, _ in enumerate(kind(name).examples)
        ]


def around(name: str, number: int, **more: Any) -> Program:
    """Return a network with that example of the kind between dense layers; numbers of categories come from the data."""
    example: Example = kind(name).examples[number]
    categorical = example.x == "categories"
    graph = Graph(sum(example.inputs) if categorical else 3)
    values, start = [], 0
    for features in example.inputs:
        if categorical:
            values.append(graph.op("columns", 0, start=start, stop=start + features))
            start += features
        else:
            values.append(graph.dense(0, features))
    parameters = tuple(
        Parameter(f"own/{one}", shape, one not in example.statistics, one in example.statistics)
        for one, shape in example.parameters.items()
    )
    settings = tuple(sorted(example.settings.items()))
    value = graph.add(Op(name, example.features, parameters, settings, 5), *values, width=example.features)
    graph.dense(value, 2, "linear")
    return graph.program(**more)


def inputs(program: Program, name: str, rows: int) -> tuple[Any, Any]:
    """Draw x and y; x has whole numbers where the kind takes categories."""
    x, y = samples(program, rows)
    if kind(name).examples[0].x == "categories":
        x = np.random.default_rng(2).integers(0, 3, x.shape).astype(x.dtype)
    return x, y


@pytest.mark.parametrize(("name", "number"), cases())
def test_gradients(backend: Backend, name: str, number: int) -> None:
    program, has_slope = around(name, number), kind(name).examples[number].x != "categories"
    given = inputs(program, name, 5)
    check_gradients(backend, program, 5, with_input=has_slope, given=given)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "number"), cases())
def test_every_backend_follows_one_trajectory(
    backend: Backend, name: str, number: int, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = around(name, number, dtype=dtype)
    data, limit = inputs(program, name, 23), 5e-5 if dtype == "float32" else 1e-9
    expected, _ = trained(get_backend("numpy"), program, given=data)
    for partition in ("units/1", "units/2", "rows/2", "rows/3") if backend.name == "numba" else ("",):
        monkeypatch.setenv("DNNKIT_PARTITION", partition)
        found, _ = trained(backend, program, given=data)
        if backend.name == "numba" and registry.has_cpu_version(name):
            assert found.plan.reason is None
        for parameter, value in expected.snapshot().parameters.items():
            one = found.read_parameter(parameter)
            np.testing.assert_allclose(one, value, rtol=limit, atol=limit, err_msg=f"{parameter} {partition}")
        predicted = [each.predict(each.load(data[0], None, None), 7) for each in (found, expected)]
        np.testing.assert_allclose(*predicted, rtol=10 * limit, atol=10 * limit)


def test_statistics_change_while_training_and_in_nothing_else(backend: Backend) -> None:
    program = around("centred", 0)
    executable, _ = trained(backend, program)
    assert (executable.read_parameter("own/moving") != numbers(program)["own/moving"]).all()
    before = executable.read_parameter("own/moving")
    x, y = samples(program, 7)
    data = executable.load(x, y, None)
    executable.gradients(data)
    executable.evaluate(data, 4)
    executable.predict(data, 4)
    np.testing.assert_array_equal(executable.read_parameter("own/moving"), before)
    assert not any("moving" in name for name in executable.snapshot().slots)
