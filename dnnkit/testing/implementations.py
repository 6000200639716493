"""What is asked: something that performs dnnkit's operations, on host arrays in and host arrays out.

`of_backend` makes one of any backend. Every call is watched: inputs must be as they were, and nothing may be written
around the memory that was given for a result.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np

from dnnkit.backends import Backend
from dnnkit.backends.program import HostArray, Loss, Metric
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array
from dnnkit.kernels.optimizer_step.reference import RULES

PADDING = 8
"""Elements on either side of the memory for a result."""
MARK = 77
"""What memory is full of before a result is written."""


@dataclass(frozen=True)
class Given:
    """How an operation gets its arrays.

    Attributes:
        name: in words, for messages.
        layout: how inputs lie in memory; "misaligned" is contiguous, one element behind an aligned address.
        into: whether the operation makes its result, is given memory for it, or writes it over its first input.
    """

    name: str
    layout: Literal["contiguous", "strided", "fortran", "misaligned"] = "contiguous"
    into: Literal["new", "out", "in place"] = "new"


PLAIN = Given("plain")
VARIATIONS = (
    PLAIN,
    Given("into out", into="out"),
    Given("strided", "strided"),
    Given("in place", into="in place"),
    Given("Fortran order, into out", "fortran", "out"),
    Given("misaligned, into out", "misaligned", "out"),
)


class Implementation:
    """What performs the operations of `dnnkit.backends.operations.Operations`; subclass it and override some.

    Attributes:
        name: for messages.
        operations: the names of those that it performs.
        largest: elements up to which it is fast enough to be asked.
        variations: the ways in which it takes arrays.
        sources: the dtypes of data that it gathers.
    """

    name: str
    operations: frozenset[str] = frozenset(
        ("activation", "dense", "loss", "metric", "update", "gather", "affine", "dropout_mask", "dropout", "clip_norm")
    )
    largest: int = 50_000
    variations: tuple[Given, ...] = (PLAIN,)
    sources: tuple[str, ...] = ("float32", "float64")

    def activation(self, name: str, x: HostArray, given: Given = PLAIN) -> HostArray:
        """f(x)."""
        raise NotImplementedError

    def activation_backward(self, name: str, dy: HostArray, saved: HostArray, given: Given = PLAIN) -> HostArray:
        """The gradient in x, from what the activation saves."""
        raise NotImplementedError

    def dense(
        self, activation: str, x: HostArray, w: HostArray, b: HostArray | None, given: Given = PLAIN
    ) -> tuple[HostArray, HostArray]:
        """(y, what the backward pass needs)."""
        raise NotImplementedError

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
        """(dx, dw, db)."""
        raise NotImplementedError

    def loss(
        self,
        name: str,
        scores: HostArray,
        targets: HostArray,
        weights: HostArray | None = None,
        scale: float = 1.0,
        given: Given = PLAIN,
    ) -> tuple[float, HostArray]:
        """(weighted sum of the rows' losses, `scale` times its gradient)."""
        raise NotImplementedError

    def metric(
        self,
        name: str,
        scores: HostArray,
        targets: HostArray,
        weights: HostArray | None = None,
        threshold: float = 0.5,
        given: Given = PLAIN,
    ) -> float:
        """The weighted sum over rows."""
        raise NotImplementedError

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
        """(parameters, slots) after a step of the rule; `numbers` are the learning rate and the hyperparameters."""
        raise NotImplementedError

    def gather(
        self, data: HostArray, rows: HostArray, scale: float, offset: float, dtype: str, given: Given = PLAIN
    ) -> HostArray:
        """The rows of the data, converted and rescaled."""
        raise NotImplementedError

    def affine(self, x: HostArray, scale: float, offset: float, given: Given = PLAIN) -> HostArray:
        """x · scale + offset."""
        raise NotImplementedError

    def dropout_mask(
        self, shape: tuple[int, ...], rate: float, seed: int, layer: int, step: int, given: Given = PLAIN
    ) -> HostArray:
        """Which elements are kept."""
        raise NotImplementedError

    def dropout(self, x: HostArray, keep: HostArray, rate: float, given: Given = PLAIN) -> HostArray:
        """The kept elements, scaled; else 0."""
        raise NotImplementedError

    def clip_norm(self, x: HostArray, bound: float, given: Given = PLAIN) -> HostArray:
        """x, scaled down to the norm `bound` if its own is larger."""
        raise NotImplementedError


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
    def _call(self, given: Given) -> Iterator["_Call"]:
        with np.errstate(all="ignore"), self.backend.on_device():
            yield _Call(self.backend, given)

    def activation(self, name: str, x: HostArray, given: Given = PLAIN) -> HostArray:
        """f(x)."""
        with self._call(given) as call:
            own = call.put("x", x)
            out = call.out(x.shape, x.dtype, own)
            return call.result(self.backend.activation(registry.activation(name), own, out=out))

    def activation_backward(self, name: str, dy: HostArray, saved: HostArray, given: Given = PLAIN) -> HostArray:
        """The gradient in x, from what the activation saves."""
        with self._call(given) as call:
            own, kept = call.put("dy", dy), call.put("what was saved", saved)
            out = call.out(dy.shape, dy.dtype, own)
            return call.result(self.backend.activation_backward(registry.activation(name), own, kept, out=out))

    def dense(
        self, activation: str, x: HostArray, w: HostArray, b: HostArray | None, given: Given = PLAIN
    ) -> tuple[HostArray, HostArray]:
        """(y, what the backward pass needs)."""
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
        """(dx, dw, db); dy may be written over."""
        with self._call(given) as call:
            own = call.put("dy", dy, written=True), call.put("x", x), call.put("w", w), call.put("saved", saved)
            dx = call.out(x.shape, x.dtype) if needs_dx else None
            outs = dx, call.out(w.shape, w.dtype), call.out(w.shape[1:], w.dtype)
            found = self.backend.dense_backward(*own, registry.activation(activation), needs_dx, out=outs)
            dw, db = call.result(found[1]), call.result(found[2])
            assert needs_dx or found[0] is None, "a gradient in x that was not wanted"
            return call.result(found[0]) if needs_dx else None, dw, db

    def loss(
        self,
        name: str,
        scores: HostArray,
        targets: HostArray,
        weights: HostArray | None = None,
        scale: float = 1.0,
        given: Given = PLAIN,
    ) -> tuple[float, HostArray]:
        """(weighted sum of the rows' losses, `scale` times its gradient)."""
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
    ) -> float:
        """The weighted sum over rows."""
        with self._call(given) as call:
            own = call.put("scores", scores), call.put("targets", targets)
            own_weights = None if weights is None else call.put("weights", weights)
            total = float(self.backend.metric(Metric(name, name, threshold), *own, own_weights))
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
        """(parameters, slots) after a step of the rule; they may be written over, and are one flat buffer each."""
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
        """The rows of the data, converted and rescaled."""
        with self._call(given) as call:
            own, places = call.put("data", data), call.put("rows", rows)
            out = call.out((len(rows), *data.shape[1:]), dtype)
            return call.result(self.backend.gather(own, places, scale, offset, self.backend.dtype(dtype), out=out))

    def affine(self, x: HostArray, scale: float, offset: float, given: Given = PLAIN) -> HostArray:
        """x · scale + offset."""
        with self._call(given) as call:
            own = call.put("x", x)
            out = call.out(x.shape, x.dtype, own)
            return call.result(self.backend.affine(own, scale, offset, out=out))

    def dropout_mask(
        self, shape: tuple[int, ...], rate: float, seed: int, layer: int, step: int, given: Given = PLAIN
    ) -> HostArray:
        """Which elements are kept."""
        with self._call(given) as call:
            out = call.out(shape, "bool")
            return call.result(self.backend.dropout_mask(shape, rate, seed, layer, step, out=out))

    def dropout(self, x: HostArray, keep: HostArray, rate: float, given: Given = PLAIN) -> HostArray:
        """The kept elements, scaled; else 0."""
        with self._call(given) as call:
            own, kept = call.put("x", x), call.put("the mask", keep)
            out = call.out(x.shape, x.dtype, own)
            return call.result(self.backend.dropout(own, kept, rate, out=out))

    def clip_norm(self, x: HostArray, bound: float, given: Given = PLAIN) -> HostArray:
        """x, scaled down to the norm `bound` if its own is larger."""
        with self._call(given) as call:
            own = call.put("x", x)
            out = call.out(x.shape, x.dtype, own)
            return call.result(self.backend.clip_norm(own, bound, out=out))


