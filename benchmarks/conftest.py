"""Information about the backend in every benchmark, in addition to pytest-benchmark's information about the machine."""

from typing import Any

import pytest

from dnnkit.backends import get_backend
from dnnkit.bench.machine import describe
from dnnkit.errors import BackendUnavailable


def pytest_configure() -> None:
    """Report a selected backend that does not work once, not in every benchmark."""
    try:
        get_backend()
    except BackendUnavailable as error:
        raise pytest.UsageError(str(error)) from error


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["dnnkit"] = describe()


@pytest.fixture(autouse=True)
def _about(request: pytest.FixtureRequest) -> None:
    """Store version, device, threads and BLAS in `extra_info`, so that saved runs describe their machine."""
    call = getattr(request.node, "callspec", None)
    if "benchmark" not in request.fixturenames:
        return
    backend = get_backend(call.params.get("backend") if call is not None else None)
    about = describe()
    request.getfixturevalue("benchmark").extra_info.update(
        {
            "backend": backend.address,
            "version": backend.version,
            "device": backend.device,
            "processor": about["processor"],
            "processors": about["processors"],
            "BLAS": about["BLAS"],
            "versions": about["versions"],
            "environment": about["environment"],
        }
    )
