"""A backend's operations as an implementation for the questions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from dnnkit.backends import Backend
from dnnkit.backends.measures import Loss, Metric
from dnnkit.backends.state import HostArray
from dnnkit.kernels import registry
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.kernels.stages import Context, kind
from dnnkit.own_metrics import Function, own_metric
from dnnkit.testing.guarded_call import GuardedCall
from dnnkit.testing.implementations import PLAIN, VARIATIONS, Given, Implementation


class BackendImplementation(Implementation):
    """The operations of a backend."""

    variations = VARIATIONS

    def __init__(self, backend: Backend, name: str = "", largest: int = 50_000) -> None:
        self.backend = backend
        self.name = name or backend.name
        self.largest = largest
        integers = ["bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))]
        kept = [name for name in integers if backend.keeps_dtype(np, np.dtype(name))]
        self.sources = (*kept, "float32", "float64")

    @contextmanager
    def _call(self, given: Given) -> Iterator[GuardedCall]:
        with np.errstate(all="ignore"), self.backend.on_device():
            yield GuardedCall(self.backend, given)

    def activation(self, name: str, x: HostArray, given: Given = PLAIN) -> HostArray:
        """Return f(x)."""
        with self._call(given) as call:
            own = call.put("x", x)
            out = call.out(x.shape, x.dtype, own)
            return call.result(self.backend.activation(registry.activation(name), own, out=out))

    def activation_backward(self, name: str, dy: HostArray, saved: HostArray, given: Given = PLAIN) -> HostArray:
        """Return the gradient in x, from what the activation saved."""
        with self._call(given) as call:
            own, kept = call.put("dy", dy), call.put("what was saved", saved)
            out = call.out(dy.shape, dy.dtype, own)
            return call.result(self.backend.activation_backward(registry.activation(name), own, kept, out=out))

    def dense(
        self, activation: str, x: HostArray, w: HostArray, b: HostArray | None, given: Given = PLAIN
    ) -> tuple[HostArray, HostArray]:
        """Return (y, what the backward pass needs)."""
        function, shape = registry.activation(activation), (x.shape[0], w.shape[1])
        with self._call(given) as call:
            own = call.put("x", x), call.put("w", w), None if b is None else call.put("b", b)
            z = call.out(shape, x.dtype) if function.saves == "input" else None
            y, saved = self.backend.dense(*own, function, out=(call.out(shape, x.dtype), z))
            return call.result(y), call.result(saved)

    def dense_backward(
        self,
        activation: str,
        dy: HostArray,
        x: HostArray,
        w: HostArray,
        saved: HostArray,
        needs_dx: bool = True,
        given: Given = PLAIN,
    ) -> tuple[HostArray | None, HostArray, HostArray]:
        """Return (dx, dw, db); dy may be overwritten."""
        with self._call(given) as call:
            own = call.put("dy", dy, written=True), call.put("x", x), call.put("w", w), call.put("saved", saved)
            dx = call.out(x.shape, x.dtype) if needs_dx else None
            outs = dx, call.out(w.shape, w.dtype), call.out(w.shape[1:], w.dtype)
            found = self.backend.dense_backward(*own, registry.activation(activation), needs_dx, out=outs)
            dw, db = call.result(found[1]), call.result(found[2])
            assert needs_dx or found[0] is None, "an unrequested gradient in x"
            return call.result(found[0]) if needs_dx else None, dw, db

    def dense_backward_input(
        self, activation: str, dy: HostArray, w: HostArray, saved: HostArray, given: Given = PLAIN
    ) -> HostArray:
        """Return dx only; dy may be overwritten."""
        with self._call(given) as call:
            own = call.put("dy", dy, written=True), call.put("w", w), call.put("saved", saved)
            out = call.out((dy.shape[0], w.shape[0]), dy.dtype)
            return call.result(self.backend.dense_backward_input(*own, registry.activation(activation), out=out))

    def stage(
        self,
        name: str,
        xs: Sequence[HostArray],
        parameters: Sequence[HostArray],
        settings: Mapping[str, Any],
        dy: HostArray,
        training: bool,
        needs_dx: bool = True,
    ) -> tuple[HostArray, list[HostArray], list[HostArray]]:
        """Return (y, gradient in each x that has one, in each trained parameter)."""
        backend, one = self.backend, kind(name)
        with self._call(PLAIN) as call:
            own, held = [call.put("x", x) for x in xs], [call.put("a parameter", p) for p in parameters]
            context = Context(training, layer=1, seed=2, step=3)
            y, saved = backend.stage(one, own, held, settings, context)
            found, needs = call.result(y), [needs_dx] * len(xs)
            dxs, given = backend.stage_backward(one, call.put("dy", dy), saved, held, settings, needs)
            of_inputs, of_parameters = ([call.result(d) for d in each if d is not None] for each in (dxs, given))
            return found, of_inputs, of_parameters

    def loss(
        self,
        name: str,
        scores: HostArray,
        targets: HostArray,
        weights: HostArray | None = None,
        scale: float = 1.0,
        given: Given = PLAIN,
    ) -> tuple[float, HostArray]:
        """Return (weighted sum of the rows' losses, `scale` times its gradient)."""
        kernel = registry.loss(name)
        what = Loss(name, "labels" if targets.ndim == 1 else "values", kernel.reduction)
        with self._call(given) as call:
            own = call.put("scores", scores), call.put("targets", targets)
            own_weights = None if weights is None else call.put("weights", weights)
            out = call.out(scores.shape, scores.dtype)
            total, gradient = self.backend.loss(what, *own, own_weights, scale, out=out)
            return float(total), call.result(gradient)

    def metric(
        self,
        name: str,
        scores: HostArray,
        targets: HostArray,
        weights: HostArray | None = None,
        threshold: float = 0.5,
        given: Given = PLAIN,
    ) -> HostArray:
        """Return the weighted sum over rows, or all sums."""
        sums = registry.metric(name).number_of_sums(scores.shape[1])
        with self._call(given) as call:
            own = call.put("scores", scores), call.put("targets", targets)
            own_weights = None if weights is None else call.put("weights", weights)
            found = self.backend.metric(Metric(name, name, threshold, sums=sums), *own, own_weights)
            total = np.array(float(found) if sums == 1 else self.backend.to_numpy(found))
            call.check()
            return total

    def own_metric(
        self, function: Function, scores: HostArray, targets: HostArray, weights: HostArray | None = None
    ) -> float:
        """Return the weighted sum over rows of a custom metric."""
        with self._call(PLAIN) as call:
            own = call.put("scores", scores), call.put("targets", targets)
            own_weights = None if weights is None else call.put("weights", weights)
            total = float(self.backend.metric(Metric("own", own_metric("own", function)), *own, own_weights))
            call.check()
            return total

    def update(
        self,
        rule: str,
        step: int,
        p: HostArray,
        g: HostArray,
        slots: Sequence[HostArray],
        numbers: Sequence[float],
        given: Given = PLAIN,
    ) -> tuple[HostArray, list[HostArray]]:
        """Return (parameters, slots) after a step; they may be overwritten, and are one flat buffer each."""
        if given.layout in ("strided", "fortran"):
            given = PLAIN
        with self._call(given) as call:
            own, gradient = call.put_guarded(p), call.put("the gradient", g)
            own_slots = [call.put_guarded(slot) for slot in slots]
            parameter, new = self.backend.update(RULES[rule], step, own, gradient, own_slots, *numbers)
            return call.result(parameter), [call.result(slot) for slot in new]

    def gather(
        self, data: HostArray, rows: HostArray, scale: float, offset: float, dtype: str, given: Given = PLAIN
    ) -> HostArray:
        """Return rows of the data, converted and rescaled."""
        with self._call(given) as call:
            own, places = call.put("data", data), call.put("rows", rows)
            out = call.out((len(rows), *data.shape[1:]), dtype)
            return call.result(self.backend.gather(own, places, scale, offset, self.backend.dtype(dtype), out=out))

    def affine(self, x: HostArray, scale: float, offset: float, given: Given = PLAIN) -> HostArray:
        """Return x · scale + offset."""
        with self._call(given) as call:
            own = call.put("x", x)
            out = call.out(x.shape, x.dtype, own)
            return call.result(self.backend.affine(own, scale, offset, out=out))

    def dropout_mask(
        self, shape: tuple[int, ...], rate: float, seed: int, layer: int, step: int, given: Given = PLAIN
    ) -> HostArray:
        """Return the mask of kept elements."""
        with self._call(given) as call:
            out = call.out(shape, "bool")
            return call.result(self.backend.dropout_mask(shape, rate, seed, layer, step, out=out))

    def dropout(self, x: HostArray, keep: HostArray, rate: float, given: Given = PLAIN) -> HostArray:
        """Return the kept elements, scaled; 0 for the others."""
        with self._call(given) as call:
            own, kept = call.put("x", x), call.put("the mask", keep)
            out = call.out(x.shape, x.dtype, own)
            return call.result(self.backend.dropout(own, kept, rate, out=out))

    def clip_norm(self, x: HostArray, bound: float, given: Given = PLAIN) -> HostArray:
        """Return x, scaled down to the norm `bound` if its norm is larger."""
        with self._call(given) as call:
            own = call.put("x", x)
            out = call.out(x.shape, x.dtype, own)
            return call.result(self.backend.clip_norm(own, bound, out=out))

    def interpolate(self, x: HostArray, y: HostArray, share: float, given: Given = PLAIN) -> HostArray:
        """Return (1 - share) · x + share · y."""
        with self._call(given) as call:
            own, other = call.put("x", x), call.put("y", y)
            out = call.out(x.shape, x.dtype, own)
            return call.result(self.backend.interpolate(own, other, share, out=out))

    def clip_value(self, x: HostArray, bound: float, given: Given = PLAIN) -> HostArray:
        """Return x with each element clipped to the bound."""
        with self._call(given) as call:
            own = call.put("x", x)
            out = call.out(x.shape, x.dtype, own)
            return call.result(self.backend.clip_value(own, bound, out=out))


def of_backend(backend: Backend, name: str = "", largest: int = 50_000) -> BackendImplementation:
    """Return a backend's operations on host arrays.

    Arguments:
        backend: any backend that works here.
        name: name for messages; default: the backend's.
        largest: maximum number of elements for which it is fast enough.
    """
    return BackendImplementation(backend, name, largest)
