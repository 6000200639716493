"""Description of the machine, without paths or host names."""

import os
import platform
from pathlib import Path
from typing import Any

SETTINGS = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER")
CHOICE = "OPENBLAS_CORETYPE"
"""Overrides which kernels OpenBLAS uses; affects dnnkit, NumPy and scikit-learn."""
LIBRARIES = ("DNNKIT_BACKEND", "XLA_FLAGS", "JAX_PLATFORMS", "JAX_ENABLE_X64", "KERAS_BACKEND")


def describe() -> dict[str, Any]:
    """Return processor, system, Python, and the variables that affect threads and BLAS."""
    names = [name for name in os.environ if name.startswith(SETTINGS) or name in LIBRARIES]
    return {
        "processor": _processor(),
        "processors": processors(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "environment": {name: os.environ[name] for name in sorted(names)},
    }


def processors() -> int:
    """Return the number of processors that a process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_average() -> float | None:
    """Return the load average of the last minute, or None."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes.

    On Linux the kernel's value for this program is used: getrusage also counts the parent's memory before exec.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def thread_pools() -> list[dict[str, Any]]:
    """Return the BLAS and OpenMP libraries in this process with kernels and threads; [] without threadpoolctl."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    return [
        {
            "library": pool["internal_api"],
            "version": pool.get("version"),
            "kernels": pool.get("architecture"),
            "threads": pool["num_threads"],
            "of": _owner(Path(pool["filepath"])),
        }
        for pool in threadpool_info()
    ]


def _owner(path: Path) -> str:
    """Return the package that a library belongs to."""
    parts = path.parts
    packages = [parts[place + 1] for place, part in enumerate(parts[:-1]) if part == "site-packages"]
    return packages[-1].removesuffix(".libs") if packages else "the system"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
