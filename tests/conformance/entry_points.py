"""Numba's kernels as the compiled epoch calls them: by address, on contiguous arrays, into existing memory."""

from collections.abc import Sequence

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.kernels import registry
from dnnkit.kernels._numba import entry_points
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.testing import PLAIN, Given, Implementation
from dnnkit.testing.guarded_call import MARK, PADDING
from dnnkit.testing.implementations import VARIATIONS


class EntryPoints(Implementation):
    """The functions that are compiled into a step, one kernel at a time."""

    name = "entry points"
    operations = frozenset(("activation", "loss", "metric", "update"))
    variations = tuple(given for given in VARIATIONS if given.layout in ("contiguous", "misaligned"))

    def activation(self, name: str, x: HostArray, given: Given = PLAIN) -> HostArray:
        own = _Memory(x, given)
        y = own if given.into == "in place" else _Memory(np.full_like(x, MARK), given)
        compiled = entry_points.activation_entry_points(name, x.dtype.name)
        compiled.call("forward", own.address, y.address, *_rows(x))
        return _found(y, [(own, x)] if own is not y else [])

    def activation_backward(self, name: str, dy: HostArray, saved: HostArray, given: Given = PLAIN) -> HostArray:
        own, kept = _Memory(dy, given), _Memory(saved, given)
        dx = own if given.into == "in place" else _Memory(np.full_like(dy, MARK), given)
        compiled = entry_points.activation_entry_points(name, dy.dtype.name)
        compiled.call("backward", own.address, kept.address, dx.address, *_rows(dy))
        return _found(dx, [(kept, saved), *([(own, dy)] if own is not dx else [])])

    def loss(
        self,
        name: str,
        scores: HostArray,
        targets: HostArray,
        weights: HostArray | None = None,
        scale: float = 1.0,
        given: Given = PLAIN,
    ) -> tuple[float, HostArray]:
        arrays = _measured(scores, targets, weights)
        own = [_Memory(array, given) for array in arrays]
        gradient, total = _Memory(np.full_like(scores, MARK), given), np.zeros(1)
        kind = "labels" if targets.ndim == 1 else "values"
        compiled = entry_points.loss_entry_points(name, kind, scores.dtype.name)
        addresses = [memory.address for memory in own]
        compiled.call("loss", *addresses, *scores.shape, scale, gradient.address, total.ctypes.data)
        return float(total[0]), _found(gradient, list(zip(own, arrays, strict=True)))

    def metric(
        self,
        name: str,
        scores: HostArray,
        targets: HostArray,
        weights: HostArray | None = None,
        threshold: float = 0.5,
        given: Given = PLAIN,
    ) -> HostArray:
        arrays, sums = _measured(scores, targets, weights), registry.metric(name).number_of_sums(scores.shape[1])
        # outputs are longer than what the kernel writes
        own, total = [_Memory(array, given) for array in arrays], np.zeros(sums + 1)
        kind = "labels" if targets.ndim == 1 else "values"
        compiled = entry_points.metric_entry_points(name, kind, scores.dtype.name)
        addresses = [memory.address for memory in own]
        compiled.call("total", *addresses, *scores.shape, threshold, total.ctypes.data)
        for memory, array in zip(own, arrays, strict=True):
            memory.check(array)
        assert total[sums] == 0, "a sum behind the last"
        return total[0] if sums == 1 else total[:sums]

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
        """The slots follow each other at a distance larger than their length."""
        stride = p.size + 5
        stacked = np.full((max(1, len(slots)), stride), MARK, p.dtype)
        for row, slot in zip(stacked, slots, strict=False):
            row[: p.size] = slot
        own, gradient, rows = _Memory(p, given), _Memory(g, given), _Memory(stacked, given)
        rate, *constants = numbers
        constants = np.array([*constants, 0.0])
        assert len(constants) == len(RULES[rule].hyperparameters) + 1
        compiled = entry_points.optimizer_entry_points(rule, p.dtype.name)
        addresses = own.address, gradient.address, rows.address
        compiled.call("update", step, *addresses, stride, p.size, rate, constants.ctypes.data)
        new = _found(rows, [(gradient, g)])
        np.testing.assert_array_equal(new[:, p.size :], MARK, "something was written between the slots")
        return _found(own, []), [row[: p.size] for row in new[: len(slots)]]


class _Memory:
    """An array within memory that must not be written."""

    def __init__(self, x: HostArray, given: Given) -> None:
        self._memory = np.full(x.size + 2 * PADDING + 1, MARK, x.dtype)
        self._start = PADDING + (given.layout == "misaligned")
        self.array = self._memory[self._start : self._start + x.size].reshape(x.shape)
        self.array[...] = x
        self.address = self.array.ctypes.data

    def check(self, before: HostArray | None = None) -> None:
        end = self._start + self.array.size
        around = np.concatenate([self._memory[: self._start], self._memory[end:]])
        np.testing.assert_array_equal(around, np.full_like(around, MARK), "something was written beside an array")
        assert before is None or self.array.tobytes() == before.tobytes(), "an input was changed"


def _found(result: _Memory, inputs: list[tuple[_Memory, HostArray]]) -> HostArray:
    result.check()
    for memory, before in inputs:
        memory.check(before)
    return result.array.copy()


def _rows(x: HostArray) -> tuple[int, int]:
    columns = x.shape[-1] if x.ndim else 1
    return x.size // max(1, columns), columns


def _measured(
    scores: HostArray, targets: HostArray, weights: HostArray | None
) -> tuple[HostArray, HostArray, HostArray]:
    """Data as the epoch stores them: labels as int64, everything else in the dtype of the scores."""
    targets = targets.astype(np.int64 if targets.ndim == 1 else scores.dtype)
    return scores, targets, np.ones(len(scores), scores.dtype) if weights is None else weights
