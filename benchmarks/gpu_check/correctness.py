"""Every operation of the CuPy backend against the float64 reference, and whole trainings against NumPy's.

A GPU that computes nothing must not pass, although reused memory may hold the result of an earlier check: all memory
for results is poisoned beforehand, and a training has to change the network.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.gpu_check import graphs
from dnnkit.backends.base import Backend
from dnnkit.backends.measures import Loss, Metric
from dnnkit.kernels import registry
from dnnkit.kernels.dense import reference as dense_reference
from dnnkit.kernels.dropout import Draw
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.kernels.stages import Context
from dnnkit.kernels.stages import kind as kind_of_stage
from dnnkit.testing.stages import arrays
from tests.backends.networks import CASES, data
from tests.kernels.stages.sizes import OF_SIZE

SHAPES = ((7, 3), (65, 127), (1, 1), (257, 1025), (3001, 17))
QUICK = 2
"""Number of shapes in quick mode; half this number of networks."""

POISON = 0xFF
"""Fill byte: as a float it is NaN, as an integer -1 or the maximum, and it is not a valid bool."""
BOUND = {"float64": 1e-12, "float32": 3e-5}
"""Maximum error for numbers of size one; a matrix product sums a thousand of them."""


class Plain(Backend):
    """`base.py` on NumPy, the reference for all comparisons."""

    name = "plain"

    @property
    def xp(self) -> Any:
        return np

    def running(self, program: Any, rows: int) -> Any:
        return np.errstate(all="ignore")


@contextmanager
def poisoned(backend: Backend) -> Iterator[None]:
    """Fill all memory that the backend allocates with the poison byte.

    The bytes are copied from the host instead of computed: a GPU that computes nothing may still copy.
    """
    empty = backend.xp.empty

    def spoilt(shape: Any, dtype: Any = float, order: str = "C") -> Any:
        backend.forget_scratch()  # type: ignore[attr-defined]
        array = empty(shape, dtype, order)
        array.set(np.full(array.nbytes, POISON, np.uint8).view(array.dtype).reshape(array.shape))
        return array

    with patch.object(backend.xp, "empty", spoilt):
        yield


def compare(name: str, dtype: str, actual: Any, expected: Any, bound: float | None = None) -> dict[str, Any]:
    """Return a record of a comparison: the largest error, relative to the largest number if that is above one.

    The error is None if it is not finite: a value is NaN or infinite, or the shapes differ.
    """
    actual, expected = _numbers(actual), _numbers(expected)
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    error = float(np.abs(actual - expected).max(initial=0.0)) / scale if actual.shape == expected.shape else math.nan
    bound = BOUND[dtype] if bound is None else bound
    passed = math.isfinite(error) and error <= bound
    return {"check": name, "dtype": dtype, "error": _finite(error), "bound": bound, "passed": passed}


def _numbers(array: Any) -> Any:
    """Convert to float64; bytes of bools are converted as numbers, so that invalid ones are detected."""
    array = np.asarray(array)
    return np.asarray(array.view(np.uint8) if array.dtype == np.bool_ else array, np.float64)


def _finite(error: float) -> float | None:
    """Return None for numbers that JSON cannot represent."""
    return error if math.isfinite(error) else None


def operations(backend: Backend, family: str, quick: bool = False) -> Iterator[dict[str, Any]]:
    """Check each operation of a family on arrays of several shapes, in both dtypes."""
    rng = np.random.default_rng(20261122)
    with poisoned(backend):
        for dtype in BOUND:
            for shape in SHAPES[:QUICK] if quick else SHAPES:
                yield from FAMILIES[family](backend, rng, dtype, shape, f"{shape[0]} x {shape[1]}")


def _activations(backend: Backend, rng: Any, dtype: str, shape: Any, label: str) -> Iterator[dict[str, Any]]:
    x, dy = rng.normal(0, 3, (2, *shape)).astype(dtype)
    x.flat[0] = 1e4
    for name in registry.names("activation"):
        activation = registry.activation(name)
        expected = activation.forward(x.astype(np.float64))
        saved = expected if activation.saves == "output" else x.astype(np.float64)
        y = backend.activation(activation, backend.asarray(x))
        yield compare(f"{name}, {label}", dtype, backend.to_numpy(y), expected)
        kept = backend.asarray(saved.astype(dtype))
        dx = backend.activation_backward(activation, backend.asarray(dy), kept)
        slope = activation.backward(dy.astype(np.float64), saved.astype(dtype).astype(np.float64))
        yield compare(f"{name} backward, {label}", dtype, backend.to_numpy(dx), slope)


def _dense(backend: Backend, rng: Any, dtype: str, shape: Any, label: str) -> Iterator[dict[str, Any]]:
    inputs = 33
    sizes = ((shape[0], inputs), (inputs, shape[1]), shape[1], shape)
    arrays = [rng.normal(size=size).astype(dtype) for size in sizes]
    arrays[1] /= np.sqrt(inputs, dtype=dtype)
    for name in registry.names("activation"):
        yield from _layer(backend, registry.activation(name), dtype, arrays, label)


def _layer(backend: Backend, activation: Any, dtype: str, arrays: Any, label: str) -> Iterator[dict[str, Any]]:
    a, w, b, dy = (backend.asarray(array.copy()) for array in arrays)
    wide = [array.astype(np.float64) for array in arrays]
    expected, saved = dense_reference.forward(*wide[:3], activation)
    y, kept = backend.dense(a, w, b, activation)
    yield compare(f"dense {activation.name}, {label}", dtype, backend.to_numpy(y), expected)
    if activation.name in ("relu", "leaky_relu", "step", "hard_sigmoid", "selu"):  # take the same side of every kink
        saved = backend.to_numpy(kept).astype(np.float64)
    gradients = dense_reference.backward(wide[3], wide[0], wide[1], saved, activation, True)
    actual = backend.dense_backward(dy, a, w, kept, activation, True)
    for part, value, wanted in zip(("dx", "dw", "db"), actual, gradients, strict=True):
        yield compare(f"dense {activation.name} {part}, {label}", dtype, backend.to_numpy(value), wanted, _sum(dtype))


def _sum(dtype: str) -> float:
    return 10 * BOUND[dtype]


def _losses(backend: Backend, rng: Any, dtype: str, shape: Any, label: str) -> Iterator[dict[str, Any]]:
    for kernel in registry.names("loss"):
        on_logits = kernel in ("softmax_cross_entropy", "sigmoid_cross_entropy")
        scores = (rng.normal(0, 2, shape) if on_logits else rng.uniform(0.05, 0.95, shape)).astype(dtype)
        targets, weights = rng.uniform(0, 1, shape).astype(dtype), rng.uniform(0, 2, shape[0]).astype(dtype)
        kinds: list[tuple[str, Any]] = [("values", targets)]
        if kernel in ("softmax_cross_entropy", "categorical_crossentropy"):
            kinds.append(("labels", rng.integers(0, shape[1], shape[0])))
        for kind, wanted in kinds:
            wide = wanted.astype(np.float64) if kind == "values" else wanted
            total, gradient = registry.loss(kernel).loss_and_gradient(
                scores.astype(np.float64), wide, weights.astype(np.float64), 0.25
            )
            own = [backend.asarray(array) for array in (scores, wanted, weights)]
            value, d = backend.loss(Loss(kernel, kind, "mean"), *own, 0.25)  # type: ignore[arg-type]
            yield compare(f"{kernel} of {kind}, {label}", dtype, float(value), total)
            yield compare(f"{kernel} of {kind} gradient, {label}", dtype, backend.to_numpy(d), gradient)
    plain, labels = Plain(), rng.integers(0, shape[1], shape[0])
    own = [backend.asarray(array) for array in (scores, labels, targets, weights)]
    for metric, theirs, given in (
        (Metric("a", "categorical_accuracy"), labels, own[1]),
        (Metric("b", "binary_accuracy", 0.5), targets, own[2]),
    ):
        value = backend.metric(metric, own[0], given, own[3])
        yield compare(
            f"{metric.kernel} accuracy, {label}", dtype, float(value), plain.metric(metric, scores, theirs, weights)
        )


def _inputs(backend: Backend, rng: Any, dtype: str, shape: Any, label: str) -> Iterator[dict[str, Any]]:
    rows = rng.integers(0, shape[0], 2 * shape[0])
    for source in ("uint8", "int64", "bool", "float32", "float64"):
        values = (rng.uniform(0, 2, shape) * 100).astype(source)
        expected = values[rows].astype(dtype).astype(np.float64) / 255 + 0.5
        x = backend.gather(backend.asarray(values), backend.asarray(rows), 1 / 255, 0.5, backend.dtype(dtype))
        yield compare(f"gather {source}, {label}", dtype, backend.to_numpy(x), expected)
    plain, step = Plain(), 2**33 + 5
    keep = backend.dropout_mask(shape, 0.4, 7, 2, step)
    expected = plain.dropout_mask(shape, 0.4, 7, 2, step)
    yield compare(f"dropout mask, {label}", dtype, backend.to_numpy(keep), expected, 0.0)
    x = rng.normal(size=shape).astype(dtype)
    y = backend.dropout(backend.asarray(x), keep, 0.4)
    yield compare(f"dropout, {label}", dtype, backend.to_numpy(y), plain.dropout(x.astype(np.float64), expected, 0.4))
    y = backend.draw_dropout(backend.asarray(x), Draw(0.4, 7, 2, step))
    y, expected = (backend.draw_dropout(backend.asarray(x), Draw(0.4, 7, 2, step)), backend.to_numpy(y))
    yield compare(f"dropout without a mask, {label}", dtype, backend.to_numpy(y), expected, 0.0)


def _updates(backend: Backend, rng: Any, dtype: str, shape: Any, label: str) -> Iterator[dict[str, Any]]:
    size = shape[0] * shape[1]
    gradient = rng.uniform(0.5, 1, size).astype(dtype)
    norm = float(np.linalg.norm(gradient.astype(np.float64)))
    for name, bound, factor in (("longer", norm / 2, 0.5), ("shorter", 2 * norm, 1.0)):
        clipped = backend.clip_norm(backend.asarray(gradient), bound)
        expected = gradient.astype(np.float64) * factor
        yield compare(f"clip_norm of a {name} one, {label}", dtype, backend.to_numpy(clipped), expected)
    for name, rule in RULES.items():
        p, g, *slots = rng.uniform(0.1, 1, (2 + len(rule.slots), size)).astype(dtype)
        numbers = [0.01] + [0.9] * len(rule.hyperparameters)
        expected = rule.function(3, *(array.astype(np.float64) for array in (p, g, *slots)), *numbers)
        own = [backend.asarray(array) for array in (p, g, *slots)]
        parameter, new = backend.update(rule, 3, own[0], own[1], own[2:], *numbers)
        parts = zip(("parameter", *rule.slots), (p, *slots), (parameter, *new), expected, strict=True)
        for part, given, value, wanted in parts:
            if np.array_equal(given, wanted):
                continue  # unchanged, so it would pass without computing
            yield compare(f"{name} {part}, {label}", dtype, backend.to_numpy(value), wanted)


def _kinds(backend: Backend, rng: Any, dtype: str, shape: Any, label: str) -> Iterator[dict[str, Any]]:
    """Check kinds of stages; gradients that equal dy are skipped, because they would pass without computing."""
    rows, features = shape
    for name, of_size in OF_SIZE.items():
        one, example = kind_of_stage(name), of_size(features)
        xs, parameters = arrays(example, rows, dtype, rng)
        dy = rng.normal(size=(rows, example.features)).astype(dtype)
        wide = [[array.astype(np.float64) for array in each] for each in (xs, parameters, [dy])]
        needs, plain, context = [True] * len(xs), Context(True, 1, 2, 3), Context(True, 1, 2, 3)
        expected, kept = one.forward(wide[0], wide[1], example.settings, plain, np)
        slopes, given = one.backward(wide[2][0], kept, wide[1], example.settings, needs, np)
        own, held = ([backend.asarray(array) for array in each] for each in (xs, parameters))
        y, saved = backend.stage(one, own, held, example.settings, context)
        y = backend.to_numpy(y)
        dxs, found = backend.stage_backward(one, backend.asarray(dy), saved, held, example.settings, needs)
        pairs = [
            ("", y, expected),
            *((f" statistic {k}", s, plain.statistics[k]) for k, s in context.statistics.items()),
        ]
        pairs += [(f" dx {k}", *pair) for k, pair in enumerate(zip(dxs, slopes, strict=True))]
        pairs += [(f" gradient {k}", *pair) for k, pair in enumerate(zip(found, given, strict=True))]
        for what, value, wanted in pairs:
            if wanted is not None and not np.array_equal(wanted, wide[2][0]):
                yield compare(f"{name}{what}, {label}", dtype, backend.to_numpy(value), wanted, _sum(dtype))


def _held(backend: Backend, rng: Any, dtype: str, shape: Any, label: str) -> Iterator[dict[str, Any]]:
    """Check penalties and constraints of parameters."""
    plain, w = Plain(), rng.normal(size=shape).astype(dtype)
    l1, l2, dw = rng.uniform(0.1, 1, (3, w.size)).astype(dtype)
    wide = [array.astype(np.float64).reshape(-1) for array in (w, l1, l2, dw)]
    flat, *factors, slope = (backend.asarray(array.reshape(-1)) for array in (w, l1, l2, dw))
    yield compare(f"penalty, {label}", dtype, float(backend.penalty(flat, *factors)), plain.penalty(*wide[:3]))
    found = backend.to_numpy(backend.add_penalty_gradient(flat, slope, *factors))
    yield compare(f"penalty gradient, {label}", dtype, found, plain.add_penalty_gradient(wide[0], wide[3], *wide[1:3]))
    for name, bounds in (("most", (0.0, 1e-3, 1.0)), ("least", (1e3, 1e4, 0.5))):
        expected = plain.norm_bound(w.astype(np.float64), *bounds, False)
        held = backend.norm_bound(backend.asarray(w.copy()), *bounds, False)
        yield compare(f"norm bound, {name}, {label}", dtype, backend.to_numpy(held), expected)
    held = backend.norm_bound(backend.asarray(-np.abs(w)), 0.0, 1.0, 1.0, True)
    yield compare(f"not negative, {label}", dtype, backend.to_numpy(held), np.zeros(shape))


FAMILIES = {
    "activations": _activations,
    "dense": _dense,
    "losses": _losses,
    "inputs": _inputs,
    "updates": _updates,
    "kinds": _kinds,
    "held": _held,
}


def trajectories(backend: Backend, samples: int, epochs: int = 3, quick: bool = False) -> Iterator[dict[str, Any]]:
    """Compare losses of some epochs with NumPy's, and check that a second run has the same bits."""
    x, labels = data(samples)
    networks: list[tuple[str, Any, Any, Any]] = [
        (name, case.network, x.shape[1:], (x, case.targets(labels)))
        for name, case in islice(CASES.items(), QUICK // 2 if quick else None)
    ]
    if not quick:
        networks.append(("a graph of all kinds", graphs.network, graphs.COLUMNS, graphs.samples(samples)))
    for name, network, features, given in networks:
        for dtype, bound in (("float32", 1e-3), ("float64", 1e-9)):
            losses, bits = [], []
            for where in (backend, backend, Plain()):
                net = network(where, dtype)
                net.build(features)
                before = _bits(net)
                with poisoned(backend):
                    losses.append(net.fit(*given, epochs=epochs, batch_size=32, verbose=0)["loss"])
                bits.append(_bits(net))
            error = float(np.abs(np.divide(losses[1], losses[2]) - 1).max())
            record = {"check": f"losses of {epochs} epochs: {name}", "dtype": dtype, "error": _finite(error)}
            yield {**record, "bound": bound, "passed": math.isfinite(error) and error <= bound}
            equal = bits[0] == bits[1] != before and losses[0] == losses[1]
            record = {"check": f"equal bits in two runs: {name}", "dtype": dtype, "error": float(not equal)}
            yield {**record, "bound": 0.0, "passed": equal}


def _bits(net: Any) -> bytes:
    return b"".join(value.tobytes() for value in net.parameters.values())
