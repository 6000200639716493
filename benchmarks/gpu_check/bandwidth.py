"""Bandwidth of each fused kernel, as a share of the bandwidth of a copy of the same size."""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from dnnkit.backends.measures import Loss, Metric
from dnnkit.kernels import registry
from dnnkit.kernels.dense import gpu as dense
from dnnkit.kernels.dropout import Draw
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.kernels.stages import Context, kind
from tests.kernels.stages.sizes import OF_SIZE

ROUNDS = 9
QUICK = 2
CALLS = 10
"""Calls per round; later launches overlap with earlier kernels."""

ACTIVATIONS = ("relu", "sigmoid", "gelu", "mish", "softmax")
COLUMNS = 1024
KINDS = {"batch_normalization": 2, "layer_normalization": 2, "scale": 2, "concatenate": 1}
"""Kinds of stages with simple traffic, and how many times backward reads or writes the number of inputs."""

WITHOUT_GRADIENT = ("average",)
"""Update rules that read no gradient."""

Work = tuple[str, int, Callable[[], Any]]
"""A kernel's name, the bytes that it moves, and a call of it."""


def seconds(backend: Any, run: Callable[[], Any], rounds: int) -> list[float]:
    """Return the seconds per call by the GPU's clock, for each round; the first calls compile and are not counted."""
    cuda = backend.xp.cuda
    run()
    run()
    times = []
    for _ in range(rounds):
        start, end = cuda.Event(), cuda.Event()
        start.record()
        for _ in range(CALLS):
            run()
        end.record()
        end.synchronize()
        times.append(cuda.get_elapsed_time(start, end) / 1000 / CALLS)
    return times


def measure(backend: Any, size: int, rounds: int = ROUNDS) -> Iterator[dict[str, Any]]:
    """Yield records of a copy, then of every kernel, on arrays of `size` bytes, in both dtypes."""
    with backend.on_device():
        for dtype in ("float32", "float64"):
            copied = _record("copy", dtype, 2 * size, seconds(backend, _copy(backend, size, dtype), rounds))
            yield {**copied, "share": 1.0}
            for name, traffic, run in _works(backend, size, dtype):
                record = _record(name, dtype, traffic, seconds(backend, run, rounds))
                yield {**record, "share": record["bytes_per_second"] / copied["bytes_per_second"]}


def _record(name: str, dtype: str, traffic: int, times: list[float]) -> dict[str, Any]:
    middle = max(median(times), 1e-9)
    spread = {"seconds": middle, "least": min(times), "most": max(times)}
    return {"kernel": name, "dtype": dtype, "bytes": traffic, **spread, "bytes_per_second": traffic / middle}


