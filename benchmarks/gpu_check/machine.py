"""Description of the machine: the GPU, the driver, CUDA, and the versions that computed the reference."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dnnkit.bench.peers.machine import describe

PACKAGES = ("numpy", "numba", "scipy")


def gpu(backend: Any) -> dict[str, Any]:
    """Return the whole description."""
    cupy = backend.xp
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(backend.number)
    free, total = backend.memory()
    return {
        **describe(),
        "gpu": backend.device,
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "multiprocessors": properties["multiProcessorCount"],
        "memory": total,
        "memory_free": free,
        "driver_cuda": runtime.driverGetVersion(),
        "driver": driver(),
        "cupy": cupy.__version__,
        "cuda_of_cupy": cupy.cuda.driver.get_build_version(),
        "cuda_found": runtime.runtimeGetVersion(),  # version of the libcudart that was found, which may differ
        "packages": packages(),
    }


def driver() -> str | None:
    """Return the driver version that its kernel module reports, or None."""
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0].strip() if path.exists() else None


def packages() -> dict[str, str | None]:
    """Return the versions of the packages that computed the reference; None for missing ones."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
