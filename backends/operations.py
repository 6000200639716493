"""Every operation once, as a pure function on an array-API namespace `xp`: the specification of all backends.

Nothing here writes to an array that was passed in, so a library of immutable arrays can be a backend, too: subclass
`Backend` and set `name` and `xp`. A backend overrides what it does better. Operations that take `out` may ignore it (as
here) or write to it; callers use the return value.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from inspect import signature
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from dnnkit.backends.measures import Loss as LossDescription
from dnnkit.backends.measures import Metric
from dnnkit.backends.program import Program
from dnnkit.backends.state import HostArray
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.clip_norm import reference as clip_norm
from dnnkit.kernels.dense import reference as dense
from dnnkit.kernels.dropout import Draw
from dnnkit.kernels.dropout import reference as dropout
from dnnkit.kernels.gather import reference as gather
from dnnkit.kernels.interpolate import reference as interpolate
from dnnkit.kernels.norm_bound import reference as norm_bound
from dnnkit.kernels.optimizer_step.reference import Rule
from dnnkit.kernels.penalty import reference as penalty
from dnnkit.kernels.registry import Activation

if TYPE_CHECKING:
    from dnnkit.kernels.stages import Context, Kind, Settings

Memory: TypeAlias = Callable[..., Array | None]
"""`memory(name, shape, dtype=None, fill=None)` of a stage: see `stagewise/buffers.py`."""


def no_memory(name: str, shape: tuple[int, ...], dtype: Any = None, fill: HostArray | None = None) -> None:
    """Return None for every request."""


class Operations:
    """The operations that dnnkit needs on a library's arrays."""

    most_filled = 0.0
    """See `Executable`; if not 0, `dense` and `dense_backward` take `CompressedRows` as x, without dx."""

    @property
    def xp(self) -> Namespace:
        """The array-API namespace."""
        raise NotImplementedError(f"{type(self).__name__} sets no array namespace `xp`")

    def on_device(self) -> AbstractContextManager[Any]:
        """Return a context in which the backend's arrays are created and used, with its device current."""
        return nullcontext()

    def thread_limit(self, program: Program, rows: int) -> AbstractContextManager[Any]:
        """Return a context for computing batches of `rows` rows, with the program's number of threads.

        It may yield a function to call between two batches, which gives a turn to callers with other limits.
        """
        return nullcontext()

    # -- arrays ------------------------------------------------------------------------------------------------------

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """Return the backend's own array, without a copy if possible. `dtype` is a name such as "float32"."""
        array = self.xp.asarray(x) if self.owns(x) else self.xp.asarray(self._host(x))
        return array if dtype is None else self.xp.astype(array, self.dtype(dtype), copy=False)

    def _host(self, x: Any) -> HostArray:
        return np.asarray(x)

    def dtype(self, name: str) -> Any:
        """Return the namespace's dtype of this name."""
        return getattr(self.xp, name)

    def to_numpy(self, x: Array) -> HostArray:
        """Return a NumPy array of the same numbers, sharing memory if possible."""
        return np.asarray(x)

    def owns(self, x: Any) -> bool:
        """Whether x is already an array of this backend, which can be used in place."""
        namespace = getattr(x, "__array_namespace__", None)
        return namespace is not None and namespace() is self.xp

    def keeps_dtype(self, source: Namespace, dtype: Any) -> bool:
        """Whether data of a dtype of the library `source` are kept as they are, and converted batch by batch."""
        return bool(source.isdtype(dtype, ("bool", "integral")))

    def surely_finite(self, array: Array, dtype: str) -> bool:
        """Whether all numbers are finite in this dtype, as far as a fast check knows; False where there is none."""
        return False

    def as_input(self, x: Any) -> Array:
        """Return x as training data: in place if the backend can read it there, otherwise as a NumPy array."""
        return x if self.owns(x) else np.asarray(x)

    def buffer(self, shape: tuple[int, ...], dtype: Any) -> Array | None:
        """Allocate memory for a result, to be passed as `out`; None for a backend that returns new arrays."""
        return None

    def zeros(self, size: int, dtype: Any) -> Array:
        """Return a flat array of zeros."""
        return self.xp.zeros(size, dtype=dtype)

    shares_buffers = False
    """Whether results of stages share memory once they are no longer read, which costs some Python time."""

    def wait(self) -> None:
        """Wait until all work is computed; no-op on the host."""

    def pack(self, parts: list[Array], out: Array) -> Array:
        """Return the parts' elements concatenated in one flat array like `out`."""
        return self.xp.concat([self.xp.reshape(part, (-1,)) for part in parts]) if parts else out

    def kernel_file(self, name: str) -> str:
        """Return the file, in a kernel's folder, of the version that runs here: its formula, unless there is a faster
        one.
        """
        return "reference.py"

    def kernel(self, name: str) -> SimpleNamespace:
        """Return the functions of a kernel by name, on arrays of this backend, from its reference formulas.

        For kernels that no operation below calls, such as added ones.
        """
        functions = vars(registry.version(name, "reference")).items()
        takes_xp = {key: value for key, value in functions if callable(value) and "xp" in _parameters(value)}
        return SimpleNamespace(**{key: partial(value, xp=self.xp) for key, value in takes_xp.items()})

    # -- operations; contracts in the kernels' packages --------------------------------------------------------------

    def gather(
        self, data: Array, rows: Array, scale: float, offset: float, dtype: Any, out: Array | None = None
    ) -> Array:
        """See `kernels/gather`."""
        return gather.gather(data, rows, scale, offset, dtype, self.xp)

    def take(self, values: Array, rows: Array, out: Array | None = None) -> Array:
        """Return values[rows]."""
        return self.xp.take(values, rows, axis=0)

    def affine(self, x: Array, scale: float, offset: float, out: Array | None = None) -> Array:
        """Return x · scale + offset."""
        return x * scale + offset

    def activation(self, activation: Activation, x: Array, out: Array | None = None) -> Array:
        """See `kernels/activations`."""
        return activation.forward(x, self.xp)

    def activation_backward(self, activation: Activation, dy: Array, saved: Array, out: Array | None = None) -> Array:
        """See `kernels/activations`."""
        return activation.backward(dy, saved, self.xp)

    def dense(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        activation: Activation,
        out: tuple[Array | None, Array | None] = (None, None),
    ) -> tuple[Array, Array]:
        """See `kernels/dense`; `out` is for y and, if the activation saves its input, z."""
        return dense.forward(x, w, b, activation, self.xp)

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
        """See `kernels/dense`; `out` is for dx, dw, db, and dy may be overwritten."""
        return dense.backward(dy, x, w, saved, activation, needs_dx, self.xp)

    def dense_backward_input(
        self, dy: Array, w: Array, saved: Array, activation: Activation, out: Array | None = None
    ) -> Array:
        """See `kernels/dense`: only dx, for a layer with frozen parameters; dy may be overwritten."""
        return dense.backward_input(dy, w, saved, activation, self.xp)

    def dropout_mask(
        self, shape: tuple[int, ...], rate: float, seed: int, layer: int, step: int, out: Array | None = None
    ) -> Array:
        """See `kernels/dropout`."""
        keep = dropout.mask(0, int(np.prod(shape)), rate, seed, layer, step, self.xp)
        return self.xp.reshape(keep, shape)

    def dropout(self, x: Array, keep: Array, rate: float, out: Array | None = None) -> Array:
        """See `kernels/dropout`."""
        return dropout.apply(x, keep, rate, self.xp)

    # For backends that draw dropout on the fly, in both passes, and store no mask.

    draws_dropout = False
    """Whether stages call the following instead of `dropout_mask` and `dropout`."""

    def draw_dropout(self, x: Array, dropout: Draw, out: Array | None = None) -> Array:
        """Apply dropout to x, or to a gradient, given what determines the mask; see `kernels/dropout`."""
        keep = self.dropout_mask(x.shape, dropout.rate, dropout.seed, dropout.layer, dropout.step)
        return self.dropout(x, keep, dropout.rate, out=out)

    def dense_and_dropout(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        activation: Activation,
        dropout: Draw,
        out: tuple[Array | None, Array | None, Array | None] = (None, None, None),
    ) -> tuple[Array, Array]:
        """Return (y after dropout, what the backward pass needs); `out` is for y after dropout, y and z. See
        `kernels/dense`.
        """
        dropped, y, z = out
        y, saved = self.dense(x, w, b, activation, out=(y, z))
        return self.draw_dropout(y, dropout, out=dropped), saved

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
        """Like `dense_backward`, from the gradient after the dropout."""
        dy = self.draw_dropout(dy, dropout, out=dy)
        return self.dense_backward(dy, x, w, saved, activation, needs_dx, out=out)

    def stage(
        self,
        kind: "Kind",
        xs: list[Array],
        parameters: list[Array],
        settings: "Settings",
        context: "Context",
        memory: Memory = no_memory,
    ) -> tuple[Array, Any]:
        """Return (y, what the backward pass needs) of an operation of this kind; see `kernels/stages`.

        `memory(name, shape, dtype)` returns the stage's own array, the same at every call; None for a backend without
        buffers.
        """
        y, saved = kind.forward(xs, parameters, settings, context, self.xp)
        return _copied(memory, "y", y), saved

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
        """Return (gradient in each value, None if not needed; gradient in each parameter); see `kernels/stages`.

        `outs` are arrays for the gradients of parameters, None for one that is not needed; by default all are. The
        caller may overwrite what is returned for dy, or a part of it.
        """
        dxs, parts = kind.backward(dy, saved, parameters, settings, needs_dx, self.xp)
        return [dx if dx is None else _copied(memory, f"dx {k}", dx) for k, dx in enumerate(dxs)], parts

    def add(self, a: Array, b: Array, out: Array | None = None) -> Array:
        """Return the sum of two arrays of one shape; `out` may be a."""
        if out is None:
            return a + b
        out[...] = a
        out += b
        return out

    def penalty(self, w: Array, l1: Array, l2: Array) -> Array:
        """See `kernels/penalty`."""
        return penalty.penalty(w, l1, l2, self.xp)

    def add_penalty_gradient(self, w: Array, gradient: Array, l1: Array, l2: Array) -> Array:
        """Add the penalty's gradient, in place if the library can; see `kernels/penalty`."""
        made = penalty.gradient(w, gradient, l1, l2, self.xp)
        if self.buffer((1,), gradient.dtype) is None:
            return made
        gradient[...] = made  # writers of gradients hold its address
        return gradient

    def norm_bound(self, w: Array, least: float, most: float, rate: float, not_negative: bool) -> Array:
        """Return w (I, O) with its norm bounds enforced, w itself if done in place; see `kernels/norm_bound`."""
        return norm_bound.constrain(w, least, most, rate, not_negative, self.xp)

    def loss(
        self,
        loss: LossDescription,
        scores: Array,
        targets: Array,
        weights: Array | None,
        scale: float,
        out: Array | None = None,
    ) -> tuple[Array, Array]:
        """Return (weighted sum of the row losses, `scale` times its gradient in the scores); see `kernels/losses`."""
        kernel = registry.loss(loss.kernel) if isinstance(loss.kernel, str) else loss.kernel
        return kernel.loss_and_gradient(scores, targets, weights, scale, self.xp)

    def metric(self, metric: Metric, scores: Array, targets: Array, weights: Array | None) -> Array:
        """Return the metric's weighted sum over rows, or its sums (S,) if it has several; see `kernels/metrics`."""
        if isinstance(metric.kernel, str):
            return registry.metric(metric.kernel).total(scores, targets, weights, metric.threshold, self.xp)
        rows = self.xp.astype(metric.kernel(self.xp, targets, scores, weights), self.xp.float64)
        return self.xp.sum(rows if weights is None else rows * self.xp.astype(weights, self.xp.float64))

    def clip_norm(self, x: Array, bound: float, out: Array | None = None) -> Array:
        """See `kernels/clip_norm`."""
        return clip_norm.clip_norm(x, bound, self.xp)

    def accumulate(self, total: Array, gradient: Array, factor: float, *, is_first: bool) -> Array:
        """Return total + factor · gradient, without the total if it is the first; in `total`, if the library can."""
        summand = gradient * factor
        return summand if is_first else total + summand

    def interpolate(self, x: Array, y: Array, share: float, out: Array | None = None) -> Array:
        """See `kernels/interpolate`; `out` may be x."""
        return interpolate.interpolate(x, y, share, self.xp)

    def clip_value(self, x: Array, bound: float, out: Array | None = None) -> Array:
        """See `kernels/clip_norm`."""
        return clip_norm.clip_value(x, bound, self.xp)

    def update(
        self, rule: Rule, step: int, parameter: Array, gradient: Array, slots: list[Array], *numbers: float
    ) -> tuple[Array, list[Array]]:
        """Return the parameter and the slots after a step of the rule; see `kernels/optimizer_step`."""
        parameter, *slots = rule.function(step, parameter, gradient, *slots, *numbers, self.xp)
        return parameter, slots


@cache
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(signature(function).parameters)


def _copied(memory: Memory, name: str, made: Array) -> Array:
    """Copy an operation's result to separate memory: it may be its input, or a view of it."""
    held = memory(name, tuple(made.shape))
    if held is None:
        return made
    held[...] = made
    return held
