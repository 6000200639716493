"""Roofline of all kernels: every backend and dtype, in and out of cache, compared with their lower bounds."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from dnnkit.backends import get_backend
from dnnkit.backends.aligned import aligned
from dnnkit.backends.base import Backend
from dnnkit.backends.measures import Loss, Metric
from dnnkit.bench.activations import WrongResult, copy_array
from dnnkit.bench.progress import Stage
from dnnkit.bench.results import Results, Row
from dnnkit.bench.selection import Selection
from dnnkit.bench.timing import Case, measure_group, waits_for
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.registry import did_you_mean

SIZES = {"small": 1 << 14, "large": 1 << 22}
"""Elements per array: within a processor's cache, and beyond it (several arrays of 16 MiB or more)."""
COLUMNS = 128
PRODUCT = 1024
"""Width of the square matrix product that determines the FLOP rate."""


@dataclass(frozen=True)
class Work:
    """A kernel call, the bytes it moves and its number of operations."""

    kernel: str
    moved: int
    flops: int
    call: Callable[[Backend], Any]


def names() -> tuple[str, ...]:
    """Return the names of all kernels that can be measured."""
    return tuple(dict.fromkeys(work.kernel for work in works(Data(COLUMNS, "float32", None))))


def measure(
    selection: Selection, chosen: tuple[str, ...], dtypes: tuple[str, ...], results: Results, stage: Stage
) -> None:
    """Add the rows `kernels`, and the limits on which their lower bounds are based."""
    unknown = [name for name in chosen if name not in names()]
    if unknown:
        hint = did_you_mean(unknown[0], names())
        raise ConfigurationError(f"unknown kernels {', '.join(unknown)}: {hint}choose from {', '.join(names())}")
    for backend, dtype in product(selection.backends, dtypes):
        _check(backend, chosen, dtype)
    for dtype, (size_name, size) in product(dtypes, SIZES.items()):
        _one_size(selection, chosen, dtype, size_name, size, results, stage)


def _one_size(
    selection: Selection, chosen: tuple[str, ...], dtype: str, size_name: str, size: int, results: Results, stage: Stage
) -> None:
    about: dict[str, tuple[Work, Backend]] = {}
    cases: list[Case] = []
    for backend in selection.backends:
        data = Data(size, dtype, backend)
        for work in (*_limits(data), *works(data)):
            if chosen and work.kernel not in (*chosen, *LIMITS):
                continue
            title = f"{work.kernel} {backend.name}"
            about[title] = (work, backend)
            cases.append(Case(title, _bound(work, backend), waits_for(backend)))
    group = f"{dtype}, {size_name}"
    timings = measure_group(cases, group, selection, results, stage, f"kernels, {group}")
    rates = {title: (work.moved, work.flops, min(timings[title].seconds)) for title, (work, _) in about.items()}
    for title, (work, backend) in about.items():
        moved, _, copying = rates[f"copy {backend.name}"]
        bandwidth = moved / copying
        # The fastest product of any backend on this device: a floor per backend would flatter slow ones.
        flop_rate = max(
            flops / seconds
            for name, (_, flops, seconds) in rates.items()
            if name.startswith(("matrix product", "dense")) and about[name][1].device == backend.device
        )
        results.limits[f"copy, {dtype}, {size_name}, {backend.name}, bytes per second"] = bandwidth
        results.limits[f"product, {dtype}, {size_name}, {backend.device}, FLOPs per second"] = flop_rate
        floor = max(work.moved / bandwidth, work.flops / flop_rate)
        timing = timings[title]
        facts = {
            "bytes": work.moved,
            "operations": work.flops,
            "floor": 1e6 * floor,
            "of floor": floor / float(np.median(timing.seconds)),
            "bound by": "bytes" if work.moved / bandwidth >= work.flops / flop_rate else "operations",
            "bandwidth": bandwidth,
            "FLOP rate": flop_rate,
            "calls": timing.calls,
            "processors": timing.processors,
        }
        case: dict[str, str | int] = {
            "kernel": work.kernel,
            "backend": backend.name,
            "dtype": dtype,
            "size": size_name,
        }
        results.rows.append(Row("kernels", case, "µs per call", tuple(1e6 * s for s in timing.seconds), facts))


