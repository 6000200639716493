"""Graphs on the CuPy backend, on the stand-in: stage by stage, by its operations."""

from types import ModuleType

import numpy as np
import pytest

from dnnkit.backends import get_backend
from tests.backends.graphs import samples, trained, two_inputs_two_outputs

pytestmark = pytest.mark.cuda_on_cpu


def test_a_graph_follows_numpy(cupy: ModuleType) -> None:
    program, weights = two_inputs_two_outputs(dropout=True), np.linspace(0, 2, 23)
    expected, wanted = trained(get_backend("numpy"), program, weights=weights, clip_norm=0.1)
    found, means = trained(get_backend("cupy"), program, weights=weights, clip_norm=0.1)
    for name, value in expected.snapshot().parameters.items():
        np.testing.assert_allclose(found.read_parameter(name), value, rtol=1e-9, atol=1e-9, err_msg=name)
    assert means == pytest.approx(wanted)
    x, y = samples(program, 9)
    one, other = (each.measure(each.load(x, y, None), 4) for each in (found, expected))
    assert one == pytest.approx(other)
    predicted = [each.predict(each.load(x, None, None), 4) for each in (found, expected)]
    np.testing.assert_allclose(*predicted, rtol=1e-9)
    assert found.plan.reason is not None
    assert "a graph" in found.plan.reason
