"""CUDA activations: what a GPU promises beyond the conformance suite."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._cuda import activations
from dnnkit.testing.cases import DTYPES, Case, samples
from dnnkit.testing.comparing import flushed
from dnnkit.testing.questions import representatives

ROWWISE = [name for name in registry.names("activation") if not registry.activation(name).elementwise]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", representatives())
def test_bits_are_the_same_in_place_misaligned_and_with_few_blocks(gpu, name, dtype, few_blocks):
    """All elementwise activations share the passes over arrays."""
    activation = registry.activation(name)
    for shape in [(3, 1365), (130, 65)]:
        case = Case(name, dtype, shape)
        # A number that counts as zero may be passed on unchanged: the compiler chooses each time.
        x, dy = flushed(samples(case)), case.rng.normal(size=shape).astype(dtype)
        kept = activation.forward(x) if activation.saves == "output" else x
        found = set()
        for shift in (0, 0, 1):
            y, dx = gpu.full(shape, dtype, shift), gpu.full(shape, dtype, shift)
            activations.forward(activation, gpu.put(x, shift), y)
            activations.backward(activation, gpu.put(dy, shift), gpu.put(kept, shift), dx)
            found.add(tuple(array.tobytes() for array in gpu.get(y, dx)))
        place, back = gpu.put(x), gpu.put(dy)
        activations.forward(activation, place, place)
        activations.backward(activation, back, gpu.put(kept), back)
        found.add(tuple(array.tobytes() for array in gpu.get(place, back)))
        assert len(found) == 1


@pytest.mark.parametrize("name", ROWWISE)
def test_a_bias_is_added_before_an_activation_of_rows(gpu, name, rng):
    for shape in [(5, 3), (40, 10), (3, 70)]:
        x, b = rng.normal(size=shape), rng.normal(size=shape[1])
        out = gpu.put(x)
        activations.launcher(name).forward(out, out, gpu.put(b))
        np.testing.assert_allclose(gpu.get(out), registry.activation(name).forward(x + b), rtol=1e-13)
