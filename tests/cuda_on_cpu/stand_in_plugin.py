"""A pytest plugin (`-p tests.cuda_on_cpu.stand_in_plugin`): for all tests of the process, the stand-in is CuPy."""

from contextlib import ExitStack

import pytest

from tests.cuda_on_cpu import cupy_stand_in

_installed = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    _installed.enter_context(cupy_stand_in.in_place_of_cupy())
    config.add_cleanup(_installed.close)
