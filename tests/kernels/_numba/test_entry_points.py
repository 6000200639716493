"""Entry points: what they do beyond one kernel alone. Their values are asked for by the conformance suite."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._numba.entry_points import loss_entry_points, metric_kinds
from dnnkit.testing.cases import DTYPES, Case, samples, target_kinds
from tests.conformance.entry_points import EntryPoints

ASKED = [(metric, threshold) for metric in metric_kinds() for threshold in (0.0, 0.5, 1.0)]
"""(metric, threshold)"""


def measured(name, scores, targets, weights=None, metrics=(), totals=None):
    """(loss, gradient, metrics) by one call; `totals` are added to."""
    weights = np.ones(len(scores), scores.dtype) if weights is None else weights
    kinds = np.array([metric_kinds()[metric] for metric, _ in metrics], np.int64)
    thresholds = np.array([threshold for _, threshold in metrics], scores.dtype)
    totals = np.zeros(1 + len(metrics)) if totals is None else totals
    gradient = np.full_like(scores, 77)
    loss_entry_points(name, "labels" if targets.ndim == 1 else "values", scores.dtype.name).call(
        "loss_and_metrics",
        *(array.ctypes.data for array in (scores, targets, weights)),
        *scores.shape,
        0.5,
        len(metrics),
        *(array.ctypes.data for array in (kinds, thresholds, gradient, totals)),
    )
    return totals[0], gradient, totals[1:]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["mean_squared_error", "softmax_cross_entropy"])
def test_metrics_of_the_same_pass_equal_the_kernels(name, dtype, rng):
    for rows, outputs in [(0, 2), (1, 1), (7, 3), (65, 10), (65, 1)]:
        scores = rng.integers(0, 3, (rows, outputs)).astype(dtype)  # many ties
        labels = rng.integers(0, outputs, rows)
        for targets in (np.eye(outputs, dtype=dtype)[labels], labels)[: len(target_kinds(name))]:
            for weights in (None, rng.uniform(0, 2, rows).astype(dtype), rng.integers(0, 2, rows).astype(dtype)):
                alone = [EntryPoints().metric(metric, scores, targets, weights, bound) for metric, bound in ASKED]
                loss, gradient, found = measured(name, scores, targets, weights, ASKED)
                np.testing.assert_allclose(found, alone, rtol=1e-12, atol=1e-12)
                without = measured(name, scores, targets, weights)
                assert loss == without[0]
                np.testing.assert_array_equal(gradient, without[1])


def test_totals_are_added_to(rng):
    scores, targets = rng.normal(size=(7, 3)), rng.normal(size=(7, 3))
    once = measured("mean_squared_error", scores, targets, metrics=ASKED)
    before = np.arange(1.0, 2 + len(ASKED))
    totals = before.copy()
    measured("mean_squared_error", scores, targets, metrics=ASKED, totals=totals)
    np.testing.assert_allclose(totals, before + np.array([once[0], *once[2]]), rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", [name for name in registry.names("activation") if registry.activation(name).elementwise]
)
def test_only_the_number_of_elements_matters_elementwise(name, dtype):
    x, compiled = samples(Case(name, dtype, (6, 35))), EntryPoints()
    tall = compiled.activation(name, x.reshape(210, 1))
    np.testing.assert_array_equal(tall.reshape(6, 35), compiled.activation(name, x))
