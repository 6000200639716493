"""Fixtures for all tests: the backends they run on, and a clean process state."""

import contextlib
import gc
import math
import os
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import dnnkit as dk
from dnnkit.backends import Backend, available, get_backend, registry
from dnnkit.backends.blas_threads import blas_threads
from dnnkit.backends.numba_backend import NumbaBackend
from tests.requirements import gpu_is_required, require
from tests.strict_backend import StrictBackend

pytest_plugins = ["tests.cuda_compile.report"]  # the process that prints would not read a conftest.py in that folder

settings.register_profile("dnnkit", deadline=None)  # timing never decides a test
settings.load_profile("dnnkit")

STRICT = "strict"
"""An array-API library without mutation, running `base.py` without overrides: see `strict_backend.py`."""


def tested_backends() -> list[str]:
    """Backends of `DNNKIT_TEST_BACKENDS`, separated by commas; by default all that work here or have to, and the strict
    one."""
    if requested := os.environ.get("DNNKIT_TEST_BACKENDS"):
        return [name.strip() for name in requested.split(",")]
    works = [info.name for info in available() if info.available]
    return works + ["cupy"] * (gpu_is_required() and "cupy" not in works) + [STRICT]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    require(item)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that scan the whole repository take longest: start them first, so that no process ends with a long test
    alone."""
    items.sort(key=lambda item: item.nodeid.startswith(("tests/backends/", "tests/dnnkit/", "tests/kernels/")))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collected items live to the end: exclude them from all later garbage collections."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@contextmanager
def in_force(name: str) -> Iterator[Backend]:
    """Use the backend of that name; a requested backend that does not work is a failure."""
    with pytest.MonkeyPatch.context() as patch:
        if name == STRICT:
            patch.setitem(registry.BACKENDS._things, STRICT, StrictBackend)
        instance: Backend = StrictBackend() if name == STRICT else get_backend(name)
        with dk.use_backend(name):
            yield instance


@pytest.fixture(params=tested_backends())
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Use each backend in turn for the test."""
    with in_force(request.param) as instance:
        yield instance


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_interrupts() -> Iterator[None]:
    """Restore SIGINT, which shells ignore in background jobs and every child process inherits."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _children_share_bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where bytecode cannot be written next to the sources, hundreds of processes would compile all of dnnkit again:
    give them a folder for it that is removed with this session."""
    if not sys.dont_write_bytecode:
        yield
        return
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "bytecode"
    with contextlib.suppress(FileExistsError):  # of another pytest worker
        folder.mkdir()
        _link_bytecode(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(folder))
        yield


def _link_bytecode(folder: Path) -> None:
    """Write bytecode of the packages imported so far; Python then looks for it nowhere else."""
    for module in list(sys.modules.values()):
        cached = getattr(module, "__cached__", None)  # modules that libraries create may return anything
        file = Path(cached if isinstance(cached, str) else "nowhere")
        if file.is_file():
            link = folder / file.parents[1].relative_to(file.anchor) / file.name
            link.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # another process has compiled it meanwhile
                link.symlink_to(file)


@pytest.fixture(scope="session", autouse=True)
def _no_messages_about_compiling() -> Iterator[None]:
    """Suppress the message about compiling, which would be in tests' output; its own tests set another delay."""
    if NumbaBackend.unavailable_reason() is not None:
        yield
        return
    from dnnkit.kernels._native import compile_progress

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compile_progress, "PATIENCE", math.inf)
        yield


@pytest.fixture(autouse=True)
def _clean_slate(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the user's choice of backend, nor that of another test."""
    monkeypatch.delenv("DNNKIT_BACKEND", raising=False)
    monkeypatch.delenv("DNNKIT_PARTITION", raising=False)
    monkeypatch.delenv("DNNKIT_DIVISION", raising=False)
    dk.set_backend(None)
    yield
    dk.set_backend(None)


@pytest.fixture
def one_blas_thread() -> Iterator[None]:
    """For tests with many NumPy matrix products: on a busy machine BLAS threads wait for each other a hundred times as
    long as they compute."""
    with blas_threads().bounded(1):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261122)
