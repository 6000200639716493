"""Graphs on the CuPy backend, on the stand-in: recorded, with all kinds of stages, penalties, constraints, outputs."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.backends import get_backend
from dnnkit.backends.cupy_backend import recorded_step, timed_executable
from dnnkit.backends.cupy_backend.executable import CupyExecutable
from dnnkit.backends.measures import Metric
from dnnkit.backends.outputs import Output
from dnnkit.backends.penalties import Bound, Penalty
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Dropout, Op, Parameter
from dnnkit.kernels import registry
from dnnkit.kernels._cuda.recording import Recording, recorded
from tests.backends.graphs import CLASSES, MEAN_SQUARED, Graph, graphs, samples, trained
from tests.cuda_on_cpu import cupy_stand_in
from tests.cuda_on_cpu.cupy_stand_in import counts

pytestmark = pytest.mark.cuda_on_cpu

WAYS = {"launch by launch": (False, False), "recorded": (True, False), "graphs": (True, True)}
ROWS, BATCH = 30, 8
VIEWS = {"reshape", "empty", "asarray", "array"}
"""CuPy functions that compute nothing: their results exist when a step is replayed."""


def operation(graph: Graph, kind: str, *values: int, width: int, **more: Any) -> int:
    """Add a stage of that kind, with parameters by shape, and settings; return the number of its value."""
    shapes, statistics = more.pop("parameters", {}), more.pop("statistics", ())
    name = f"{kind}_{len(graph.stages)}"
    parameters = tuple(
        Parameter(f"{name}/{key}", shape, key not in statistics, key in statistics) for key, shape in shapes.items()
    )
    stage = Op(kind, width, parameters, tuple(sorted(more.items())), len(graph.stages))
    return graph.add(stage, *values, width=width)


def every_kind() -> Program:
    """Three columns of classes and five numbers; two outputs, one of classes and one of numbers."""
    graph = Graph(8)
    classes = graph.op("columns", 0, start=0, stop=2)
    looked_up = operation(graph, "embedding", classes, width=6, parameters={"embeddings": (3, 3)}, classes=3)
    one = graph.op("columns", 0, start=2, stop=3)
    hot = operation(graph, "one_hot", one, width=3, sizes=(3,), mode="concatenate")
    given = graph.op("columns", 0, start=3, stop=8)
    known = {"mean": (5,), "variance": (5,), "count": (1,)}
    normal = operation(graph, "normalization", given, width=5, parameters=known, statistics=tuple(known), channels=5)
    periodic = {"frequencies": (5, 2), "kernel": (5, 4, 2), "bias": (5, 2)}
    waves = operation(graph, "periodic_embedding", normal, width=10, parameters=periodic, frequencies=2, units=2)
    scaled = operation(graph, "scale", normal, width=5, parameters={"scale": (5,)})
    noisy = operation(graph, "gaussian_noise", scaled, width=5, stddev=0.1)
    wide = graph.op("concatenate", looked_up, hot, waves, noisy)
    hidden = graph.dense(wide, 6, "linear")
    moving = {"gamma": (6,), "beta": (6,), "moving_mean": (6,), "moving_variance": (6,)}
    batch = operation(
        graph, "batch_normalization", hidden, width=6, parameters=moving, statistics=("moving_mean", "moving_variance"),
        channels=6, momentum=0.9, epsilon=1e-3, center=True, scale=True, frozen=False,
    )  # fmt: skip
    bent = operation(graph, "prelu", batch, width=6, parameters={"alpha": (6,)})
    shared = graph.layer(6, 6)
    first, second = graph.add(shared, bent, width=6), graph.add(shared, hidden, width=6)
    dropped = graph.add(Dropout(0.3, len(graph.stages)), first)
    total = graph.op("add", dropped, second, graph.dense(bent, 6), bent)
    gated = graph.op("multiply", total, graph.dense(given, 6, "sigmoid"), bent)
    last = operation(
        graph, "layer_normalization", gated, width=6, parameters={"gamma": (3,), "beta": (3,)},
        channels=3, epsilon=1e-3, centered=True, center=True, scale=True,
    )  # fmt: skip
    graph.op("concatenate", graph.dense(last, 3, "linear"), graph.dense(total, 2, "linear"), graph.dense(last, 1))
    kernels = [one.name for stage in graph.stages for one in getattr(stage, "parameters", ())]
    dense = shared.kernel.name
    return graph.program(
        outputs=(
            Output("kind", (0, 3), "softmax", CLASSES, (0, 1), 0.5, (Metric("accuracy", "categorical_accuracy"),)),
            Output("size", (3, 5), "linear", MEAN_SQUARED, (1, 3), 2.0, (Metric("mae", "absolute_error"),)),
            Output("unused", (5, 6)),
        ),
        penalties=(Penalty(dense, 0.01, 0.02), Penalty(kernels[0], 0.0, 0.1)),
        bounds=(Bound(dense, most=1.2), Bound("dense_10/bias", not_negative=True)),
    )


def data(program: Program) -> tuple[Any, Any]:
    x, y = samples(program, ROWS)
    x[:, :3] = np.random.default_rng(2).integers(0, 3, (ROWS, 3))
    return x, y


@contextmanager
def nothing_else() -> Iterator[Recording]:
    """As `recorded`; a step recorded without a refusal was computed by launches alone."""
    before = counts.functions.copy()
    with recorded() as recording:
        yield recording
    assert recording.why_not or (counts.functions - before).keys() <= VIEWS


def test_every_kind_is_recorded_with_the_same_bits_and_follows_numpy(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, weights, limit = every_kind(), np.random.default_rng(5).uniform(0.5, 2, (ROWS, 3)), 1e-9
    kinds = {name for name in registry.names("stage") if registry.has_gpu_version(name)}
    assert {stage.kind for stage in program.stages if isinstance(stage, Op)} == kinds
    monkeypatch.setattr(recorded_step, "STEPS", 2)
    monkeypatch.setattr(recorded_step, "WORTH", 1)
    monkeypatch.setattr(timed_executable, "recorded", nothing_else)
    numbers, options = data(program), {"clip_norm": 0.5, "weights": weights, "batch": BATCH}
    expected, wanted = trained(get_backend("numpy"), program, ROWS, given=numbers, **options)
    results = {}
    for how, (records, captures) in WAYS.items():
        monkeypatch.setattr(CupyExecutable, "records", records)
        monkeypatch.setattr(CupyExecutable, "makes_graphs", captures)
        counts.reset()
        found, means = trained(get_backend("cupy"), program, ROWS, given=numbers, **options)
        values = found.snapshot().parameters
        results[how] = [value.tobytes() for value in values.values()], means
        assert results[how] == results["launch by launch"], how
        assert (counts.prepared > 0, bool(counts.graphs)) == (records, captures)
        for name, value in expected.snapshot().parameters.items():
            np.testing.assert_allclose(values[name], value, rtol=limit, atol=limit, err_msg=name)
        assert means == pytest.approx(wanted, rel=limit)
    assert found.plan.reason is None
    one, other = (each.measure(each.load(*numbers, None), BATCH) for each in (found, expected))
    assert one == pytest.approx(other, rel=limit)
    predicted = [each.predict(each.load(numbers[0], None, None), BATCH) for each in (found, expected)]
    np.testing.assert_allclose(*predicted, rtol=limit, atol=10 * limit)


@settings(max_examples=5)
@given(program=graphs(), weighted=st.booleans())
def test_graphs_follow_numpy(program: Program, weighted: bool) -> None:
    """Custom layers, which are never recorded, among others."""
    weights = np.linspace(0.5, 2, 23) if weighted else None
    with cupy_stand_in.in_place_of_cupy():
        expected, wanted = trained(get_backend("numpy"), program, weights=weights)
        found, means = trained(get_backend("cupy"), program, weights=weights)
        for name, value in expected.snapshot().parameters.items():
            np.testing.assert_allclose(found.read_parameter(name), value, rtol=1e-8, atol=1e-8, err_msg=name)
        assert means == pytest.approx(wanted)
        assert ("step" in found.plan.details) == (not program.custom_parts)
