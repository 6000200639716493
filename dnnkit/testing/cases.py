"""Cases: kernels from the registries with pairwise combinations of dtypes, shapes and layouts."""

import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any, Literal

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.kernels import registry
from dnnkit.testing.implementations import PLAIN, Given

DTYPES = ("float32", "float64")
ELEMENTWISE = [(), (0,), (1,), (7,), (63,), (65,), (3, 0), (5, 7), (2, 3, 5), (64, 64), (257,), (1009,), (3, 1365)]
ELEMENTWISE += [(5000, 4)]
"""Shapes for elementwise operations; the last is larger than the block of any implementation."""
ROWS = [(0, 3), (1, 1), (7, 1), (1, 7), (5, 31), (3, 32), (2, 33), (3, 64), (2, 65), (2, 3, 5), (2, 1009), (700, 4)]
ROWS += [(2000, 10)]
"""Shapes for operations on whole rows."""


@dataclass(frozen=True)
class Case:
    """One case of a question; irrelevant fields keep their defaults."""

    kernel: str
    dtype: str = "float64"
    shape: tuple[int, ...] = ()
    given: Given = PLAIN
    weighted: bool = False
    targets: Literal["values", "labels"] = "values"
    kind: Any = None
    """A factor specific to the question: a source dtype, whether there is a bias, ..."""

    def __str__(self) -> str:
        defaults = {field.name: field.default for field in fields(self)}
        said = {name: value for name, value in vars(self).items() if name != "kernel" and value != defaults[name]}
        said = {"dtype": self.dtype, **said}
        words = (f"{name}={value.name if isinstance(value, Given) else value}" for name, value in said.items())
        return f"{self.kernel}({', '.join(words)})"

    @property
    def rng(self) -> np.random.Generator:
        """A random generator seeded by the case, so that every run has the same numbers."""
        return np.random.default_rng(zlib.crc32(str(self).encode()))


def pairwise(**factors: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield few combinations that cover every pair of values of two factors (pairwise testing).

    Arguments:
        factors: the values of each factor, by its name.
    """
    names = list(factors)
    pairs = {
        (first, i, second, j)
        for first, second in itertools.combinations(names, 2)
        for i in range(len(factors[first]))
        for j in range(len(factors[second]))
    }
    if len(names) == 1:
        yield from ({names[0]: value} for value in factors[names[0]])
        return
    while pairs:
        first, i, second, j = min(pairs)
        chosen = {first: i, second: j}
        for name in names:
            if name in chosen:
                continue
            gains = [
                sum(_pair(names, name, k, other, place) in pairs for other, place in chosen.items())
                for k in range(len(factors[name]))
            ]
            chosen[name] = gains.index(max(gains))
        pairs -= {_pair(names, a, chosen[a], b, chosen[b]) for a, b in itertools.combinations(names, 2)}
        yield {name: factors[name][chosen[name]] for name in names}


def _pair(names: list[str], a: str, i: int, b: str, j: int) -> tuple[str, int, str, int]:
    return (a, i, b, j) if names.index(a) < names.index(b) else (b, j, a, i)


def samples(case: Case, shape: tuple[int, ...] | None = None) -> HostArray:
    """Return numbers of all magnitudes, including special ones."""
    shape = case.shape if shape is None else shape
    tiny, smallest = np.finfo(case.dtype).tiny, np.finfo(case.dtype).smallest_subnormal
    special = [1e4, -1e4, 0, -0.0, smallest, -smallest, tiny / 3, -tiny / 3, tiny, -tiny, 3, -3, 88.8, -88.8, 710, -710]
    size = int(np.prod(shape))
    values = np.concatenate([np.array(special), 5 * case.rng.normal(size=size)])[:size].astype(case.dtype)
    return (case.rng.permutation(values) if size > len(special) else values).reshape(shape)


def normal(case: Case, *shapes: tuple[int, ...]) -> list[HostArray]:
    """Return normally distributed numbers, an array for each shape."""
    rng = case.rng
    return [rng.normal(size=shape).astype(case.dtype) for shape in shapes]


def wide(x: HostArray) -> HostArray:
    """Convert floating-point arrays to float64; labels are unchanged."""
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def loss_arrays(
    case: Case, far: bool = False, weights: bool | None = None
) -> tuple[HostArray, HostArray, HostArray | None]:
    """Return scores, targets and weights for a loss; `far` are extreme, or even invalid, scores."""
    kernel, rng = registry.loss(case.kernel), case.rng
    rows, outputs = case.shape
    scores: HostArray = rng.normal(size=case.shape)
    targets: HostArray = rng.normal(size=case.shape)
    if kernel.scores == "probabilities":
        scores = rng.uniform(0.05, 0.95, case.shape)
    if kernel.scores == "not negative":
        scores = rng.uniform(0.05, 5, case.shape)
    if far:
        scores = rng.choice(_FAR[kernel.scores], case.shape)
    if kernel.target_range == "shares":
        targets = rng.uniform(0, 1, case.shape)
    if kernel.target_range == "signs":
        targets = rng.choice([rng.choice([-1, 0]), 1], case.shape)
    if kernel.outputs == "categorical" or kernel.target_range in ("not negative", "positive"):
        targets = np.exp(targets)  # do not sum to 1, to detect kernels that assume it
    if kernel.target_range == "not negative":
        targets = np.where(rng.uniform(0, 1, case.shape) < 0.2, 0, targets)
    if case.targets == "labels":
        targets = rng.integers(0, outputs, rows)
    weighted = case.weighted if weights is None else weights
    given = rng.uniform(0, 2, rows).astype(case.dtype) if weighted else None
    return scores.astype(case.dtype), targets.astype(case.dtype) if targets.ndim == 2 else targets, given


_SIGNED = [-1e4, 1e4, 0, -0.0, 88.8, -710]
_FAR = {"values": _SIGNED, "logits": _SIGNED, "probabilities": [-0.5, 0, 1e-8, 1e-7, 0.5, 1, 1.5]}
_FAR["not negative"] = [0, 1e-8, 1e-7, 0.5, 88.8, 1e4]


def target_kinds(name: str) -> tuple[Literal["values", "labels"], ...]:
    """Return the kinds of targets that a loss accepts."""
    return ("values", "labels") if registry.loss(name).takes_labels else ("values",)


def fitting(cases: Iterable[Case], largest: int) -> list[Case]:
    """Return the cases that are not too large."""
    return [case for case in cases if int(np.prod(case.shape)) <= largest]
