"""Fixtures for all tests: which backends they run on, and a clean slate for what a process can set."""

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

pytest_plugins = ["tests.cuda_compile.report"]  # a conftest.py beside it would not be read by the process that prints

settings.register_profile("dnnkit", deadline=None)  # timing never decides a test
settings.load_profile("dnnkit")

STRICT = "strict"
"""An array-API library without mutation and without `base.py` overridden: see `strict_backend.py`."""


def tested_backends() -> list[str]:
    """`DNNKIT_TEST_BACKENDS`, separated by commas; else all that work here or must, and the strict one."""
    if requested := os.environ.get("DNNKIT_TEST_BACKENDS"):
        return [name.strip() for name in requested.split(",")]
    works = [info.name for info in available() if info.available]
    return works + ["cupy"] * (gpu_is_required() and "cupy" not in works) + [STRICT]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    require(item)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks at everything takes longest; begun first, it leaves no process with a long test alone at the end."""
    items.sort(key=lambda item: item.nodeid.startswith(("tests/backends/", "tests/dnnkit/", "tests/kernels/")))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: no garbage collection need look through all of it, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@contextmanager
def in_force(name: str) -> Iterator[Backend]:
    """The backend of that name, in force; one that was requested and cannot work is a failure."""
    with pytest.MonkeyPatch.context() as patch:
        if name == STRICT:
            patch.setitem(registry.BACKENDS._things, STRICT, StrictBackend)
        instance: Backend = StrictBackend() if name == STRICT else get_backend(name)
        with dk.use_backend(name):
            yield instance


@pytest.fixture(params=tested_backends())
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each backend in turn, in force for the test."""
    with in_force(request.param) as instance:
        yield instance


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """Also where the tests run in the background: shells turn the signal off there, and every child inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _children_share_bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where none may be written beside the sources, each of hundreds of processes would compile all of dnnkit again:
    they get a folder for it that ends with this session."""
    if not sys.dont_write_bytecode:
        yield
        return
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "bytecode"
    with contextlib.suppress(FileExistsError):  # another worker's
        folder.mkdir()
        _link_bytecode(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(folder))
        yield


def _link_bytecode(folder: Path) -> None:
    """Of packages that are imported here; Python looks for it nowhere else then."""
    for module in list(sys.modules.values()):
        cached = getattr(module, "__cached__", None)  # modules that libraries make up may answer anything
        file = Path(cached if isinstance(cached, str) else "nowhere")
        if file.is_file():
            link = folder / file.parents[1].relative_to(file.anchor) / file.name
            link.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # a process compiled it meanwhile
                link.symlink_to(file)


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_told_of_compiling() -> Iterator[None]:
    """So that no test sees it among its own output; the tests of that have a patience of their own."""
    if NumbaBackend.unavailable_reason() is not None:
        yield
        return
    from dnnkit.kernels._native import telling

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telling, "PATIENCE", math.inf)
        yield


@pytest.fixture(autouse=True)
def _clean_slate(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the user's choice of backend, nor another test's."""
    monkeypatch.delenv("DNNKIT_BACKEND", raising=False)
    monkeypatch.delenv("DNNKIT_PARTITION", raising=False)
    monkeypatch.delenv("DNNKIT_DIVISION", raising=False)
    dk.set_backend(None)
    yield
    dk.set_backend(None)


@pytest.fixture
def one_blas_thread() -> Iterator[None]:
    """For tests that multiply many matrices by NumPy alone: on processors that others use, too, the threads of BLAS
    wait for each other a hundred times as long as they compute."""
    with blas_threads().bounded(1):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261122)
