"""Numba backend: the epoch in one compiled call, and every operation by a compiled kernel.

Importing this module does not import Numba: its availability is checked first, and it is imported only when needed.
"""

import importlib.util
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.diagnosis import Finding, warn_once
from dnnkit.backends.executable import Executable
from dnnkit.backends.measures import Loss, Metric
from dnnkit.backends.numpy_backend import NumpyBackend
from dnnkit.backends.processors import usable
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Custom, Dense, Dropout, Op, Rescale
from dnnkit.installed import version
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.optimizer_step.reference import Rule
from dnnkit.kernels.registry import Activation

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.many import CompiledMany

if importlib.util.find_spec("llvmlite") is not None:  # otherwise nothing below is called: see `unavailable_reason`
    from dnnkit.kernels._native import archive
    from dnnkit.kernels._numba import entry_points

KNOWN = (Rescale, Dense, Activate, Dropout, Custom, Op)
"""Stages that `kernels/_engine` computes, or calls."""


@cache
def _is_installed(package: str) -> bool:
    """Cached: asked whenever a backend is chosen, and a search of all package folders takes 50 µs."""
    return importlib.util.find_spec(package) is not None


OLDEST, AFTER = "0.63", "0.69"
"""Range of supported Numba versions, as in pyproject.toml: kernels are compiled with private parts of Numba."""


def unsuitable_version(found: str) -> str | None:
    """Return why a version of Numba is unsuitable, or None."""
    number, oldest, after = (tuple(map(int, re.findall(r"\d+", text)[:2])) for text in (found, OLDEST, AFTER))
    if oldest <= number < after:
        return None
    which = "older" if number < oldest else "newer"
    return f"Numba {found} is {which} than the kernels support: pip install 'numba>={OLDEST},<{AFTER}'"


@cache
def _unsuitable_numba() -> str | None:
    """Return why the installed Numba is unsuitable, or None; cached, as it is asked whenever a backend is chosen."""
    return unsuitable_version(version("numba"))


