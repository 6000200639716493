"""NumPy backend: the operations of `base.py`, written into buffers that are allocated once.

Products go to the BLAS with `out`. Everything else applies the kernels' reference formulas block by block: a block's
temporaries stay in the first cache levels, which is faster than passes over whole arrays, and a step's allocations are
bounded by the block, whatever the batch or network.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dnnkit.backends import compressed_products
from dnnkit.backends.base import Backend
from dnnkit.backends.blas_threads import blas_threads
from dnnkit.backends.diagnosis import Finding
from dnnkit.backends.measures import Loss, Metric
from dnnkit.backends.processors import usable, wanted
from dnnkit.backends.program import Program
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.kernels.dropout import reference as dropout
from dnnkit.kernels.interpolate import reference as interpolate
from dnnkit.kernels.optimizer_step.reference import Rule
from dnnkit.kernels.registry import Activation

BLOCK = 16384
"""Elements per block: 64 KiB of float32, so that a formula's temporaries fit the second-level cache."""

WORTH_THREADS = 1 << 25
"""FLOPs of a product above which the BLAS may use its threads. Below, waking them costs about as much as they save, and
on a busy machine, where one of them waits for a processor, ten times as much (docs/design/0006-blas-threads.md).
"""


class NumpyBackend(Backend):
    """NumPy and the BLAS it was built with."""

    name = "numpy"
    most_filled = 0.02

    @property
    def xp(self) -> Namespace:
        """NumPy itself."""
        return np

    def buffer(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Allocate memory for a result."""
        return np.empty(shape, dtype)

    @contextmanager
    def thread_limit(self, program: Program, rows: int) -> Iterator[Callable[[], None]]:
        """Limit the BLAS to the requested threads, or to as many as pay for the largest product; silence overflow
        warnings.
        """
        threads = None if wanted(program.num_threads) is None else usable(program.num_threads)
        if threads is None and program.largest_product(rows) < WORTH_THREADS:
            threads = 1
        with blas_threads().bounded(threads) as blas, np.errstate(all="ignore"):
            yield blas.let_others

    def diagnose(self) -> list[Finding]:
        """Report which BLAS computes products, and its number of threads."""
        from threadpoolctl import threadpool_info

        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        if not pools:
            return [Finding("BLAS", "note", "no BLAS library that threadpoolctl knows: num_threads has no effect")]
        return [
            Finding(
                f"BLAS of {_owner(pool['filepath'])}",
                "good",
                f"{pool['internal_api']} {pool['version']}, {pool.get('architecture', '?')}, "
                f"{pool['num_threads']} thread{'s' * (pool['num_threads'] != 1)}",
            )
            for pool in pools
        ]

    def pack(self, parts: list[Array], out: Array) -> Array:
        """Copy parts into `out`: those of built-in stages are already views of it, a custom layer's are not."""
        start = 0
        for part in parts:
            if part.base is not out and (part.base is None or part.base is not out.base):
                out[start : start + part.size] = part.reshape(-1)
            start += part.size
        return out

    # -- operations: as in base.py, into `out` ---------------------------------------------------------------------

    def gather(
        self, data: Array, rows: Array, scale: float, offset: float, dtype: Any, out: Array | None = None
    ) -> Array:
        """See `kernels/gather`; other dtypes are converted in blocks of rows, never a whole batch."""
        if out is None:
            return super().gather(data, rows, scale, offset, dtype)
        if data.dtype == out.dtype:
            np.take(data, rows, axis=0, out=out, mode="clip")  # mode="clip" writes to `out` without a buffer
        else:
            for block in _row_blocks(out):
                out[block] = data[rows[block]]
        return self.affine(out, scale, offset, out=out)

    def take(self, values: Array, rows: Array, out: Array | None = None) -> Array:
        """Return values[rows]."""
        return np.take(values, rows, axis=0, out=out, mode="clip")

    def affine(self, x: Array, scale: float, offset: float, out: Array | None = None) -> Array:
        """Return x · scale + offset, skipping no-op passes."""
        if out is None:
            return super().affine(x, scale, offset)
        if scale != 1.0 or x is not out:
            np.multiply(x, scale, out=out)
        if offset != 0.0:
            np.add(out, offset, out=out)
        return out

    def activation(self, activation: Activation, x: Array, out: Array | None = None) -> Array:
        """See `kernels/activations`."""
        if out is None:
            return super().activation(activation, x)
        return _by_block(activation.forward, out, x, flat=activation.elementwise)

    def activation_backward(self, activation: Activation, dy: Array, saved: Array, out: Array | None = None) -> Array:
        """See `kernels/activations`."""
        if out is None:
            return super().activation_backward(activation, dy, saved)
        return _by_block(activation.backward, out, dy, saved, flat=activation.elementwise)

    def dense(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        activation: Activation,
        out: tuple[Array | None, Array | None] = (None, None),
    ) -> tuple[Array, Array]:
        """See `kernels/dense`."""
        y, z = out
        if y is None:
            return super().dense(x, w, b, activation)
        z = _product(x, w, out=y if z is None else z)
        if b is not None:
            np.add(z, b, out=z)
        self.activation(activation, z, out=y)
        return y, (y if activation.saves == "output" else z)

    def dense_backward(
        self,
        dy: Array,
        x: Array,
        w: Array,
        saved: Array,
        activation: Activation,
        needs_dx: bool,
        out: tuple[Array | None, Array | None, Array | None] = (None, None, None),
    ) -> tuple[Array | None, Array, Array]:
        """See `kernels/dense`; dy becomes dz."""
        dx, dw, db = out
        if dw is None:
            return super().dense_backward(dy, x, w, saved, activation, needs_dx)
        dz = self.activation_backward(activation, dy, saved, out=dy)
        _transposed_product(x, dz, out=dw)
        if needs_dx:
            dx = np.matmul(dz, w.T, out=dx)
        return dx, dw, dz.sum(axis=0, out=db)

    def dense_backward_input(
        self, dy: Array, w: Array, saved: Array, activation: Activation, out: Array | None = None
    ) -> Array:
        """See `kernels/dense`; dy becomes dz."""
        if out is None:
            return super().dense_backward_input(dy, w, saved, activation)
        return np.matmul(self.activation_backward(activation, dy, saved, out=dy), w.T, out=out)

    def dropout_mask(
        self, shape: tuple[int, ...], rate: float, seed: int, layer: int, step: int, out: Array | None = None
    ) -> Array:
        """See `kernels/dropout`."""
        if out is None:
            return super().dropout_mask(shape, rate, seed, layer, step)
        flat = out.reshape(-1)
        for start in range(0, flat.size, BLOCK):
            count = min(BLOCK, flat.size - start)
            flat[start : start + count] = dropout.mask(start, count, rate, seed, layer, step)
        return out

    def dropout(self, x: Array, keep: Array, rate: float, out: Array | None = None) -> Array:
        """See `kernels/dropout`."""
        if out is None:
            return super().dropout(x, keep, rate)
        return _by_block(lambda x, keep: dropout.apply(x, keep, rate), out, x, keep, flat=True)

    def loss(
        self,
        loss: Loss,
        scores: Array,
        targets: Array,
        weights: Array | None,
        scale: float,
        out: Array | None = None,
    ) -> tuple[Array, Array]:
        """See `kernels/losses`."""
        if out is None or not isinstance(loss.kernel, str):
            return super().loss(loss, scores, targets, weights, scale)
        total = 0.0
        for block in _row_blocks(scores):
            row_weights = None if weights is None else weights[block]
            part, out[block] = super().loss(loss, scores[block], targets[block], row_weights, scale)
            total += float(part)
        return total, out

    def metric(self, metric: Metric, scores: Array, targets: Array, weights: Array | None) -> Array:
        """See `kernels/metrics`."""
        if not isinstance(metric.kernel, str):
            return super().metric(metric, scores, targets, weights)
        total: Any = 0.0 if metric.sums == 1 else np.zeros(metric.sums)
        for block in _row_blocks(scores):
            row_weights = None if weights is None else weights[block]
            part = super().metric(metric, scores[block], targets[block], row_weights)
            total += float(part) if metric.sums == 1 else part
        return total

    def clip_norm(self, x: Array, bound: float, out: Array | None = None) -> Array:
        """Return x, scaled down to the Euclidean norm `bound` if its norm is larger."""
        norm = float(np.sqrt(np.dot(x, x)))
        return x if norm <= bound else np.multiply(x, bound / norm, out=out)  # a NaN norm is within no bound

    def accumulate(self, total: Array, gradient: Array, factor: float, *, is_first: bool) -> Array:
        """Accumulate in place."""
        for start in range(0, total.size, BLOCK):
            block = slice(start, start + BLOCK)
            total[block] = super().accumulate(total[block], gradient[block], factor, is_first=is_first)
        return total

    def interpolate(self, x: Array, y: Array, share: float, out: Array | None = None) -> Array:
        """See `kernels/interpolate`."""
        out = np.empty_like(x) if out is None else out
        return _by_block(partial(interpolate.interpolate, share=share), out, x, y, flat=True)

    def clip_value(self, x: Array, bound: float, out: Array | None = None) -> Array:
        """Return x with each element clamped to [-bound, bound]."""
        return np.clip(x, -bound, bound, out=out)

    def update(
        self, rule: Rule, step: int, parameter: Array, gradient: Array, slots: list[Array], *numbers: float
    ) -> tuple[Array, list[Array]]:
        """See `kernels/optimizer_step`; in place."""
        for start in range(0, parameter.size, BLOCK):
            block = slice(start, start + BLOCK)
            held = (parameter[block], *(slot[block] for slot in slots))
            new = rule.function(step, held[0], gradient[block], *held[1:], *numbers, np)
            # A rule may return its arguments, such as the parameter as a slot: copied before they are overwritten.
            kept = [np.copy(value) if getattr(value, "base", None) is not None else value for value in new]
            for target, value in zip(held, kept, strict=True):
                target[...] = value
        return parameter, slots


def _product(x: Array | CompressedRows, w: Array, out: Array) -> Array:
    """Return x · w."""
    if not isinstance(x, CompressedRows):
        return np.matmul(x, w, out=out)
    return compressed_products.product(x, w, out)


def _transposed_product(x: Array | CompressedRows, y: Array, out: Array) -> Array:
    """Return xᵀ · y."""
    if not isinstance(x, CompressedRows):
        return np.matmul(x.T, y, out=out)
    return compressed_products.transposed_product(x, y, out)


def _owner(library: str) -> str:
    """Return the package of a library: `numpy` for .../numpy.libs/libscipy_openblas64_.so; else its path."""
    parts = Path(library).parts
    bundled = (part.removesuffix(".libs") for part in parts if part.endswith(".libs"))
    installed = (package for folder, package in pairwise(parts) if folder in ("site-packages", "dist-packages"))
    return next(bundled, None) or next(installed, library)


def _row_blocks(rows: Array) -> Iterator[slice]:
    """Return slices of whole rows, about BLOCK elements each."""
    step = max(1, BLOCK // max(1, rows[:1].size))
    return (slice(start, start + step) for start in range(0, len(rows), step))


def _by_block(function: Callable[..., Array], out: Array, *inputs: Array, flat: bool) -> Array:
    """Compute out[...] = function(*inputs) on arrays of one shape, block by block; `flat` ignores rows."""
    if flat and out.flags.c_contiguous:  # otherwise `reshape` would copy, and the result would be lost
        target, *sources = (array.reshape(-1) for array in (out, *inputs))
    else:
        target, *sources = out, *inputs
    for block in _row_blocks(target):
        target[block] = function(*(source[block] for source in sources))
    return out