def of_backend(backend: Backend, name: str = "", largest: int = 50_000) -> BackendImplementation:
    """The operations of a backend, on host arrays.

    Arguments:
        backend: any backend that works here.
        name: for messages; the backend's, if it is not given.
        largest: elements up to which it is fast enough to be asked.
    """
    return BackendImplementation(backend, name, largest)


class _Call:
    """The arrays of one call, on the backend, and what must be found in them when it is over."""

    def __init__(self, backend: Backend, given: Given) -> None:
        self._backend, self._given = backend, given
        self._inputs: list[tuple[str, Array, HostArray]] = []
        self._guards: list[Array] = []

    def put(self, name: str, x: HostArray, written: bool = False) -> Array:
        """The array on the backend, in the layout that is asked for; unless `written`, it must stay as it is."""
        own = self._laid_out(np.asarray(x))
        if not written:
            self._inputs.append((name, own, np.array(x)))
        return own

    def put_guarded(self, x: HostArray) -> Array:
        """A flat array that may be written over, within memory that may not; as it is, where nothing is written."""
        if self._backend.buffer((1,), self._dtype(x.dtype)) is None:
            return self.put("", x, written=True)
        memory = np.full(x.size + 2 * PADDING, MARK, x.dtype)
        start = PADDING + (self._given.layout == "misaligned")
        memory[start : start + x.size] = x
        own = self._backend.asarray(memory)
        self._guards += [own[:start], own[start + x.size :]]
        return own[start : start + x.size]

    def out(self, shape: tuple[int, ...], dtype: Any, place: Array = None) -> Array | None:
        """Memory for a result, or the input that stands in its place; None where the backend makes its own."""
        kind = self._dtype(dtype)
        if self._given.into == "new" or self._backend.buffer((1,), kind) is None:
            return None
        if self._given.into == "in place" and place is not None:
            self._inputs = [(name, own, x) for name, own, x in self._inputs if own is not place]
            return place
        size = prod(shape)
        memory = self._backend.asarray(np.full(size + 2 * PADDING + 1, MARK, np.dtype(dtype)))
        start = PADDING + (self._given.layout == "misaligned")
        self._guards += [memory[:start], memory[start + size :]]
        return memory[start : start + size].reshape(shape)

    def result(self, own: Array) -> HostArray:
        """A copy of the result on the host; what surrounds it, and the inputs, are looked at."""
        found = np.array(self._backend.to_numpy(own))
        self.check()
        return found

    def check(self) -> None:
        """Inputs are as they were, and around the results nothing was written."""
        for name, own, before in self._inputs:
            after = np.asarray(self._backend.to_numpy(own))
            assert after.tobytes() == before.tobytes(), f"{name} was changed, and is an input"
        for guard in self._guards:
            around = np.asarray(self._backend.to_numpy(guard))
            untouched = (around == around.dtype.type(MARK)).all()
            assert untouched, "something was written beside the memory for a result"

    def _dtype(self, dtype: Any) -> Any:
        return self._backend.dtype(np.dtype(dtype).name)

    def _laid_out(self, x: HostArray) -> Array:
        asarray, layout = self._backend.asarray, self._given.layout
        if layout == "fortran" and x.ndim == 2:
            return asarray(np.array(x.T, order="C")).T
        if layout == "strided" and x.ndim > 0:
            wide = np.full(tuple(2 * size for size in x.shape), MARK, x.dtype)
            every_second = (slice(None, None, 2),) * x.ndim
            wide[every_second] = x
            return asarray(wide)[every_second]
        if layout == "misaligned" and self._backend.buffer((1,), self._dtype(x.dtype)) is not None:
            return asarray(np.concatenate([np.zeros(1, x.dtype), x.reshape(-1)]))[1:].reshape(x.shape)
        return asarray(np.array(x, order="C"))
