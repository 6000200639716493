"""Questions about the dense layer. It is linear except for its activation, so one activation of each sort suffices."""

from collections.abc import Iterator

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.kernels import registry
from dnnkit.kernels.dense import reference
from dnnkit.testing.cases import DTYPES, Case, normal, pairwise, wide
from dnnkit.testing.comparing import check_alike, check_bits, check_close, check_not_finite_alike, differences
from dnnkit.testing.implementations import Implementation
from dnnkit.testing.questions import question

SIZES = [(1, 1, 1), (3, 5, 7), (13, 1, 11), (1, 17, 3), (65, 31, 17), (33, 3, 128), (257, 2, 4), (3, 2, 300)]
SIZES += [(0, 3, 2), (3, 0, 2), (300, 131, 65)]
"""Sizes (B, I, O)."""
FEW = 16


def _values(implementation: Implementation, kernel: str) -> Iterator[Case]:
    sizes = [size for size in SIZES if size[0] * max(size[1:]) <= implementation.largest]
    for chosen in pairwise(kind=sizes, given=implementation.variations, dtype=DTYPES, weighted=(True, False)):
        yield Case(kernel, **chosen)


def _one(implementation: Implementation, kernel: str) -> Iterator[Case]:
    return (Case(kernel, dtype, kind=(65, 31, 17), weighted=True) for dtype in DTYPES)


def _small(implementation: Implementation, kernel: str) -> Iterator[Case]:
    return (Case(kernel, kind=(3, 4, 2), weighted=bias) for bias in (True, False))


def _in_a_layer(implementation: Implementation, kernel: str) -> Iterator[Case]:
    return (Case(kernel, dtype, kind=(13, 5, 7), weighted=True) for dtype in DTYPES)


def _arrays(case: Case) -> tuple[HostArray, HostArray, HostArray | None, HostArray]:
    """Return x, w, b and dy; `weighted` says whether there is a bias."""
    rows, inputs, outputs = case.kind
    x, w, b, dy = normal(case, (rows, inputs), (inputs, outputs), (outputs,), (rows, outputs))
    return x, w, b if case.weighted else None, dy


@question("dense", "dense", _values)
def values(implementation: Implementation, case: Case) -> None:
    """Forward and backward match the reference in float64, with and without a bias."""
    activation = registry.activation(case.kernel)
    x, w, b, dy = _arrays(case)
    rows, inputs, outputs = case.kind
    y, saved = implementation.dense(case.kernel, x, w, b, case.given)
    exact = reference.forward(wide(x), wide(w), None if b is None else wide(b), activation)
    _check("y", y, exact[0], case.dtype, inputs)
    _check("what is saved", saved, exact[1], case.dtype, inputs)
    dx, dw, db = implementation.dense_backward(case.kernel, dy, x, w, saved, True, case.given)
    wanted = reference.backward(wide(dy), wide(x), wide(w), wide(saved), activation, True)
    assert dx is not None, "dx is missing"
    _check("dx", dx, np.asarray(wanted[0]), case.dtype, outputs)
    _check("dw", dw, wanted[1], case.dtype, rows)
    _check("db", db, wanted[2], case.dtype, rows)
    without, *others = implementation.dense_backward(case.kernel, dy, x, w, saved, False, case.given)
    assert without is None, "an unrequested gradient in x"
    for name, actual, expected in (("dw", others[0], wanted[1]), ("db", others[1], wanted[2])):
        _check(f"{name} without dx", actual, expected, case.dtype, rows)


@question("activation", "dense", _in_a_layer)
def in_a_layer(implementation: Implementation, case: Case) -> None:
    """Every activation within a dense layer, where an implementation may have fused it."""
    values(implementation, case)


@question("dense", "dense_backward_input", _values)
def input_alone(implementation: Implementation, case: Case) -> None:
    """dx of a frozen layer matches the reference in float64."""
    activation = registry.activation(case.kernel)
    x, w, b, dy = _arrays(case)
    saved = reference.forward(x, w, b, activation)[1]
    dx = implementation.dense_backward_input(case.kernel, dy, w, saved, case.given)
    exact = reference.backward(wide(dy), wide(x), wide(w), wide(saved), activation, True)[0]
    _check("dx", dx, np.asarray(exact), case.dtype, case.kind[2])


@question("dense", "dense", _one)
def nan_and_inf(implementation: Implementation, case: Case) -> None:
    """NaN and infinities reach exactly what depends on them."""
    activation = registry.activation(case.kernel)
    for bad in (np.nan, np.inf):
        x, w, b, dy = _arrays(case)
        x[2, 4] = bad
        with np.errstate(all="ignore"):
            expected, _ = reference.forward(x, w, b, activation)
        y, _ = implementation.dense(case.kernel, x, w, b)
        check_not_finite_alike(f"y of {bad} in x", y, expected)
        x, w, b, dy = _arrays(case)
        saved = reference.forward(x, w, b, activation)[1]
        dy[1, 1] = bad
        with np.errstate(all="ignore"):
            wanted = reference.backward(dy, x, w, saved, activation, True)
        found = implementation.dense_backward(case.kernel, dy, x, w, saved)
        for name, actual, expected in zip(("dx", "dw", "db"), found, wanted, strict=True):
            assert actual is not None, f"{name} is missing"
            finite = np.isfinite(actual) == np.isfinite(expected)
            assert finite.all(), f"{name} of {bad} in dy: finite values differ from the reference's"


@question("dense", "dense", _one)
def same_bits(implementation: Implementation, case: Case) -> None:
    """Repeated runs are bitwise identical."""
    x, w, b, dy = _arrays(case)
    runs = []
    for _ in range(2):
        y, saved = implementation.dense(case.kernel, x, w, b)
        runs.append((y, saved, *implementation.dense_backward(case.kernel, dy, x, w, saved)))
    check_bits("forward and backward", runs)


@question("dense", "dense", _small)
def gradient_against_differences(implementation: Implementation, case: Case) -> None:
    """dx, dw and db match finite differences of the forward pass."""
    x, w, b, dy = _arrays(case)

    def value(x: HostArray, w: HostArray, b: HostArray | None) -> float:
        return float(np.sum(dy * implementation.dense(case.kernel, x, w, b)[0]))

    _, saved = implementation.dense(case.kernel, x, w, b)
    dx, dw, db = implementation.dense_backward(case.kernel, dy, x, w, saved)
    found = [("dx", dx, differences(lambda v: value(v, w, b), x)), ("dw", dw, differences(lambda v: value(x, v, b), w))]
    if b is not None:
        found.append(("db", db, differences(lambda v: value(x, w, v), b)))
    for name, actual, (expected, smooth) in found:
        assert actual is not None, f"{name} is missing"
        check_close(f"{name} against differences", actual[smooth], expected[smooth], 1e-6)


def _check(what: str, actual: HostArray, expected: HostArray, dtype: str, terms: int) -> None:
    check_alike(what, actual, expected.shape, dtype)
    limit = FEW * np.finfo(dtype).eps * (1 + terms) ** 0.5 * max(1, float(np.abs(expected).max(initial=0)))
    check_close(what, actual, expected, limit)
