"""CUDA metrics with several sums: what a GPU promises beyond the conformance suite."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._cuda import metric_sums
from tests.cuda_on_cpu import compiling


def run(gpu, name, scores, targets, weights, *, shift=0, before=None, given_scratch=False):
    sums = registry.metric(name).number_of_sums(scores.shape[1])
    out = gpu.full(sums, np.float64) if before is None else gpu.put(before)
    scratch = gpu.full(metric_sums.scratch_size(len(scores), sums), np.float64) if given_scratch else None
    arrays = [gpu.put(array, shift) for array in (scores, targets, weights)]
    metric_sums.totals(name, *arrays, 0.5, out, scratch, adds=before is not None)
    return gpu.get(out)


@pytest.mark.parametrize("name", metric_sums.names())
def test_bits_do_not_depend_on_threads_addresses_or_scratch(gpu, rng, name):
    """With so many rows that blocks share them."""
    scores, labels = rng.uniform(size=(300, 3)).astype(np.float32), rng.integers(0, 3, 300)
    weights = rng.uniform(0, 2, 300).astype(np.float32)
    expected = registry.metric(name).total(scores, labels, weights, 0.5, np)
    results = []
    for order in compiling.ORDERS:
        with compiling.order(order):
            results.append(run(gpu, name, scores, labels, weights))
    results += [run(gpu, name, scores, labels, weights, shift=1, given_scratch=True)]
    assert len({result.tobytes() for result in results}) == 1
    np.testing.assert_allclose(results[0], expected, rtol=1e-12)
    for rows in (300, 40):  # of several blocks, and of one
        part = scores[:rows], labels[:rows], weights[:rows]
        before = np.arange(float(expected.size))
        np.testing.assert_array_equal(run(gpu, name, *part, before=before), before + run(gpu, name, *part))
