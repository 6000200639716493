"""Operations of the CuPy backend: launchers of CUDA kernels, into `out`, for everything that steps repeat."""

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.cupy_backend.step_operations import StepOperations, has_kernel, kernel_of
from dnnkit.backends.measures import Loss, Metric
from dnnkit.backends.operations import Memory, no_memory
from dnnkit.backends.state import HostArray
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import losses, metric_sums, metrics, pairwise
from dnnkit.kernels._cuda.launch import PARTIALS, contiguous
from dnnkit.kernels._cuda.recording import refuse
from dnnkit.kernels.array import Array
from dnnkit.kernels.dropout import Draw
from dnnkit.kernels.optimizer_step.reference import Rule
from dnnkit.kernels.registry import Activation

if TYPE_CHECKING:
    from dnnkit.kernels.stages import Context, Kind, Settings


class CupyOperations(StepOperations):
    """The operations of `base.py` by CUDA kernels; without a kernel, by CuPy's functions, as in `base.py`."""

    shares_buffers = True

    def kernel_file(self, name: str) -> str:
        """Return the CUDA kernel's file, if there is one."""
        return "gpu.cu" if registry.has_gpu_version(name) else super().kernel_file(name)

    def gather(
        self, data: Array, rows: Array, scale: float, offset: float, dtype: Any, out: Array | None = None
    ) -> Array:
        """See `kernels/gather`."""
        with self.on_device():
            if data.dtype == np.float16:
                refuse("gathering float16")
                return super().gather(data, rows, scale, offset, dtype)
            if out is None:
                out = self.xp.empty((rows.shape[0], *data.shape[1:]), dtype)
            kernel_of("gather").gather(data, rows.astype(np.int64, copy=False), scale, offset, out)
        return out

    def take(self, values: Array, rows: Array, out: Array | None = None) -> Array:
        """Return values[rows]."""
        with self.on_device():
            refuse("take")
            return self.xp.take(values, rows, axis=0, out=out)

    def affine(self, x: Array, scale: float, offset: float, out: Array | None = None) -> Array:
        """Return x · scale + offset."""
        with self.on_device():
            if x.ndim != 2 or not has_kernel("gather", x):
                refuse("rescaling by formula")
                return super().affine(x, scale, offset)
            out = self.xp.empty(x.shape, x.dtype) if out is None else out
            kernel_of("gather").gather(x, None, scale, offset, out)
        return out

    def activation(self, activation: Activation, x: Array, out: Array | None = None) -> Array:
        """See `kernels/activations/<activation>`."""
        from dnnkit.kernels._cuda import activations

        with self.on_device():
            if not has_kernel(activation.name, x):
                return super().activation(activation, x)
            out = self.xp.empty(x.shape, x.dtype) if out is None else out
            activations.forward(activation, x, out)
        return out

    def activation_backward(self, activation: Activation, dy: Array, saved: Array, out: Array | None = None) -> Array:
        """See `kernels/activations/<activation>`."""
        from dnnkit.kernels._cuda import activations

        with self.on_device():
            if not has_kernel(activation.name, dy):
                return super().activation_backward(activation, dy, saved)
            out = self.xp.empty(dy.shape, dy.dtype) if out is None else out
            activations.backward(activation, dy, saved, out)
        return out

    def dense(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        activation: Activation,
        out: tuple[Array | None, Array | None] = (None, None),
    ) -> tuple[Array, Array]:
        """See `kernels/dense`."""
        with self.on_device():
            if not has_kernel(activation.name, x):
                return super().dense(x, w, b, activation)
            return self._dense(x, w, b, activation, None, (None, *out))

    def dense_and_dropout(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        activation: Activation,
        dropout: Draw,
        out: tuple[Array | None, Array | None, Array | None] = (None, None, None),
    ) -> tuple[Array, Array]:
        """See `kernels/dense`; dropout is drawn where y is computed."""
        with self.on_device():
            if not has_kernel(activation.name, x):
                return super().dense_and_dropout(x, w, b, activation, dropout)
            return self._dense(x, w, b, activation, dropout, out)

    def _dense(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        activation: Activation,
        dropout: Draw | None,
        out: tuple[Array | None, Array | None, Array | None],
    ) -> tuple[Array, Array]:
        dropped, y, z = out
        shape, needs_z = (x.shape[0], w.shape[1]), activation.saves == "input"
        y = self.xp.empty(shape, x.dtype) if y is None else y
        z = self.xp.empty(shape, x.dtype) if z is None and needs_z else z
        dropped = self.xp.empty(shape, x.dtype) if dropped is None and dropout is not None else dropped
        kernel_of("dense").forward(x, w, b, activation, z if needs_z else None, y, dropout, dropped)
        return (y if dropped is None else dropped), (z if needs_z else y)

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
        with self.on_device():
            if not has_kernel(activation.name, dy):
                return super().dense_backward(dy, x, w, saved, activation, needs_dx)
            return self._dense_backward(dy, x, w, saved, activation, None, needs_dx, out)

    def dense_and_dropout_backward(
        self,
        dy: Array,
        x: Array,
        w: Array,
        saved: Array,
        activation: Activation,
        dropout: Draw,
        needs_dx: bool,
        out: tuple[Array | None, Array | None, Array | None] = (None, None, None),
    ) -> tuple[Array | None, Array, Array]:
        """See `kernels/dense`; dy becomes dz, and dropout is drawn again."""
        with self.on_device():
            if not has_kernel(activation.name, dy):
                return super().dense_and_dropout_backward(dy, x, w, saved, activation, dropout, needs_dx)
            return self._dense_backward(dy, x, w, saved, activation, dropout, needs_dx, out)

    def _dense_backward(
        self,
        dy: Array,
        x: Array,
        w: Array,
        saved: Array,
        activation: Activation,
        dropout: Draw | None,
        needs_dx: bool,
        out: tuple[Array | None, Array | None, Array | None],
    ) -> tuple[Array | None, Array, Array]:
        dx, dw, db = out
        kernel, empty, dy = kernel_of("dense"), self.xp.empty, contiguous(dy)  # dz overwrites it
        dx = empty(x.shape, x.dtype) if needs_dx and dx is None else dx
        dw = empty(w.shape, w.dtype) if dw is None else dw
        db = empty(w.shape[1], w.dtype) if db is None else db
        scratch = self._scratch(kernel.scratch_size(*dy.shape), dy.dtype)
        passes = (activation, needs_dx, dy, dx if needs_dx else None, dw, db, scratch, dropout)
        kernel.backward(dy, x, w, saved, *passes)
        return (dx if needs_dx else None), dw, db

    draws_dropout = True

    def draw_dropout(self, x: Array, dropout: Draw, out: Array | None = None) -> Array:
        """See `kernels/dropout`; one launch, without a mask."""
        with self.on_device():
            if not has_kernel("dropout", x):
                return super().draw_dropout(x, dropout)
            out = self.xp.empty(x.shape, x.dtype) if out is None else out
            kernel_of("dropout").draw(x, dropout, out)
        return out

    def dense_backward_input(
        self, dy: Array, w: Array, saved: Array, activation: Activation, out: Array | None = None
    ) -> Array:
        """See `kernels/dense`; dy becomes dz."""
        with self.on_device():
            if not has_kernel(activation.name, dy):
                return super().dense_backward_input(dy, w, saved, activation)
            dy = contiguous(dy)  # dz overwrites it
            out = self.xp.empty((dy.shape[0], w.shape[0]), dy.dtype) if out is None else out
            kernel_of("dense").backward_input(dy, w, saved, activation, dy, out)
        return out

    def dropout_mask(
        self, shape: tuple[int, ...], rate: float, seed: int, layer: int, step: int, out: Array | None = None
    ) -> Array:
        """See `kernels/dropout`; `step` may be a clock on the GPU."""
        with self.on_device():
            out = self.xp.empty(shape, np.bool_) if out is None else out
            kernel_of("dropout").mask(0, out.size, rate, seed, layer, step, out.reshape(-1))
        return out

    def dropout(self, x: Array, keep: Array, rate: float, out: Array | None = None) -> Array:
        """See `kernels/dropout`."""
        with self.on_device():
            out = self.xp.empty(x.shape, x.dtype) if out is None else out
            kernel_of("dropout").apply(x, keep, rate, out)
        return out

    def stage(
        self,
        kind: "Kind",
        xs: list[Array],
        parameters: list[Array],
        settings: "Settings",
        context: "Context",
        memory: Memory = no_memory,
    ) -> tuple[Array, Any]:
        """See `kernels/stages/<kind>`; `context.step` may be a clock on the GPU."""
        with self.on_device():
            if not has_kernel(kind.name, xs[0]):
                return super().stage(kind, xs, parameters, settings, context, memory)
            own = self._memory(memory, xs[0].dtype)
            made: tuple[Array, Any] = kernel_of(kind.name).forward(xs, parameters, settings, context, own)
        return made

    def stage_backward(
        self,
        kind: "Kind",
        dy: Array,
        saved: Any,
        parameters: list[Array],
        settings: "Settings",
        needs_dx: list[bool],
        memory: Memory = no_memory,
        outs: Sequence[Array | None] | None = None,
    ) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
        """See `kernels/stages/<kind>`."""
        with self.on_device():
            given = dy, saved, parameters, settings, needs_dx
            if not has_kernel(kind.name, dy):
                return super().stage_backward(kind, *given, memory, outs)
            own = self._memory(memory, dy.dtype)
            made: tuple[list[Array | None], list[Array | None]] = kernel_of(kind.name).backward(*given, own, outs)
        return made

    def _memory(self, memory: Memory, dtype: Any) -> Callable[..., Array]:
        """Return a memory function that allocates new arrays where the given one has none."""

        def found(name: str, shape: tuple[int, ...], kind: Any = None, fill: HostArray | None = None) -> Array:
            held = memory(name, shape, kind, fill)
            if held is not None:
                return held
            return self.xp.empty(shape, dtype if kind is None else kind) if fill is None else self.asarray(fill)

        return found

    def add(self, a: Array, b: Array, out: Array | None = None) -> Array:
        """See `kernels/stages/add`."""
        with self.on_device():
            if not has_kernel("add", a):
                return super().add(a, b, out)
            out = self.xp.empty(a.shape, a.dtype) if out is None else out
            pairwise.combine("add", a, b, out)
        return out

    def penalty(self, w: Array, l1: Array, l2: Array) -> Array:
        """See `kernels/penalty`; the sum stays on the GPU."""
        with self.on_device():
            refuse("a penalty not computed by a step operation")
            if not has_kernel("penalty", w):
                return super().penalty(w, l1, l2)
            total = self.xp.empty((), np.float64)
            kernel_of("penalty").penalty(w, l1, l2, total, self._scratch(PARTIALS, np.float64))
        return total

    def add_penalty_gradient(self, w: Array, gradient: Array, l1: Array, l2: Array) -> Array:
        """See `kernels/penalty`; in place."""
        with self.on_device():
            if not has_kernel("penalty", w):
                return super().add_penalty_gradient(w, gradient, l1, l2)
            kernel_of("penalty").gradient(w, gradient, l1, l2)
        return gradient

    def norm_bound(self, w: Array, least: float, most: float, rate: float, not_negative: bool) -> Array:
        """See `kernels/norm_bound`; in place."""
        with self.on_device():
            if not has_kernel("norm_bound", w):
                return super().norm_bound(w, least, most, rate, not_negative)
            memory = self._scratch_of(w.dtype)
            kernel_of("norm_bound").constrain(w, least, most, rate, not_negative, memory)
        return w

    def _scratch_of(self, dtype: Any) -> Callable[..., Array]:
        """Return scratch memory by name, for one launch at a time in this thread and stream."""

        def found(name: str, shape: tuple[int, ...], kind: Any = None) -> Array:
            return self._scratch(prod(shape), dtype if kind is None else kind, name).reshape(shape)

        return found

    def loss(
        self,
        loss: Loss,
        scores: Array,
        targets: Array,
        weights: Array | None,
        scale: float,
        out: Array | None = None,
    ) -> tuple[Array, Array]:
        """See `kernels/losses/<loss>`; the sum stays on the GPU."""
        with self.on_device():
            refuse("a loss not computed by a step operation")
            if not isinstance(loss.kernel, str) or not has_kernel(loss.kernel, scores):
                return super().loss(loss, scores, targets, weights, scale)
            targets, weights = _like_scores(scores, targets, weights)
            out = self.xp.empty(scores.shape, scores.dtype) if out is None else out
            total = self.xp.empty((), np.float64)
            kernel, scratch = registry.loss(loss.kernel), self._scratch(PARTIALS, np.float64)
            losses.loss_and_gradient(kernel, scores, targets, weights, scale, out, total, scratch)
        return total, out

    def metric(self, metric: Metric, scores: Array, targets: Array, weights: Array | None) -> Array:
        """See `kernels/metrics`; the sum, or the sums, stay on the GPU."""
        with self.on_device():
            refuse("a metric not computed by a step operation")
            if not isinstance(metric.kernel, str) or not has_kernel(metric.kernel, scores):
                return super().metric(metric, scores, targets, weights)
            targets, weights = _like_scores(scores, targets, weights)
            if registry.metric(metric.kernel).count is not None:
                sums = self.xp.empty(metric.sums, np.float64)
                scratch = self._scratch(metric_sums.scratch_size(len(scores), metric.sums), np.float64)
                metric_sums.totals(metric.kernel, scores, targets, weights, metric.threshold, sums, scratch)
                return sums if metric.sums > 1 else sums[0]
            total, scratch = self.xp.empty((), np.float64), self._scratch(PARTIALS, np.float64)
            metrics.total(metric.kernel, scores, targets, weights, metric.threshold, total, scratch)
        return total

    def clip_norm(self, x: Array, bound: float, out: Array | None = None) -> Array:
        """See `kernels/clip_norm`; the norm stays on the GPU."""
        with self.on_device():
            if not has_kernel("clip_norm", x):
                return super().clip_norm(x, bound)
            out = self.xp.empty(x.shape, x.dtype) if out is None else out
            kernel_of("clip_norm").clip_norm(x, bound, out, self._scratch(PARTIALS + 1, np.float64))
        return out

    def clip_value(self, x: Array, bound: float, out: Array | None = None) -> Array:
        """See `kernels/clip_norm`."""
        with self.on_device():
            if not has_kernel("clip_norm", x):
                return super().clip_value(x, bound)
            out = self.xp.empty(x.shape, x.dtype) if out is None else out
            kernel_of("clip_norm").clip_value(x, bound, out)
        return out

    def accumulate(self, total: Array, gradient: Array, factor: float, *, is_first: bool) -> Array:
        """Accumulate in place."""
        with self.on_device():
            total[...] = super().accumulate(total, gradient, factor, is_first=is_first)
        return total

    def interpolate(self, x: Array, y: Array, share: float, out: Array | None = None) -> Array:
        """See `kernels/interpolate`."""
        with self.on_device():
            if not has_kernel("interpolate", x):
                return super().interpolate(x, y, share)
            out = self.xp.empty(x.shape, x.dtype) if out is None else out
            kernel_of("interpolate").interpolate(x, y, share, out)
        return out

    def update(
        self, rule: Rule, step: int, parameter: Array, gradient: Array, slots: list[Array], *numbers: float
    ) -> tuple[Array, list[Array]]:
        """See `kernels/optimizer_step`; in place. The learning rate may be an array on the GPU."""
        with self.on_device():
            launcher = getattr(kernel_of("optimizer_step"), rule.name or "", None)
            if launcher is None:  # a custom rule may keep the gradient, whose memory the next step overwrites
                refuse("a custom rule")
                return super().update(rule, step, parameter, gradient.copy(), slots, *numbers)
            of_step = numbers[0] if self.owns(numbers[0]) else None
            rate = 0.0 if of_step is not None else numbers[0]
            launcher(step, parameter, gradient, *slots, rate, *numbers[1:], numbers=of_step)
        return parameter, slots


def _like_scores(scores: Array, targets: Array, weights: Array | None) -> tuple[Array, Array | None]:
    """Convert labels to int64, target rows and weights to the dtype of the scores."""
    targets = targets.astype(np.int64 if targets.ndim == 1 else scores.dtype, copy=False)
    return targets, None if weights is None else weights.astype(scores.dtype, copy=False)
