"""Losses from formulas compared with hand-written kernels, on the same data, in turn.

    python -m benchmarks.formula_losses

Each line is a loss with its gradient, from memory to memory, in ns per output: the kernel, the formula, and their
ratio. Times are the fastest of many short rounds, so that other load affects only some of them.
"""

from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np

from dnnkit.backends import get_backend
from dnnkit.backends.measures import Loss
from dnnkit.formula import FormulaLoss
from dnnkit.kernels import registry
from dnnkit.testing.cases import Case, loss_arrays

FORMULAS = {
    "mean_squared_error": ("(y - t)**2", "mean"),
    "sum_squared_error": ("(y - t)**2 / 2", "sum"),
    "sigmoid_cross_entropy": ("softplus(y) - t * y", "mean"),
    "binary_crossentropy": (
        "-(t * log(clip(y, 1e-7, 1 - 1e-7)) + (1 - t) * log1p(-clip(y, 1e-7, 1 - 1e-7)))",
        "mean",
    ),
    "categorical_crossentropy": ("-t * log(max(y, 1e-7))", "sum"),
}
"""Hand-written kernels with a loss per output, and their formulas."""
SHAPES = [(4096, 1), (4096, 10), (512, 100)]
ROUNDS, SECONDS = 400, 0.0005


def call(backend_name: str, kernel: str, arrays: tuple[np.ndarray, ...]) -> Callable[[], object]:
    backend = get_backend(backend_name)
    loss, (scores, targets, weights) = Loss(kernel, "values", registry.loss(kernel).reduction), arrays
    out = np.empty_like(scores)
    return lambda: backend.loss(loss, scores, targets, weights, 1 / len(scores), out=out)


def seconds(function: Callable[[], object], times: int) -> float:
    start = perf_counter()
    for _ in range(times):
        function()
    return (perf_counter() - start) / times


def compared() -> Iterator[tuple[str, str, tuple[int, int], float, float, float]]:
    """Yield (backend, loss, shape, ns of the kernel, ns of the formula, ratio)."""
    for backend in ("numba", "numpy"):
        for name, (formula, over) in FORMULAS.items():
            key = FormulaLoss("formula", formula, (), over).key  # type: ignore[arg-type]
            for shape in SHAPES:
                arrays = loss_arrays(Case(name, "float32", shape, weighted=True))
                both = [call(backend, kernel, arrays) for kernel in (name, key)]  # type: ignore[arg-type]
                times = max(1, int(SECONDS / min(seconds(both[0], 1) for _ in range(20))))
                rounds = [[seconds(function, times) for function in both] for _ in range(ROUNDS)]
                by_hand, by_formula = (min(each) * 1e9 / np.prod(shape) for each in zip(*rounds, strict=True))
                yield backend, name, shape, by_hand, by_formula, by_formula / by_hand


if __name__ == "__main__":
    for backend, name, shape, by_hand, by_formula, quotient in compared():
        print(f"{backend:6} {name:25} {shape!s:10} {by_hand:7.2f} → {by_formula:7.2f} ns per output, {quotient:5.2f}")
