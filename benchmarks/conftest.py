"""What every benchmark of a backend says about itself, beside what pytest-benchmark says about the machine."""

from typing import Any

import pytest

from dnnkit.backends import get_backend
from dnnkit.bench.machine import describe
from dnnkit.errors import BackendUnavailable


def pytest_configure() -> None:
    """A backend that was chosen and cannot work is said at once, not by every benchmark."""
    try:
        get_backend()
    except BackendUnavailable as error:
        raise pytest.UsageError(str(error)) from error


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["dnnkit"] = describe()


@pytest.fixture(autouse=True)
def _about(request: pytest.FixtureRequest) -> None:
    """Version, device, threads and BLAS, in `extra_info`: a saved run can be read without its machine."""
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
