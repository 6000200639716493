"""The GPU that tests of CUDA kernels run on: a GPU, or the CPU, which checks every access. A copy of the package."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnnkit.backends import available
from dnnkit.kernels._cuda import launch
from tests.cuda_on_cpu import cupy_stand_in
from tests.cuda_on_cpu.cupy_stand_in import raw
from tests.kernels.checkouts import copy_checkout

ON_CPU = pytest.param("cpu", marks=pytest.mark.cuda_on_cpu)
ON_GPU = pytest.param("gpu", marks=pytest.mark.gpu)


class Gpu:
    """CuPy, or its stand-in, and arrays to and from it."""

    def __init__(self, cupy: Any) -> None:
        self.cupy = cupy

    def put(self, x: Any, shift: int = 0) -> Any:
        """Return the array on the device; `shift` elements after an aligned address, always in separate memory."""
        x = np.asarray(x)
        memory = self.cupy.empty(x.size + shift, dtype=x.dtype)
        memory[shift:] = self.cupy.asarray(np.ascontiguousarray(x).reshape(-1))
        return memory[shift:].reshape(x.shape)

    def full(self, shape: Any, dtype: Any, shift: int = 0) -> Any:
        """Return memory for a result, filled with a number that would be noticed."""
        return self.put(np.full(shape, 77, dtype), shift)

    def get(self, *arrays: Any) -> Any:
        """Return the arrays on the host."""
        found = [np.array(self.cupy.asnumpy(array)) for array in arrays]
        return found[0] if len(found) == 1 else found


_checked_module = functools.cache(launch._module.__wrapped__)
_checked_kernel = functools.cache(launch._kernel.__wrapped__)
"""Kernels compiled with every access checked, apart from those of other tests."""


@contextmanager
def checked_on_cpu() -> Iterator[Any]:
    """Within the block, CuPy is the stand-in, and every memory access and every barrier is checked."""
    with pytest.MonkeyPatch.context() as patch, cupy_stand_in.in_place_of_cupy() as cupy:
        patch.setattr(raw, "sanitize", True)
        patch.setattr(launch, "_module", _checked_module)
        patch.setattr(launch, "_kernel", _checked_kernel)
        yield cupy


@pytest.fixture(params=[ON_CPU, ON_GPU])
def gpu(request: pytest.FixtureRequest) -> Iterator[Gpu]:
    """The CPU, which checks every memory access and every barrier, then a real GPU where there is one."""
    if request.param == "gpu":
        found = next((info for info in available() if info.name == "cupy"), None)
        if found is None or not found.available:
            pytest.skip("no GPU" if found is None else f"no GPU: {found.reason}")
        import cupy

        yield Gpu(cupy)
        return
    with checked_on_cpu() as cupy:
        yield Gpu(cupy)


@pytest.fixture
def few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grids so small that every loop over a grid takes several turns."""
    monkeypatch.setattr(launch, "MOST_BLOCKS", 2)


@pytest.fixture(scope="session", autouse=True)
def _symbols() -> None:
    """Code that Numba itself compiles in a test may call dnnkit's functions, which are known by symbols."""
    if any(info.name == "numba" and info.available for info in available()):
        import dnnkit.kernels.matmul.cpu  # noqa: F401 - declares them
        from dnnkit.kernels._native.functions import provide_all

        provide_all()


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    """A copy that no test edits."""
    return copy_checkout(tmp_path_factory.mktemp("checkout"))
