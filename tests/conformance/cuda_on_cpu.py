"""The CuPy backend's operations with kernels run on the CPU: every memory access and every barrier is checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dnnkit.backends import get_backend
from dnnkit.kernels._cuda import launch
from dnnkit.testing import Given
from dnnkit.testing.backend_operations import BackendImplementation
from dnnkit.testing.implementations import VARIATIONS
from tests.kernels.conftest import checked_on_cpu

FEW_BLOCKS = Given("misaligned, into out, few blocks", "misaligned", "out")
"""Grids so small that every loop over a grid takes several turns."""


class CudaOnCpu(BackendImplementation):
    """Slow, so tested on less; and also launched with few blocks."""

    variations = (*VARIATIONS, FEW_BLOCKS)

    @contextmanager
    def _call(self, given: Given) -> Iterator[Any]:
        with pytest.MonkeyPatch.context() as patch, super()._call(given) as call:
            if given is FEW_BLOCKS:
                patch.setattr(launch, "MOST_BLOCKS", 2)
            yield call


@contextmanager
def implementation() -> Iterator[CudaOnCpu]:
    """Within the block, CuPy is the stand-in."""
    with checked_on_cpu():
        yield CudaOnCpu(get_backend("cupy"), "CUDA on the CPU", largest=6000)
