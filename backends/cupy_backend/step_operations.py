"""Operations of a training step whose numbers are on the GPU: launches only, nothing waits for a result.

Also what every operation needs: its kernel, and memory for partial sums.
"""

import threading
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from dnnkit.backends.measures import Loss, Metric
from dnnkit.backends.operations import Operations
from dnnkit.backends.stages import Rescale
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import losses, metric_sums, metrics
from dnnkit.kernels._cuda.launch import PARTIALS
from dnnkit.kernels._cuda.recording import refuse
from dnnkit.kernels._cuda.source import REALS
from dnnkit.kernels.array import Array


class StepOperations(Operations):
    """Launches of such a step."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def is_in_loss(self, metric: Metric) -> bool:
        """Whether the metric can be summed in the launch of the loss: a single sum over the same scores."""
        if not isinstance(metric.kernel, str) or metric.reads_predictions:
            return False
        return registry.metric(metric.kernel).count is None

    def gather_batch(
        self,
        data: Array,
        order: Array,
        rescale: Rescale,
        out: Array,
        targets: tuple[Array, Array],
        weights: tuple[Array, Array] | None,
        table: Array,
        numbers: Array,
        clock: Array,
        batch: int,
        period: int,
    ) -> None:
        """Begin a step whose numbers and clock are on the GPU: gather its rows to out. See `kernels/gather/gpu.py`."""
        with self.on_device():
            moment = table, numbers, clock, batch, period
            kernel_of("gather").gather_batch(data, order, rescale.scale, rescale.offset, out, targets, weights, *moment)

    def end_step(
        self,
        loss: Loss,
        metric: Metric | None,
        scores: Array,
        targets: Array,
        weights: Array | None,
        numbers: Array,
        clock: Array,
        totals: Array,
        out: Array,
    ) -> None:
        """Compute the loss of a step whose numbers and clock are on the GPU, with a metric that `is_in_loss`.

        Both are added to the first of totals; the gradient goes to out. See `kernels/_cuda/losses.py`.
        """
        assert isinstance(loss.kernel, str), "a custom loss has no such step"
        named = None
        if metric is not None:
            assert isinstance(metric.kernel, str), "as `is_in_loss` asks"
            named = metric.kernel, metric.threshold
        with self.on_device():
            scratch, kernel = self._scratch(PARTIALS, np.float64), registry.loss(loss.kernel)
            losses.end_step(kernel, named, scores, targets, weights, out, numbers, clock, totals, scratch)

    def add_loss(
        self,
        loss: Loss,
        scores: Array,
        targets: Array,
        weights: Array | None,
        numbers: Array,
        out: Array,
        total: Array,
    ) -> None:
        """Write the loss of one of several outputs in such a step to total (1,), and the gradient to out."""
        assert isinstance(loss.kernel, str), "a custom loss has no such step"
        with self.on_device():
            kernel, scratch = registry.loss(loss.kernel), self._scratch(PARTIALS, np.float64)
            losses.loss_and_gradient(kernel, scores, targets, weights, 1.0, out, total, scratch, numbers)

    def add_penalty(
        self,
        w: Array,
        l1: Array,
        l2: Array,
        total: Array,
        factor: float = 1.0,
        numbers: Array | None = None,
        place: int = 0,
    ) -> None:
        """Add a penalty to total (1,); in a step, multiplied by one of its numbers. See `kernels/penalty/gpu.py`."""
        with self.on_device():
            scratch = self._scratch(PARTIALS, np.float64)
            kernel_of("penalty").penalty(w, l1, l2, total, scratch, factor, numbers, place, adds=True)

    def add_metric(self, metric: Metric, scores: Array, targets: Array, weights: Array | None, totals: Array) -> None:
        """Add a step's sums of a metric to totals (S,), in a separate launch."""
        assert isinstance(metric.kernel, str), "a custom metric has no such step"
        given = metric.kernel, scores, targets, weights, metric.threshold, totals
        with self.on_device():
            if registry.metric(metric.kernel).count is None:
                metrics.total(*given, self._scratch(PARTIALS, np.float64), adds=True)
            else:
                size = metric_sums.scratch_size(len(scores), metric.sums)
                metric_sums.totals(*given, self._scratch(size, np.float64), adds=True)

    def _scratch(self, size: int, dtype: Any, name: str = "") -> Array:
        """Return memory for the partial sums of one launch, owned by this thread and stream."""
        held = self._of_thread.__dict__
        key = f"{self.xp.cuda.get_current_stream().ptr} {np.dtype(dtype)} {name}"
        if key not in held or held[key].size < size:
            held[key] = self.xp.empty(size, dtype)
        return held[key][:size]

    def forget_scratch(self) -> None:
        """Free this thread's memory for partial sums; it is allocated again when needed."""
        for key in [key for key, held in vars(self._of_thread).items() if self.owns(held)]:
            del self._of_thread.__dict__[key]


@cache
def kernel_of(name: str) -> ModuleType:
    """Return the launchers of a kernel."""
    return registry.version(name, "gpu")


def has_kernel(name: str, x: Array) -> bool:
    """Whether there is a CUDA version for the dtype of x; a plugin's activation may have none, and float16 has none.

    Otherwise CuPy's functions are called, which cannot be recorded.
    """
    if _is_written(name, x.dtype):
        return True
    refuse(f"{name} has no kernel of its own")
    return False


@cache
def _is_written(name: str, dtype: Any) -> bool:
    """Cached: asked before every operation, and takes 20 to 100 µs. A name's meaning never changes (`registry`)."""
    return np.dtype(dtype).name in REALS and registry.has_gpu_version(name)
