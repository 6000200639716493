"""Indices of 32 bits within chunks: what works with chunks of 64 elements or rows works with those of 2^30."""

import functools
import mmap

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._cuda import activations, launch
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels.clip_norm import gpu as clipping
from dnnkit.kernels.dense import gpu as dense
from dnnkit.kernels.dropout import Draw
from dnnkit.kernels.dropout import gpu as dropout
from dnnkit.kernels.optimizer_step import gpu as update
from tests.cuda_on_cpu.compiling import compile_for_cpu

CHUNK = 64
SIZES = [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 3, 2 * CHUNK, 3 * CHUNK + 2]


@pytest.fixture
def small_chunks(gpu, monkeypatch):
    """Kernels whose chunks are of 64 elements, or rows."""

    def set_up():
        options = Source.options
        with monkeypatch.context() as patch:
            patch.setattr(Source, "options", lambda self: (*options(self), f"-DCHUNK={CHUNK}"))
            patch.setattr(launch, "_module", functools.cache(launch._module.__wrapped__))
            patch.setattr(launch, "_kernel", functools.cache(launch._kernel.__wrapped__))
            patch.setattr(launch, "MOST_BLOCKS", 1)
            yield

    yield from set_up()


def results(gpu, rng, size, shift):
    """Call kernels with every kind of loop, on arrays of this number of elements, or rows."""
    tanh = registry.activation("tanh")
    x, g, slot, wide = (rng.normal(size=each).astype(np.float32) for each in (size, size, size, (size, 4)))
    y, p, v, drawn, clipped = (gpu.put(each, shift) for each in (x, x, slot, x, x))
    activations.forward(tanh, y, y)
    update.momentum(1, p, gpu.put(g, shift), v, 0.1, 0.9, 0.01)
    dropout.draw(drawn, Draw(0.5, 1, 2, 3), drawn)
    clipping.clip_norm(clipped, 0.5, clipped)
    z, dz, w, dw = (gpu.put(each) for each in (wide, wide, np.eye(4, dtype=np.float32), np.zeros((4, 4), np.float32)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "multiply", lambda a, b, out: None)  # z is the product
        dense.forward(z, w, gpu.put(np.ones(4, np.float32)), tanh, None, z)
        dense.backward(dz, z, w, z, tanh, False, dz, None, dw, gpu.full(4, np.float32))
    return gpu.get(y, p, v, drawn, clipped, z, dz)


def test_every_chunk_is_computed_once(gpu, request):
    expected = [results(gpu, np.random.default_rng(size), size, shift) for size in SIZES for shift in (0, 1)]
    request.getfixturevalue("small_chunks")
    actual = [results(gpu, np.random.default_rng(size), size, shift) for size in SIZES for shift in (0, 1)]
    for one, other in zip(expected, actual, strict=True):
        for whole, in_chunks in zip(one, other, strict=True):
            np.testing.assert_allclose(in_chunks, whole, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.cuda_on_cpu
def test_more_elements_than_32_bits_count():
    """8 GiB of zeros that occupy no memory, except for the last page and one in the middle."""
    count = 2**31 + 5
    x = np.frombuffer(mmap.mmap(-1, 4 * count), np.float32)
    x[[2**30 - 1, 2**30, -1]] = 2.0, 3.0, 6.0
    source = Source.of("clip_norm/gpu.cu", "float32")
    macros = dict(option.removeprefix("-D").split("=") for option in source.options() if option.startswith("-D"))
    parts = np.zeros(1)
    kernel = compile_for_cpu(source.text(), macros).get_function("sum_squares")
    kernel((1,), (256,), (x, parts, np.int64(count)))
    assert parts[0] == 4 + 9 + 36