def _bound(work: Work, backend: Backend) -> Callable[[], Any]:
    call = work.call
    return lambda: call(backend)


def _check(backend: Backend, chosen: tuple[str, ...], dtype: str) -> None:
    """Check the results against NumPy in float64, before anything is timed."""

    def first(result: Any) -> Any:
        return result[0] if isinstance(result, tuple | list) else result

    pairs = zip(works(Data(SIZES["small"], dtype, backend)), works(Data(SIZES["small"], "float64", None)), strict=True)
    for work, oracle in pairs:
        if chosen and work.kernel not in chosen:
            continue
        with backend.on_device(), np.errstate(all="ignore"):
            found = np.asarray(backend.to_numpy(first(work.call(backend))), np.float64)
            expected = np.asarray(first(oracle.call(get_backend("numpy"))), np.float64)
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        error = float(np.abs(found - expected).max(initial=0.0)) / scale
        if not error < (1e-4 if dtype == "float32" else 1e-10):
            raise WrongResult(f"{work.kernel} on {backend.name} is wrong by {error:.2g} in {dtype}: it is not timed")


# -- the kernels ------------------------------------------------------------------------------------------------------


class Data:
    """Arrays with the same values on every backend; NumPy arrays if the backend is None."""

    def __init__(self, size: int, dtype: str, backend: Backend | None) -> None:
        self.size, self.dtype, self.item, self.backend = size, dtype, np.dtype(dtype).itemsize, backend
        self.shape = (size // COLUMNS, COLUMNS)
        self._made: dict[Any, Any] = {}
        self.writes = backend is None or backend.buffer((0,), backend.dtype(dtype)) is not None

    def numbers(self, *shape: int, seed: int = 0) -> Any:
        """Return numbers between 0.05 and 0.95, which are valid probabilities for losses."""
        if (shape, seed) not in self._made:
            some = np.random.default_rng(seed).uniform(0.05, 0.95, 4099).astype(np.float32)
            self._made[shape, seed] = self.given(np.resize(some, shape).astype(self.dtype))
        return self._made[shape, seed]

    def given(self, array: Any) -> Any:
        """Return the array as the backend's own."""
        array = aligned(array)
        if self.backend is None:
            return array
        with self.backend.on_device():
            return self.backend.asarray(array)

    def out(self, *shape: int, dtype: str | None = None) -> Any:
        """Return an output buffer, or None if the backend does not write in place."""
        return self.given(np.zeros(shape, dtype or self.dtype)) if self.writes else None


LIMITS = ("copy", "matrix product", "matrix product, NumPy's BLAS")


def _limits(data: Data) -> Iterator[Work]:
    x, y = data.numbers(*data.shape), data.given(np.zeros(data.shape, data.dtype))

    yield Work("copy", 2 * data.size * data.item, 0, lambda backend: copy_array(backend, x, y))
    a, b, c = data.numbers(PRODUCT, PRODUCT), data.numbers(PRODUCT, PRODUCT), data.out(PRODUCT, PRODUCT)
    linear = registry.activation("linear")
    moved = 3 * PRODUCT**2 * data.item
    yield Work(
        "matrix product", moved, 2 * PRODUCT**3, lambda backend: backend.dense(a, b, None, linear, out=(c, None))
    )
    if data.backend is None or data.backend.xp is np:
        yield Work("matrix product, NumPy's BLAS", moved, 2 * PRODUCT**3, lambda _: np.matmul(a, b, out=c))


def works(data: Data) -> Iterator[Work]:
    """Yield every kernel, applied to these data."""
    yield from _elementwise(data)
    yield from _dense(data)
    yield from _losses(data)
    yield from _updates(data)


def _elementwise(data: Data) -> Iterator[Work]:
    x, y, n = data.numbers(*data.shape), data.out(*data.shape), data.size
    for name in registry.names("activation"):
        activation = registry.activation(name)
        forward, backward = _activation_calls(activation, x, data.numbers(*data.shape, seed=1), y)
        yield Work(f"{name} forward", 2 * n * data.item, n, forward)
        yield Work(f"{name} backward", 3 * n * data.item, 2 * n, backward)
    keep = data.out(*data.shape, dtype="bool")
    kept = data.given(np.resize(np.arange(n) % 3 > 0, data.shape))
    yield Work("dropout mask", n, 10 * n, lambda backend: backend.dropout_mask(data.shape, 0.5, 1, 2, 3, out=keep))
    yield Work("dropout", (2 * data.item + 1) * n, n, lambda backend: backend.dropout(x, kept, 0.5, out=y))
    bytes_ = data.given(np.random.default_rng(0).integers(0, 256, data.shape, np.uint8))
    rows = data.given(np.random.default_rng(1).permutation(data.shape[0]))
    yield Work(
        "gather bytes",
        (1 + data.item) * n + 8 * data.shape[0],
        2 * n,
        lambda backend: backend.gather(bytes_, rows, 1 / 255, 0.5, backend.dtype(data.dtype), out=y),
    )


def _activation_calls(
    activation: registry.Activation, x: Any, dy: Any, y: Any
) -> tuple[Callable[[Backend], Any], Callable[[Backend], Any]]:
    return (
        lambda backend: backend.activation(activation, x, out=y),
        lambda backend: backend.activation_backward(activation, dy, x, out=y),
    )


def _dense(data: Data) -> Iterator[Work]:
    """Yield the dense layer with as many units as inputs, on a batch."""
    batch, inputs = 128, max(COLUMNS, int((data.size / 2) ** 0.5) // COLUMNS * COLUMNS)
    x, w, b = data.numbers(batch, inputs), data.numbers(inputs, inputs, seed=1), data.numbers(inputs, seed=2)
    y, z, dx, dw, db = (data.out(*s) for s in ((batch, inputs), (batch, inputs), (batch, inputs), w.shape, b.shape))
    dy = data.numbers(batch, inputs, seed=3)
    relu = registry.activation("relu")
    flops, passed, weights = 2 * batch * inputs**2, batch * inputs * data.item, inputs**2 * data.item
    yield Work("dense forward", 2 * passed + weights, flops, lambda backend: backend.dense(x, w, b, relu, out=(y, z)))

    def backward(backend: Backend) -> Any:
        given = dy * 1 if data.writes else dy  # may be overwritten; the copy is small compared with the products
        return backend.dense_backward(given, x, w, x, relu, True, out=(dx, dw, db))

    yield Work("dense backward", 4 * passed + 2 * weights, 2 * flops, backward)


def _losses(data: Data) -> Iterator[Work]:
    columns = 10
    rows = data.size // columns
    scores, targets, out = data.numbers(rows, columns), data.numbers(rows, columns, seed=1), data.out(rows, columns)
    labels = data.given(np.arange(rows) % columns)
    n = rows * columns
    for name in registry.names("loss"):
        yield Work(name, 3 * n * data.item, 5 * n, _loss_call(Loss(name, "values", "mean"), scores, targets, out))
    sparse = _loss_call(Loss("softmax_cross_entropy", "labels", "mean"), scores, labels, out)
    yield Work("softmax_cross_entropy of labels", 2 * n * data.item + 8 * rows, 5 * n, sparse)
    metric = Metric("accuracy", "categorical_accuracy")
    moved = n * data.item + 8 * rows
    yield Work("accuracy", moved, n, lambda backend: backend.metric(metric, scores, labels, None))


def _loss_call(loss: Loss, scores: Any, targets: Any, out: Any) -> Callable[[Backend], Any]:
    return lambda backend: backend.loss(loss, scores, targets, None, 1.0, out=out)


def _updates(data: Data) -> Iterator[Work]:
    for name, rule in RULES.items():
        arrays = [data.numbers(data.size, seed=seed) for seed in range(2 + len(rule.slots))]
        numbers = [1e-9] + [0.5] * len(rule.hyperparameters)
        moved = (3 + 2 * len(rule.slots)) * data.size * data.item
        yield Work(f"update {name}", moved, (2 + 5 * len(rule.slots)) * data.size, _update_call(rule, arrays, numbers))


def _update_call(rule: Any, arrays: list[Any], numbers: list[float]) -> Callable[[Backend], Any]:
    return lambda backend: backend.update(rule, 3, arrays[0], arrays[1], arrays[2:], *numbers)
