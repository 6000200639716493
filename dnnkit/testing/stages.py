"""Questions about kinds of stages: each example of each kind, forward and backward."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.kernels.stages import Context, Example, kind
from dnnkit.testing.cases import DTYPES, Case, wide
from dnnkit.testing.comparing import check_alike, check_bits, check_close, differences
from dnnkit.testing.implementations import Implementation
from dnnkit.testing.questions import question

ROWS = 4


def _examples(implementation: Implementation, name: str) -> Iterator[Case]:
    return (Case(name, dtype, kind=one) for one in kind(name).examples for dtype in DTYPES)


def _exact(implementation: Implementation, name: str) -> Iterator[Case]:
    return (Case(name, "float64", kind=one) for one in kind(name).examples)


def arrays(
    example: Example, rows: int, dtype: Any, rng: np.random.Generator
) -> tuple[list[HostArray], list[HostArray]]:
    """Return (inputs, parameters) for an example."""
    xs: list[HostArray] = [
        rng.integers(0, 3, (rows, features)).astype(dtype)
        if example.x == "categories"
        else rng.normal(size=(rows, features)).astype(dtype)
        for features in example.inputs
    ]
    parameters = []
    for name, shape in example.parameters.items():
        value: HostArray = rng.normal(size=shape)
        parameters.append((0.5 + np.abs(value) if name in example.positive else value).astype(dtype))
    return xs, parameters


@question("stage", "stage", _examples)
def values(implementation: Implementation, case: Case) -> None:
    """Forward and backward match the reference, in training and prediction; repeated runs are bitwise identical."""
    example, dy = case.kind, _dy(case)
    xs, parameters = arrays(example, ROWS, case.dtype, case.rng)
    given = case.kernel, xs, parameters, example.settings, dy
    limit = 100 * float(np.finfo(case.dtype).eps)
    for training in (True, False):
        runs = [implementation.stage(*given, training, _has_dx(example)) for _ in range(2)]
        check_bits("forward and backward", [[y, *dxs, *of_parameters] for y, dxs, of_parameters in runs])
        y, dxs, of_parameters = runs[0]
        check_alike("y", y, (ROWS, example.features), np.dtype(case.dtype))
        names = ["y", *(f"dx {k}" for k in range(len(dxs))), *_trained(example)]
        exact = _reference(
            case.kernel, example, [wide(x) for x in xs], [wide(p) for p in parameters], wide(dy), training
        )
        for name, found, wanted in zip(names, (y, *dxs, *of_parameters), exact, strict=True):
            check_close(name, found, wanted, limit * (1 + np.abs(wanted)))


def _dy(case: Case) -> HostArray:
    dy: HostArray = np.random.default_rng(1).normal(size=(ROWS, case.kind.features)).astype(case.dtype)
    return dy


def _has_dx(example: Example) -> bool:
    return example.x != "categories"


def _trained(example: Example) -> list[str]:
    return [name for name in example.parameters if name not in example.statistics]


def _reference(
    name: str, example: Example, xs: list[HostArray], parameters: list[HostArray], dy: HostArray, training: bool
) -> list[HostArray]:
    context = Context(training, layer=1, seed=2, step=3)
    y, saved = kind(name).forward(xs, parameters, example.settings, context, np)
    dxs, given = kind(name).backward(dy, saved, parameters, example.settings, [_has_dx(example)] * len(xs), np)
    return [y, *(dx for dx in dxs if dx is not None), *(d for d in given if d is not None)]


@question("stage", "stage", _exact)
def gradients(implementation: Implementation, case: Case) -> None:
    """Backward matches finite differences of forward, for each input and each trained parameter."""
    example, dy = case.kind, _dy(case)
    xs, parameters = arrays(example, ROWS, case.dtype, case.rng)

    def asked() -> tuple[HostArray, list[HostArray], list[HostArray]]:
        return implementation.stage(case.kernel, xs, parameters, example.settings, dy, True, _has_dx(example))

    _, dxs, given = asked()
    places = [list(example.parameters).index(name) for name in _trained(example)]
    of_inputs = [(xs, k, dx) for k, dx in enumerate(dxs)]
    of_parameters = [(parameters, k, d) for k, d in zip(places, given, strict=True)]
    for where, place, found in of_inputs + of_parameters:
        kept = where[place]

        def loss(value: HostArray, where: list[HostArray] = where, place: int = place) -> float:
            where[place] = value
            return float((asked()[0] * dy).sum())

        slope, reliable = differences(loss, kept)
        where[place] = kept
        assert reliable.mean() > 0.5, "most finite differences are unreliable"
        check_close("a gradient", found[reliable], slope[reliable], 1e-6 * (1 + np.abs(slope[reliable])))
