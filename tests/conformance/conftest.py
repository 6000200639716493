"""Each implementation in turn: every backend, Numba's kernels by address, CUDA kernels on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dnnkit.testing import QUESTIONS, Implementation, of_backend
from dnnkit.testing.conformance import kernels
from tests.conftest import in_force, tested_backends

ENTRY_POINTS, CUDA_ON_CPU = "entry points", "CUDA on the CPU"


def _operations(name: str) -> frozenset[str]:
    if name == ENTRY_POINTS:
        from tests.conformance.entry_points import EntryPoints

        return EntryPoints.operations
    return Implementation.operations


@contextmanager
def _made(name: str) -> Iterator[Implementation]:
    if name == ENTRY_POINTS:
        from tests.conformance.entry_points import EntryPoints

        yield EntryPoints()
    elif name == CUDA_ON_CPU:
        from tests.conformance import cuda_on_cpu

        with cuda_on_cpu.implementation() as made:
            yield made
    else:
        with in_force(name) as backend:
            yield of_backend(backend)


@pytest.fixture
def implementation(request: pytest.FixtureRequest) -> Iterator[Implementation]:
    """The implementation that the test's name says."""
    with _made(request.param) as made:
        yield made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every check of every kernel, for each implementation that provides the operation."""
    if "implementation" not in metafunc.fixturenames:
        return
    entry_points = [ENTRY_POINTS] if "numba" in tested_backends() else []
    names = [*tested_backends(), *entry_points, CUDA_ON_CPU]
    marks = {CUDA_ON_CPU: [pytest.mark.cuda_on_cpu], "cupy": [pytest.mark.gpu]}
    if "question" not in metafunc.fixturenames:
        params = [pytest.param(name, id=name, marks=marks.get(name, [])) for name in names]
        metafunc.parametrize("implementation", params, indirect=True)
        return
    params = [
        pytest.param(
            name,
            question,
            kernel,
            id=f"{name}-{question.kind}-{question.name}-{kernel}",
            marks=marks.get(name, []),
        )
        for name in names
        for question in QUESTIONS
        for kernel in kernels(question.kind, question.operation)
        if question.operation in _operations(name)
    ]
    metafunc.parametrize(("implementation", "question", "kernel"), params, indirect=["implementation"])
