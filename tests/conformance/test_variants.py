"""Losses with other parameters, smoothed targets and output weights, on every implementation."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from dnnkit.formula import FormulaLoss
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import losses
from dnnkit.kernels._cuda.rows import variants
from dnnkit.kernels.variants import variant
from dnnkit.testing import Implementation
from dnnkit.testing.cases import DTYPES, Case, loss_arrays, wide
from dnnkit.testing.comparing import check_bits, check_close, differences
from tests.cuda_compile import nvrtc
from tests.cuda_compile.resources import OLDEST_AND_NEWEST, REPORTED

SHAPE = (9, 3)
WIDE = (4, 37)
"""More outputs than threads of a warp."""


@dataclass(frozen=True)
class Variant:
    """A loss kernel, and how the variant differs from it."""

    base: str
    parameters: dict[str, float | tuple[float, ...]] = field(default_factory=dict)
    smoothing: float = 0.0
    weights: tuple[float, ...] | None = None
    targets: str = "values"
    shape: tuple[int, int] = SHAPE

    def __str__(self) -> str:
        said = [f"{self.base} {self.targets}", *self.parameters, "smoothed" * bool(self.smoothing)]
        return " ".join(filter(None, [*said, "weighted" * bool(self.weights), "wide" * (self.shape == WIDE)]))

    def expected(self, scores, targets, weights) -> tuple[float, np.ndarray]:
        """Compute output by output, each as a batch with one output for the kernel itself."""
        kernel, outputs = registry.loss(self.base), scores.shape[1]
        classes = 2 if kernel.outputs == "binary" else outputs
        if self.smoothing:
            rows = np.eye(outputs)[targets] if targets.ndim == 1 else targets
            targets = rows * (1 - self.smoothing) + self.smoothing / classes
        if kernel.outputs == "categorical":
            return kernel.loss_and_gradient(scores, targets, weights, 0.5, **self.parameters)
        given = np.ones(outputs) if self.weights is None else np.array(self.weights)
        shares = given / given.sum() if kernel.over_outputs == "mean" else given
        total, gradient = 0.0, np.empty_like(scores)
        for k, share in enumerate(shares):
            numbers = {n: v[k] if isinstance(v, tuple) else v for n, v in self.parameters.items()}
            column = slice(k, k + 1)
            part, slope = kernel.loss_and_gradient(scores[:, column], targets[:, column], weights, 0.5, **numbers)
            total, gradient[:, column] = total + share * part, share * slope
        return total, gradient


VARIANTS = [
    Variant("huber", {"delta": 0.3}),
    Variant("huber", {"delta": 0.3}, weights=(1.0, 0.0, 2.5)),
    Variant("mean_squared_error", weights=(1.0, 0.0, 2.5)),
    Variant("sum_squared_error", weights=(1.0, 0.0, 2.5)),
    Variant("quantile", {"quantile": (0.1, 0.5, 0.9)}),
    Variant("quantile", {"quantile": tuple(np.linspace(0.1, 0.9, 37))}, shape=WIDE),
    Variant("quantile", {"quantile": (0.1, 0.5, 0.9)}, weights=(3.0, 1.0, 1.0)),
    Variant("softmax_cross_entropy", smoothing=0.1),
    Variant("softmax_cross_entropy", smoothing=0.1, targets="labels"),
    Variant("softmax_cross_entropy", smoothing=0.1, targets="labels", shape=WIDE),
    Variant("categorical_crossentropy", smoothing=0.2),
    Variant("categorical_crossentropy", smoothing=0.2, targets="labels"),
    Variant("sigmoid_cross_entropy", smoothing=0.1),
    Variant("sigmoid_cross_entropy", smoothing=0.1, weights=(1.0, 2.0, 0.5)),
    Variant("binary_crossentropy", smoothing=0.1),
    Variant("sigmoid_focal_cross_entropy", {"gamma": 1.5, "positive": 0.25, "negative": 0.75}, smoothing=0.1),
    Variant("categorical_focal_crossentropy", {"gamma": 0.0, "alpha": 1.0}, smoothing=0.1),
]


@pytest.mark.parametrize("given", VARIANTS, ids=str)
def test_a_variant_is_its_kernel_output_by_output(implementation: Implementation, given: Variant) -> None:
    name = variant(given.base, given.parameters, given.smoothing, given.weights)
    assert name != given.base
    assert variant(given.base, given.parameters, given.smoothing, given.weights) == name
    for dtype in DTYPES:
        case = Case(given.base, dtype, given.shape, weighted=True, targets=given.targets)  # type: ignore[arg-type]
        scores, targets, weights = loss_arrays(case)
        loss, gradient = implementation.loss(name, scores, targets, weights, 0.5)
        wanted, slopes = given.expected(wide(scores), wide(targets), wide(weights))  # type: ignore[arg-type]
        few = 32 * np.finfo(dtype).eps
        check_close("the loss", loss, wanted, few * (abs(float(wanted)) + 9))
        check_close("the gradient", gradient, slopes, few * max(1.0, float(np.abs(slopes).max())))
        runs = [implementation.loss(name, scores, targets, None, 0.5) for _ in range(2)]
        check_bits("a variant", runs)


FORMULAS: dict[str, tuple[Any, ...]] = {
    "everything": ("erf(y - t) * tanh(y) + t * sqrt(1 + y**2) + atan(t * y) + abs(y)**1.5",),
    "branches": ("y - t if y > t and not t < -1 else max(t - y, 0)**2 + softplus(y * t)", (), "sum"),
    "weighted": ("where(abs(y - t) < c, log(cosh(y - t)), c * abs(y - t))", (("c", 0.5),), "mean", (1, 0, 2)),
}
"""Names of the arguments of a `FormulaLoss`."""


def key(formula: str) -> str:
    """Return the kernel of one of the formulas."""
    kernel = FormulaLoss(formula, *FORMULAS[formula]).lower("linear")[0].kernel
    assert isinstance(kernel, str)
    return kernel


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_agrees_everywhere_and_with_finite_differences(implementation: Implementation, formula: str) -> None:
    name = key(formula)
    for dtype in DTYPES:
        scores, targets, weights = loss_arrays(Case(name, dtype, SHAPE, weighted=True))
        assert weights is not None
        exact = registry.loss(name).loss_and_gradient(wide(scores), wide(targets), wide(weights), 1.0)
        loss, gradient = implementation.loss(name, scores, targets, weights)
        few = 64 * np.finfo(dtype).eps
        check_close("the loss", loss, exact[0], few * (abs(float(exact[0])) + 9))
        check_close("the gradient", gradient, exact[1], few * max(1.0, float(np.abs(exact[1]).max())))
    expected, smooth = differences(lambda y: implementation.loss(name, y, targets, weights)[0], scores)
    check_close("the gradient against differences", gradient[smooth], expected[smooth], 1e-6)


@pytest.mark.cuda_compile
@pytest.mark.parametrize("what", [VARIANTS[1], VARIANTS[4], VARIANTS[8], VARIANTS[15], "everything"], ids=str)
def test_cuda_sources_compile_with_warnings_as_errors(what: Variant | str) -> None:
    name = key(what) if isinstance(what, str) else variant(what.base, what.parameters, what.smoothing, what.weights)
    for source in variants([losses.source(name, "float32")]):  # for each layout of rows
        options = (*source.options(), f"-arch={OLDEST_AND_NEWEST[0]}", *REPORTED)
        cubin, _ = nvrtc.compile_source(source.text(), "loss.cu", options)
        assert cubin.startswith(b"\x7fELF")
