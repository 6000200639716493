"""Kinds of stages on the GPU against float64, in sizes at which threads, packs, strips and chunks take other paths."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._cuda import launch, strips
from dnnkit.kernels.norm_bound import reference as norm_bound
from dnnkit.kernels.penalty import reference as penalty
from dnnkit.kernels.stages import Context, Example, kind
from dnnkit.kernels.stages.embedding import gpu as embedding
from dnnkit.testing.cases import wide
from dnnkit.testing.stages import arrays
from tests.cuda_on_cpu.compiling import order
from tests.kernels.conftest import Gpu
from tests.kernels.stages.sizes import OF_SIZE

SHAPES = ((0, 3), (1, 1), (7, 31), (33, 64), (131, 33), (2, 1025))
"""Rows and features: none, one, primes, powers of two and their neighbors, rows of several layouts."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few blocks and short chunks, so that every loop takes several turns, and sums are made of parts."""
    monkeypatch.setattr(launch, "MOST_BLOCKS", 3)
    monkeypatch.setattr(strips, "ROWS_OF_THREAD", 2)
    monkeypatch.setattr(embedding, "ROWS_OF_WARP", 64)


def asked(gpu: Gpu, name: str, example: Example, xs: Any, parameters: Any, dy: Any, shift: int) -> list[Any]:
    """y, the gradients in inputs and trained parameters, and statistics."""

    def memory(name: str, shape: tuple[int, ...], dtype: Any = None, fill: Any = None) -> Any:
        return gpu.full(shape, dy.dtype if dtype is None else dtype, shift) if fill is None else gpu.put(fill)

    launcher, context = registry.version(name, "gpu"), Context(True, 1, 2, 2**33 + 5)
    own, held = [gpu.put(x, shift) for x in xs], [gpu.put(p, shift) for p in parameters]
    y, saved = launcher.forward(own, held, example.settings, context, memory)
    found = gpu.get(y)
    dxs, given = launcher.backward(gpu.put(dy, shift), saved, held, example.settings, [True] * len(xs), memory)
    parts = [*dxs, *given, *context.statistics.values()]
    return [found, *(np.array(gpu.get(part)) for part in parts if part is not None)]


def expected(name: str, example: Example, xs: Any, parameters: Any, dy: Any) -> list[Any]:
    context, one = Context(True, 1, 2, 2**33 + 5), kind(name)
    y, saved = one.forward(xs, parameters, example.settings, context, np)
    dxs, given = one.backward(dy, saved, parameters, example.settings, [True] * len(xs), np)
    parts = [*dxs, *given, *context.statistics.values()]
    return [y, *(part for part in parts if part is not None)]


def test_every_kind_is_tested() -> None:
    assert set(OF_SIZE) == {name for name in registry.names("stage") if registry.has_gpu_version(name)}


@pytest.mark.parametrize("name", OF_SIZE)
def test_every_size_follows_the_reference_with_the_same_bits_in_any_order(gpu: Gpu, name: str) -> None:
    for number, (rows, features) in enumerate(SHAPES):
        if rows == 0 and name == "batch_normalization":
            continue  # an empty batch has no mean
        dtype = ("float32", "float64")[number % 2]
        example, rng = OF_SIZE[name](features), np.random.default_rng(rows)
        xs, parameters = arrays(example, rows, dtype, rng)
        dy = rng.normal(size=(rows, example.features)).astype(dtype)
        runs = []
        for shift, how in ((number % 3 == 2, "shuffled"), (number % 3 == 2, "backwards")):
            with order(how) if gpu.cupy.__version__.endswith("stand.in") else nullcontext():
                runs.append(asked(gpu, name, example, xs, parameters, dy, int(shift)))
        if rows == 0:  # not all references know the width of an empty array
            assert runs[0][0].shape == (0, example.features)
            assert not any(part.any() for part in runs[0])
            continue
        exact = expected(name, example, [wide(x) for x in xs], [wide(p) for p in parameters], wide(dy))
        assert len(runs[0]) == len(exact)
        for first, second, wanted in zip(*runs, exact, strict=True):
            assert first.tobytes() == second.tobytes()
            assert first.dtype == dtype
            limit = 200 * np.finfo(dtype).eps * (1 + np.abs(wanted).max(initial=0.0))
            np.testing.assert_allclose(first, wanted, rtol=0, atol=limit, err_msg=f"{rows} x {features}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_penalties_and_bounds(gpu: Gpu, dtype: str) -> None:
    rng = np.random.default_rng(1)
    for rows, columns in ((1, 1), (31, 7), (65, 129)):
        w = rng.normal(size=(rows, columns)).astype(dtype)
        w[0, 0] = 0
        l1, l2, dw = (np.abs(rng.normal(size=w.size)).astype(dtype) for _ in range(3))
        own = [gpu.put(array) for array in (w.reshape(-1), l1, l2)]
        total, slope, numbers = gpu.put(np.ones(1)), gpu.put(dw), gpu.put(np.array([7, 0.5], dtype))
        kernel = registry.version("penalty", "gpu")
        kernel.penalty(*own, total, gpu.full(launch.PARTIALS, "float64"), 1.0, numbers, 1, adds=True)
        exact = [wide(array) for array in (w.reshape(-1), l1, l2)]
        eps = float(np.finfo(dtype).eps)
        assert gpu.get(total)[0] == pytest.approx(1 + float(penalty.penalty(*exact)) / 2, rel=10 * eps)
        kernel.gradient(own[0], slope, *own[1:])
        wanted = penalty.gradient(exact[0], wide(dw), *exact[1:])
        np.testing.assert_allclose(gpu.get(slope), wanted, rtol=0, atol=20 * eps)
        for bounds in ((0.0, 1.0, 1.0, False), (9.0, 12.0, 0.5, False), (0.0, 1.0, 1.0, True), (0.0, 1e9, 1.0, False)):
            held = gpu.put(w)
            registry.version("norm_bound", "gpu").constrain(
                held, *bounds, lambda name, shape, kind=None, fill=None: gpu.full(shape, kind or dtype)
            )
            found, wanted = gpu.get(held), norm_bound.constrain(wide(w), *bounds)
            np.testing.assert_allclose(found, wanted, rtol=100 * eps, atol=0)
            if bounds[1] == 1e9:
                assert found.tobytes() == w.tobytes()
