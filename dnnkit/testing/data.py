"""Questions about shared operations: gathering rows, rescaling, dropout, clipping, interpolation."""

from collections.abc import Iterator

import numpy as np

from dnnkit.kernels.clip_norm import reference as clip_norm
from dnnkit.kernels.dropout import reference as dropout
from dnnkit.testing.cases import DTYPES, Case, pairwise, wide
from dnnkit.testing.comparing import check_alike, check_bits, check_close, check_same
from dnnkit.testing.implementations import Implementation
from dnnkit.testing.questions import question

GATHERED = [(13, 7, 4), (1, 1, 1), (17, 784, 3), (5, 0, 3), (5, 63, 0), (3, 64, 65), (7, 65, 40), (3, 2048, 2)]
GATHERED += [(9, 20_000, 2)]
"""Sizes (N, F, B)."""
NUMBERS = [(1.0, 0.0), (1 / 255, -0.5), (0.0, 3.0)]
"""Pairs (scale, offset)."""
RESCALINGS = [(1.0, 0.0), (1.0, -0.5), (0.25, 0.0), (-3.0, 2.0), (0.0, 1.0)]
"""Pairs (scale, offset), including those for which an implementation may skip a pass."""
RATES = [0.0, 2.0**-33, 2.0**-32, 0.1, 0.5, 0.9, 1 - 2.0**-32, 1 - 2.0**-33, float(np.nextafter(1, 0))]
STEPS = [0, 7, 2**32 - 1, 2**33 + 5, 2**63 - 1]
MASKS = [(0,), (1,), (3,), (65,), (7, 9), (3, 1025), (131, 257)]
VECTORS = [(0,), (1,), (3,), (255,), (257,), (1009,), (5003,), (20_000,)]


def _gather(implementation: Implementation, kernel: str) -> Iterator[Case]:
    sizes = [size for size in GATHERED if max(size[0], size[2]) * size[1] <= implementation.largest]
    kinds = [(size, pair) for size, pair in zip(sizes, NUMBERS * len(sizes), strict=False)]
    sources = list(implementation.sources)
    for chosen in pairwise(source=sources, size=kinds, dtype=DTYPES, given=implementation.variations):
        (size, pair), source = chosen["size"], chosen["source"]
        yield Case(kernel, chosen["dtype"], given=chosen["given"], kind=(source, size, pair))


def _sources(implementation: Implementation, kernel: str) -> Iterator[Case]:
    return (Case(kernel, dtype, kind=source) for source in implementation.sources for dtype in DTYPES)


def _rescalings(implementation: Implementation, kernel: str) -> Iterator[Case]:
    for chosen in pairwise(shape=MASKS, kind=RESCALINGS, dtype=DTYPES, given=implementation.variations):
        yield Case(kernel, **chosen)


def _masks(implementation: Implementation, kernel: str) -> Iterator[Case]:
    for chosen in pairwise(shape=MASKS, rate=RATES, step=STEPS, given=implementation.variations):
        yield Case(kernel, "bool", chosen["shape"], chosen["given"], kind=(chosen["rate"], chosen["step"]))


def _dropout(implementation: Implementation, kernel: str) -> Iterator[Case]:
    for chosen in pairwise(shape=MASKS, kind=[0.0, 0.2, 1 - 2.0**-33], dtype=DTYPES, given=implementation.variations):
        yield Case(kernel, **chosen)


def _vectors(implementation: Implementation, kernel: str) -> Iterator[Case]:
    for chosen in pairwise(shape=VECTORS, dtype=DTYPES, kind=[0.5, 3.0, 1e6], given=implementation.variations):
        yield Case(kernel, **chosen)


def _shares(implementation: Implementation, kernel: str) -> Iterator[Case]:
    shares = [0.0, 0.005, 0.5, 1.0]
    for chosen in pairwise(shape=VECTORS, dtype=DTYPES, kind=shares, given=implementation.variations):
        yield Case(kernel, **chosen)


def _both_dtypes(implementation: Implementation, kernel: str) -> Iterator[Case]:
    return (Case(kernel, dtype, (300,)) for dtype in DTYPES)


@question("data", "gather", _gather)
def values(implementation: Implementation, case: Case) -> None:
    """The right rows are gathered, converted and rescaled."""
    source, (samples, features, batch), (scale, offset) = case.kind
    rng = case.rng
    data = rng.integers(0, 100, (samples, features)).astype(source)
    rows = rng.integers(0, samples, batch)
    actual = implementation.gather(data, rows, scale, offset, case.dtype, case.given)
    check_alike("x", actual, (batch, features), case.dtype)
    expected = data[rows].astype(np.float64) * scale + offset
    check_close("x", actual, expected, 2 * np.finfo(case.dtype).eps * float(np.abs(expected).max(initial=1)))


