"""What the numbers are of: the GPU, the driver, CUDA, and the versions of what computed the reference."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dnnkit.bench.peers.machine import describe

PACKAGES = ("numpy", "numba", "scipy")


def gpu(backend: Any) -> dict[str, Any]:
    """All of it."""
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
        "cuda_found": runtime.runtimeGetVersion(),  # of the libcudart that was found, so it may be another
        "packages": packages(),
    }


def driver() -> str | None:
    """The driver's own version, as its kernel module tells it."""
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0].strip() if path.exists() else None


def packages() -> dict[str, str | None]:
    """Versions of what computed the reference; None for what is not here."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
