"""The GPU that tests of CUDA kernels run on: the same tests on the CPU, where every access is checked, and on a GPU."""

import functools
import shutil
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dnnkit.backends import available
from dnnkit.kernels import cuda
from tests.cuda_on_cpu import cupy_stand_in
from tests.cuda_on_cpu.cupy_stand_in import raw

ON_CPU = pytest.param("cpu", marks=pytest.mark.cuda_on_cpu)
ON_GPU = pytest.param("gpu", marks=pytest.mark.gpu)


class Gpu:
    """CuPy, or what stands for it, and arrays to and from it."""

    def __init__(self, cupy: Any) -> None:
        self.cupy = cupy

    def put(self, x: Any, shift: int = 0) -> Any:
        """The array on the device; `shift` elements behind an aligned address, of its own in any case."""
        x = np.asarray(x)
        memory = self.cupy.empty(x.size + shift, dtype=x.dtype)
        memory[shift:] = self.cupy.asarray(np.ascontiguousarray(x).reshape(-1))
        return memory[shift:].reshape(x.shape)

    def full(self, shape: Any, dtype: Any, shift: int = 0) -> Any:
        """Memory for a result, full of a number that would be noticed."""
        return self.put(np.full(shape, 77, dtype), shift)

    def get(self, *arrays: Any) -> Any:
        """The arrays on the host."""
        found = [np.array(self.cupy.asnumpy(array)) for array in arrays]
        return found[0] if len(found) == 1 else found


@functools.cache
def _stand_in() -> dict[str, ModuleType]:
    """The stand-in's modules, installed once: what was compiled for it stays."""
    before = {name: sys.modules.get(name) for name in cupy_stand_in.MODULES}
    cupy_stand_in.install()
    modules = {name: sys.modules[name] for name in cupy_stand_in.MODULES}
    cupy_stand_in.remove()
    sys.modules.update({name: module for name, module in before.items() if module is not None})
    return modules


@pytest.fixture(params=[ON_CPU, ON_GPU])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    """The CPU, which checks every access to memory and every barrier, then a real GPU where there is one."""
    if request.param == "gpu":
        found = next((info for info in available() if info.name == "cupy"), None)
        if found is None or not found.available:
            pytest.skip("no GPU" if found is None else f"no GPU: {found.reason}")
        import cupy

        yield Gpu(cupy)
        return
    if shutil.which("g++") is None:
        pytest.skip("running CUDA kernels on the CPU needs g++")
    modules = _stand_in()
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(raw, "sanitize", True)
    yield Gpu(modules["cupy"])


@pytest.fixture
def few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grids so small that every loop over a grid takes several turns."""
    monkeypatch.setattr(cuda, "MOST_BLOCKS", 2)
