"""The stand-in for CuPy, as a fixture."""

from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.cuda_on_cpu import cupy_stand_in


@pytest.fixture
def cupy() -> Iterator[ModuleType]:
    with cupy_stand_in.in_place_of_cupy() as module:
        yield module