class NumbaBackend(NumpyBackend):
    """NumPy arrays, kernels compiled by Numba, products by a private OpenBLAS."""

    name = "numba"
    install = "pip install numba scipy-openblas32"
    most_filled = 0.0  # stage by stage; the compiled epoch supports compressed rows

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """Check that Numba and OpenBLAS are installed, and that Numba's JIT is enabled."""
        for package in ("numba", "llvmlite", "scipy_openblas32"):
            if not _is_installed(package):
                return f"the package {package} is not installed"
        if (reason := _unsuitable_numba()) is not None:
            return reason
        if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
            return "NUMBA_DISABLE_JIT is set, so nothing is compiled; unset it"
        return None

    @property
    def version(self) -> str:
        """Numba's version."""
        return version("numba")

    def diagnose(self) -> list[Finding]:
        """Report the BLAS of compiled code, the cache of compiled kernels, and the facts that partitions depend on."""
        from dnnkit.backends.numba_backend.kept_kernels import kept_kernels
        from dnnkit.backends.numba_backend.machine import machine
        from dnnkit.backends.processors import processors
        from dnnkit.kernels._native import blas
        from dnnkit.kernels._target.processor import REGISTER_BYTES

        findings = [
            *kept_kernels(),
            Finding("products in compiled code", "good", blas.describe()),
            Finding(
                "this machine",
                "good",
                f"{processors()} processors for this process, {machine().cores} cores, {REGISTER_BYTES}-byte vectors: "
                "these, the network and num_threads determine how work is divided among threads",
            ),
        ]
        return super().diagnose() + findings

    # -- building ----------------------------------------------------------------------------------------------------

    def unsupported_reason(self, program: Program) -> str | None:
        """Return which parts have no compiled kernel and cannot be called from compiled code, or None.

        Custom layers, losses and metrics are called in Python.
        """
        if program.custom_rule:
            return super().unsupported_reason(program)
        stages = {type(stage).__name__ for stage in program.stages if not isinstance(stage, KNOWN)}
        kernels = {name for name in program.kernels if not registry.has_cpu_version(name)}
        rules = {program.rule} if isinstance(program.rule, str) and not self._has_compiled(program.rule) else set()
        missing = sorted(stages | kernels | rules)
        return f"no compiled version of {', '.join(missing)}" if missing else None

    def seconds_per_step(self, program: Program, rows: int) -> float | None:
        """Return the cost model's estimate; None for programs that run stage by stage."""
        if self.unsupported_reason(program) is not None:
            return None
        from dnnkit.backends.numba_backend.cost_model import seconds_per_step

        return seconds_per_step(program, rows)

    def kernel_file(self, name: str) -> str:
        """Return the file of the compiled version, if there is one."""
        return "cpu.py" if registry.has_cpu_version(name) else super().kernel_file(name)

    def _has_compiled(self, rule: str | None) -> bool:
        """Whether an optimizer rule has a compiled version; checking rules outside the archive imports Numba."""
        if rule is None or archive.has(f"rule.{rule}.update"):
            return rule is not None
        return hasattr(registry.version("optimizer_step", "cpu"), rule)

    def compile_ahead(self, dtype: str) -> None:
        """Compile every opcode, and the training of many networks; kernels are compiled by networks that use them."""
        from dnnkit.kernels._engine import calls
        from dnnkit.kernels._engine.opcodes import address, opcodes

        for name in opcodes():
            address(name, dtype)
        for name in ("run_jobs", "permute"):
            calls.caller(name, dtype)

    def many(self, workers: int) -> "CompiledMany":
        """Return a pool of threads that each train whole networks."""
        from dnnkit.backends.numba_backend.many import CompiledMany

        return CompiledMany(workers)

    def build(self, program: Program) -> Executable:
        """Return the compiled epoch if the program supports it, else a stagewise executable of compiled operations."""
        if (reason := self.unsupported_reason(program)) is not None:
            warn_once(f"backend numba runs this network stage by stage, not in one compiled call: {reason}")
            return super().build(program)
        from dnnkit.backends.numba_backend.executable import NumbaExecutable

        called = ", ".join(program.custom_layers + program.custom_measures)
        details = {"called in Python": called} if called else {}
        return NumbaExecutable(self, program, self.plan(program, "compiled epoch", **details))

    def keeps_dtype(self, source: Namespace, dtype: Any) -> bool:
        """Keep uint8 data, which is gathered as such; the compiled epoch supports no other integers."""
        return bool(dtype == source.uint8)

    # -- operations: the kernels that the compiled epoch calls -------------------------------------------------------

    def surely_finite(self, array: Array, dtype: str) -> bool:  # noqa: D102
        from dnnkit.backends.numba_backend.finite import surely_finite

        return surely_finite(array, dtype, usable(None))

    def activation(self, activation: Activation, x: Array, out: Array | None = None) -> Array:
        """See `kernels/activations`."""
        if x.ndim == 0 or not registry.has_cpu_version(activation.name):
            return super().activation(activation, x, out)
        x = np.ascontiguousarray(x)
        out = np.empty_like(x) if out is None else out
        self._call(entry_points.activation_entry_points(activation.name, x.dtype.name), "forward", x, out)
        return out

    def activation_backward(self, activation: Activation, dy: Array, saved: Array, out: Array | None = None) -> Array:
        """See `kernels/activations`."""
        if dy.ndim == 0 or not registry.has_cpu_version(activation.name):
            return super().activation_backward(activation, dy, saved, out)
        dy, saved = np.ascontiguousarray(dy), np.ascontiguousarray(saved)
        out = np.empty_like(dy) if out is None else out
        self._call(
            entry_points.activation_entry_points(activation.name, dy.dtype.name),
            "backward",
            dy,
            saved,
            out,
        )
        return out

    @staticmethod
    def _call(compiled: Any, name: str, *arrays: Array) -> None:
        columns = arrays[0].shape[-1]
        compiled.call(name, *(a.ctypes.data for a in arrays), arrays[0].size // max(1, columns), columns)

    def dense(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        activation: Activation,
        out: tuple[Array | None, Array | None] = (None, None),
    ) -> tuple[Array, Array]:
        """See `kernels/dense`."""
        if not registry.has_cpu_version(activation.name):
            return super().dense(x, w, b, activation, out)
        y = np.empty((x.shape[0], w.shape[1]), x.dtype) if out[0] is None else out[0]
        z = np.empty_like(y) if out[1] is None else out[1]
        dtype, bias = x.dtype.name, np.empty(0, x.dtype) if b is None else np.ascontiguousarray(b)
        x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
        function = entry_points.activation_entry_points(activation.name, dtype).address("forward")
        given, made = (a.ctypes.data for a in (x, w, bias)), (z.ctypes.data, y.ctypes.data)
        entry_points.dense_entry_points(dtype).call("forward", *given, function, *made, *x.shape, w.shape[1], bias.size)
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
        """See `kernels/dense`."""
        if not registry.has_cpu_version(activation.name):
            return super().dense_backward(dy, x, w, saved, activation, needs_dx, out)
        dx, dw, db = out
        # Not in Fortran order, as x may be: that would need another compiled version.
        dx = np.empty(x.shape, x.dtype) if dx is None else dx
        dw = np.empty(w.shape, w.dtype) if dw is None else dw
        db = np.empty(w.shape[1], w.dtype) if db is None else db
        dtype = x.dtype.name
        function = entry_points.activation_entry_points(activation.name, dtype).address("backward")
        arrays = [np.ascontiguousarray(array) for array in (dy, x, w, saved)]
        dz = np.empty_like(arrays[0])
        given, made = (a.ctypes.data for a in arrays), (a.ctypes.data for a in (dz, dx, dw, db))
        sizes = *x.shape, w.shape[1], db.size
        entry_points.dense_entry_points(dtype).call("backward", *given, function, needs_dx, *made, *sizes)
        return (dx if needs_dx else None), dw, db

    def dense_backward_input(
        self, dy: Array, w: Array, saved: Array, activation: Activation, out: Array | None = None
    ) -> Array:
        """See `kernels/dense`."""
        if not registry.has_cpu_version(activation.name):
            return super().dense_backward_input(dy, w, saved, activation, out)
        dy, w, saved = (np.ascontiguousarray(array) for array in (dy, w, saved))
        dz, out = np.empty_like(dy), np.empty((len(dy), len(w)), dy.dtype) if out is None else out
        function = entry_points.activation_entry_points(activation.name, dy.dtype.name).address("backward")
        given, made = (a.ctypes.data for a in (dy, w, saved)), (a.ctypes.data for a in (dz, out))
        dense = entry_points.dense_entry_points(dy.dtype.name)
        dense.call("backward_input", *given, function, *made, *out.shape, dy.shape[1])
        return out

    def gather(
        self, data: Array, rows: Array, scale: float, offset: float, dtype: Any, out: Array | None = None
    ) -> Array:
        """See `kernels/gather`."""
        out = np.empty((rows.shape[0], data.shape[1]), dtype) if out is None else out
        data, rows = np.ascontiguousarray(data), np.ascontiguousarray(rows, np.int64)
        places, sizes = (a.ctypes.data for a in (data, rows, out)), (len(data), *out.shape)
        gather = entry_points.gather_entry_points(data.dtype.name, out.dtype.name)
        gather.call("gather", *places, scale, offset, *sizes)
        return out

    def dropout_mask(
        self, shape: tuple[int, ...], rate: float, seed: int, layer: int, step: int, out: Array | None = None
    ) -> Array:
        """See `kernels/dropout`."""
        out = np.empty(shape, np.bool_) if out is None else out
        entry_points.dropout_entry_points("float32").call("mask", out.ctypes.data, out.size, rate, seed, layer, step)
        return out

    def dropout(self, x: Array, keep: Array, rate: float, out: Array | None = None) -> Array:
        """See `kernels/dropout`."""
        x, keep = np.ascontiguousarray(x), np.ascontiguousarray(keep)
        out = np.empty_like(x) if out is None else out
        places = (a.ctypes.data for a in (x, keep, out))
        entry_points.dropout_entry_points(x.dtype.name).call("apply", *places, x.size, rate)
        return out

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
        if not isinstance(loss.kernel, str) or not registry.has_cpu_version(loss.kernel):
            return super().loss(loss, scores, targets, weights, scale, out)
        scores, targets, row_weights, kind = _contiguous(scores, targets, weights)
        out = np.empty_like(scores) if out is None else out
        total = np.zeros(1)
        entry_points.loss_entry_points(loss.kernel, kind, scores.dtype.name).call(
            "loss",
            *(a.ctypes.data for a in (scores, targets, row_weights)),
            *scores.shape,
            scale,
            out.ctypes.data,
            total.ctypes.data,
        )
        return total[0], out

    def metric(self, metric: Metric, scores: Array, targets: Array, weights: Array | None) -> Array:
        """See `kernels/metrics`."""
        if not isinstance(metric.kernel, str) or not registry.has_cpu_version(metric.kernel):
            return super().metric(metric, scores, targets, weights)
        scores, targets, row_weights, kind = _contiguous(scores, targets, weights)
        total = np.zeros(metric.sums)
        entry_points.metric_entry_points(metric.kernel, kind, scores.dtype.name).call(
            "total",
            *(a.ctypes.data for a in (scores, targets, row_weights)),
            *scores.shape,
            metric.threshold,
            total.ctypes.data,
        )
        return total[0] if metric.sums == 1 else total

    def interpolate(self, x: Array, y: Array, share: float, out: Array | None = None) -> Array:
        """See `kernels/interpolate`."""
        x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        out = np.empty_like(x) if out is None else out
        points = entry_points.interpolate_entry_points(x.dtype.name)
        points.call("interpolate", address(x), address(y), address(out), x.size, share)
        return out

    def update(
        self, rule: Rule, step: int, parameter: Array, gradient: Array, slots: list[Array], *numbers: float
    ) -> tuple[Array, list[Array]]:
        """See `kernels/optimizer_step`; in place."""
        if not self._has_compiled(rule.name):
            return super().update(rule, step, parameter, gradient, slots, *numbers)
        # Slots are stacked and unstacked again, because the compiled update needs them in one array; stagewise only.
        stacked = np.stack(slots) if slots else parameter
        rate, *constants = numbers
        places = [array.ctypes.data for array in (parameter, gradient, stacked)]
        given = np.array([*constants, 0.0])
        update = entry_points.optimizer_entry_points(rule.name, parameter.dtype.name)
        update.call("update", step, *places, parameter.size, parameter.size, rate, given.ctypes.data)
        for slot, row in zip(slots, stacked, strict=False):
            slot[...] = row
        return parameter, slots


def _contiguous(scores: Array, targets: Array, weights: Array | None) -> tuple[Array, Array, Array, str]:
    """Return scores, targets and row weights as compiled code needs them, and the kind of the targets."""
    scores, targets = np.ascontiguousarray(scores), np.ascontiguousarray(targets)
    kind = "labels" if targets.ndim == 1 else "values"
    targets = targets.astype(np.int64 if kind == "labels" else scores.dtype, copy=False)
    weights = np.ones(len(scores)) if weights is None else weights
    return scores, targets, np.ascontiguousarray(weights, scores.dtype), kind