@question("data", "gather", _sources)
def rounded_once(implementation: Implementation, case: Case) -> None:
    """Conversion from any dtype rounds once; NaN and infinities propagate; rows may come in any order."""
    kind = np.dtype(case.kind)
    numbers = [0, 1]
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        numbers += [limits.min, limits.min + 1, limits.max - 1, limits.max, limits.max // 3, limits.max // 2]
    if kind.kind == "f":
        numbers += [2**24 + 1, 2**24 + 3, 2**40 + 1, np.nan, np.inf, -np.inf, -0.5]  # type: ignore[list-item]
    data = np.array([numbers, numbers[::-1], numbers], kind)
    rows = np.array([2, 0, 0, 1])
    actual = implementation.gather(data, rows, 1.0, 0.0, case.dtype)
    check_same("x", actual, data[rows].astype(case.dtype))


@question("data", "affine", _rescalings)
def rescaled(implementation: Implementation, case: Case) -> None:
    """The result is x · scale + offset, wherever it is written."""
    x, (scale, offset) = case.rng.normal(size=case.shape).astype(case.dtype), case.kind
    y = implementation.affine(x, scale, offset, case.given)
    check_alike("y", y, case.shape, case.dtype)
    few = 2 * np.finfo(case.dtype).eps
    check_close("y", y, wide(x) * scale + offset, few * (abs(scale) * float(np.abs(x).max(initial=0)) + abs(offset)))


@question("data", "dropout_mask", _masks)
def masks(implementation: Implementation, case: Case) -> None:
    """Masks are bitwise identical to the reference's, for any rate and step."""
    rate, step = case.kind
    size = int(np.prod(case.shape))
    for seed, layer in ((7, 2), (2**32 - 1, 5)):
        expected = dropout.mask(0, size, rate, seed, layer, step).reshape(case.shape)
        check_same("the mask", implementation.dropout_mask(case.shape, rate, seed, layer, step, case.given), expected)


@question("data", "dropout", _dropout)
def dropped(implementation: Implementation, case: Case) -> None:
    """Kept elements are scaled, others are 0 however large; NaN propagates only where it is kept."""
    rng, rate = case.rng, case.kind
    x, keep = rng.normal(size=case.shape).astype(case.dtype), rng.integers(0, 2, case.shape).astype(bool)
    special = np.array([np.nan, np.inf, -np.inf, np.finfo(case.dtype).max], case.dtype)
    if x.size > 8:
        x.reshape(-1)[:8] = np.concatenate([special, special])
        keep.reshape(-1)[:4] = False
    with np.errstate(all="ignore"):
        expected = np.where(keep, x * (1 / (1 - rate)), x.dtype.type(0)).astype(case.dtype)
    actual = implementation.dropout(x, keep, rate, case.given)
    check_alike("y", actual, case.shape, case.dtype)
    finite = np.isfinite(expected)
    check_same("y where it is not finite", actual[~finite], expected[~finite])
    check_same("y where nothing is kept", actual[~keep], np.zeros_like(actual[~keep]))
    few = 2 * np.finfo(case.dtype).eps * np.abs(expected[finite])
    with np.errstate(all="ignore"):
        errors = np.abs(actual[finite] - expected[finite])
    assert (errors <= few).all(), f"y: error {errors.max(initial=0):.3g}"


@question("data", "clip_norm", _vectors)
def clipped(implementation: Implementation, case: Case) -> None:
    """A vector is scaled to the bound if its norm is larger, and otherwise bitwise unchanged."""
    x = case.rng.normal(size=case.shape).astype(case.dtype)
    y, norm = implementation.clip_norm(x, case.kind, case.given), float(np.linalg.norm(wide(x)))
    check_alike("y", y, case.shape, case.dtype)
    if norm < case.kind:
        check_same("y within the bound", y, x)
    expected = clip_norm.clip_norm(wide(x), case.kind)
    few = 8 * np.finfo(case.dtype).eps * (1 + np.sqrt(x.size) / 16)
    check_close("y", y, expected, few * float(np.abs(expected).max(initial=0)))


@question("data", "clip_value", _vectors)
def elements_clipped(implementation: Implementation, case: Case) -> None:
    """Elements are clipped to the bound, and bitwise unchanged within it; NaN propagates."""
    x = case.rng.normal(size=case.shape).astype(case.dtype)
    special = np.array([np.nan, np.inf, -np.inf, -0.0], case.dtype)
    x[: len(special)] = special[: len(x)]
    bound = 0.1 * float(case.kind)
    actual = implementation.clip_value(x, bound, case.given)
    check_alike("y", actual, case.shape, case.dtype)
    check_same("y", actual, np.clip(x, -x.dtype.type(bound), x.dtype.type(bound)))


@question("data", "clip_norm", _both_dtypes)
def norms_of_zero_and_of_nan(implementation: Implementation, case: Case) -> None:
    """A zero vector is unchanged; NaN makes all elements NaN; an infinity becomes NaN and all others 0."""
    zeros = np.zeros(case.shape, case.dtype)
    check_same("of zeros", implementation.clip_norm(zeros, 1.0), zeros)
    x = np.ones(case.shape, case.dtype)
    x[33] = np.nan
    assert np.isnan(implementation.clip_norm(x, 1.0)).all(), "a NaN does not make all of it NaN"
    x[33] = np.inf
    y = implementation.clip_norm(x, 1.0)
    assert np.isnan(y[33]), f"an infinity becomes {y[33]}"
    assert not np.delete(y, 33).any(), "elements other than the infinity are not 0"


@question("data", "clip_norm", _both_dtypes)
def same_bits(implementation: Implementation, case: Case) -> None:
    """Repeated runs are bitwise identical."""
    x = case.rng.normal(size=5003).astype(case.dtype)
    check_bits("clip_norm", [(implementation.clip_norm(x, 1.0),) for _ in range(2)])


@question("data", "interpolate", _shares)
def interpolated(implementation: Implementation, case: Case) -> None:
    """Interpolation is accurate, exact for shares of 0 and 1, and repeated runs are bitwise identical."""
    x, y = (case.rng.normal(size=case.shape).astype(case.dtype) for _ in range(2))
    z = implementation.interpolate(x, y, case.kind, case.given)
    check_alike("z", z, case.shape, case.dtype)
    if case.kind in (0.0, 1.0):
        check_same("z", z, (x, y)[int(case.kind)])
    expected, few = (1 - case.kind) * wide(x) + case.kind * wide(y), 3 * np.finfo(case.dtype).eps
    check_close("z", z, expected, few * (np.abs(wide(x)) + np.abs(wide(y))))
    check_bits("interpolate", [(z,), (implementation.interpolate(x, y, case.kind, case.given),)])