def _copy(backend: Any, size: int, dtype: str) -> Callable[[], Any]:
    source = backend.zeros(size // np.dtype(dtype).itemsize, dtype)
    target = backend.buffer(source.shape, dtype)
    return lambda: backend.xp.copyto(target, source)


def _works(backend: Any, size: int, dtype: str) -> Iterator[Work]:
    yield from _elementwise(backend, size, dtype)
    yield from _losses(backend, size, dtype)
    yield from _updates(backend, size, dtype)
    yield from _kinds(backend, size, dtype)


def _filled(backend: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """Return numbers between 0 and 1, which are valid for all kernels, including losses of probabilities."""
    numbers = np.random.default_rng(0).uniform(0.05, 0.95, 4099).astype(dtype)
    flat = backend.xp.take(backend.asarray(numbers), backend.xp.arange(int(np.prod(shape))) % 4099)
    return flat.reshape(shape)


def _elementwise(backend: Any, size: int, dtype: str) -> Iterator[Work]:
    item = np.dtype(dtype).itemsize
    shape = (max(1, size // item // COLUMNS), COLUMNS)
    x, y, count = _filled(backend, shape, dtype), backend.buffer(shape, dtype), shape[0] * shape[1]
    for name in ACTIVATIONS:
        activation = registry.activation(name)
        yield f"{name} forward", 2 * count * item, _call(backend.activation, activation, x, out=y)
        yield f"{name} backward", 3 * count * item, _call(backend.activation_backward, activation, x, y, out=y)
    b, w, db = (_filled(backend, s, dtype) for s in ((COLUMNS,), (1, COLUMNS), (COLUMNS,)))
    column = _filled(backend, (shape[0], 1), dtype)

    for name in ("relu", "gelu"):
        activation = registry.activation(name)
        saves_input = activation.saves == "input"
        z = backend.buffer(shape, dtype) if saves_input else None
        forward = _call(dense.forward, column, w, b, activation, z, y)
        backward = _call(dense.backward, x, column, w, y, activation, False, x, None, w, db)
        with patch.object(dense, "multiply", lambda a, b, out: None):  # measure only what surrounds the products
            yield f"dense {name} bias and activation", (2 + saves_input) * count * item, forward
            yield f"dense {name} dz and db", 3 * count * item, backward
    del x, y
    keep, x, y = backend.buffer(shape, "bool"), _filled(backend, shape, dtype), backend.buffer(shape, dtype)
    yield "dropout mask", count, _call(backend.dropout_mask, shape, 0.5, 1, 2, 3, out=keep)
    yield "dropout", (2 * item + 1) * count, _call(backend.dropout, x, keep, 0.5, out=y)
    yield "dropout without a mask", 2 * item * count, _call(backend.draw_dropout, x, Draw(0.5, 1, 2, 3), out=y)
    for source in ("uint8", dtype):
        pixels = backend.asarray(
            np.random.default_rng(0).integers(0, 256, (max(1, shape[0]), COLUMNS), np.uint8), source
        )
        rows = backend.asarray(np.random.default_rng(1).permutation(shape[0]))
        traffic = (np.dtype(source).itemsize + item) * count
        yield f"gather {source}", traffic, _call(backend.gather, pixels, rows, 1 / 255, 0.5, dtype, out=y)


def _losses(backend: Any, size: int, dtype: str) -> Iterator[Work]:
    item = np.dtype(dtype).itemsize
    for columns in (10, 1000):
        shape = (max(1, size // item // columns), columns)
        count = shape[0] * shape[1]
        scores, targets, out = (
            _filled(backend, shape, dtype),
            _filled(backend, shape, dtype),
            backend.buffer(shape, dtype),
        )
        labels = backend.xp.arange(shape[0]) % columns
        for kernel in registry.names("loss"):
            run = _call(backend.loss, Loss(kernel, "values", "mean"), scores, targets, None, 0.5, out=out)
            yield f"{kernel}, {columns} columns", 3 * count * item, run
        sparse = Loss("softmax_cross_entropy", "labels", "mean")
        run = _call(backend.loss, sparse, scores, labels, None, 0.5, out=out)
        yield f"softmax_cross_entropy of labels, {columns} columns", 2 * count * item + 8 * shape[0], run
        accuracy = Metric("accuracy", "categorical_accuracy")
        run = _call(backend.metric, accuracy, scores, labels, None)
        yield f"accuracy of labels, {columns} columns", count * item + 8 * shape[0], run


def _updates(backend: Any, size: int, dtype: str) -> Iterator[Work]:
    item = np.dtype(dtype).itemsize
    for name, rule in RULES.items():
        arrays = [_filled(backend, (size // item,), dtype) for _ in range(2 + len(rule.slots))]
        numbers = [1e-3] + [0.9] * len(rule.hyperparameters)
        run = _call(backend.update, rule, 3, arrays[0], arrays[1], arrays[2:], *numbers)
        yield f"update {name}", (3 - (name in WITHOUT_GRADIENT) + 2 * len(rule.slots)) * size, run


def _call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], Any]:
    return lambda: function(*arguments, **options)


def _kinds(backend: Any, size: int, dtype: str) -> Iterator[Work]:
    """Yield kinds of stages with the bytes that have to be read and written, however often a kernel does so."""
    item = np.dtype(dtype).itemsize
    rows = max(1, size // item // COLUMNS)
    for name, passes in KINDS.items():
        one, example, held = kind(name), OF_SIZE[name](COLUMNS), dict[str, Any]()

        def memory(name: str, shape: Any, own: Any = None, fill: Any = None, held: dict[str, Any] = held) -> Any:
            if name not in held:
                held[name] = backend.asarray(fill) if fill is not None else backend.buffer(shape, own or dtype)
            return held[name]

        xs = [_filled(backend, (rows, features), dtype) for features in example.inputs]
        parameters = [_filled(backend, shape, dtype) for shape in example.parameters.values()]
        given = one, xs, parameters, example.settings, Context(True), memory
        y, saved = backend.stage(*given)
        dy, needs = _filled(backend, y.shape, dtype), [True] * len(xs)
        read = sum(x.size for x in xs)
        yield f"{name} forward", (read + y.size) * item, _call(backend.stage, *given)
        backward = _call(backend.stage_backward, one, dy, saved, parameters, example.settings, needs, memory)
        yield f"{name} backward", (passes * read + dy.size) * item, backward
