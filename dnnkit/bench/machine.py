"""Description of the machine, without paths or host names."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

SETTINGS = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "NUMBA_", "DNNKIT_BACKEND", "DNNKIT_PARTITION")
PACKAGES = ("dnnkit", "numpy", "scipy", "numba", "llvmlite", "scipy-openblas32")
USUAL_CACHE = 32 << 20
"""Size of the last-level cache in bytes if the system does not report it."""


def describe() -> dict[str, Any]:
    """Return the processor, its clock and caches, BLAS and threads, versions, and the load."""
    from dnnkit.backends.processors import processors

    return {
        "processor": _processor(),
        "processors": processors(),
        "clock": _clock(),
        "last-level cache, bytes": last_level_cache(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "BLAS": _blas(),
        "backends": _backends(),
        "environment": {name: os.environ[name] for name in sorted(os.environ) if name.startswith(SETTINGS)},
        "load before": load_average(),
    }


def load_average() -> float | None:
    """Return the load average of the last minute, or None."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def command() -> str:
    """Return the command that repeats this run."""
    import shlex

    arguments = [argument if argument == "-" else shlex.quote(argument) for argument in sys.argv[1:]]
    return " ".join(["dnnkit", *arguments])


def last_level_cache() -> int:
    """Return the size of the last-level cache in bytes."""
    sizes = [USUAL_CACHE]
    for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = file.read_text().strip()
        units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
        if text[:-1].isdigit() and text[-1] in units:
            sizes.append(int(text[:-1]) * units[text[-1]])
    return max(sizes[1:], default=USUAL_CACHE)


def _clock() -> str:
    """Describe whether the clock frequency may change during the measurement."""
    folder = Path("/sys/devices/system/cpu/cpu0/cpufreq")
    try:
        governor = (folder / "scaling_governor").read_text().strip()
        most = int((folder / "scaling_max_freq").read_text()) / 1e6
    except (OSError, ValueError):
        return "the system does not tell its setting"
    return f"governor {governor}, at most {most:.2f} GHz"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _blas() -> list[str]:
    from threadpoolctl import threadpool_info

    return [
        f"{pool['internal_api']} {pool.get('version')}, {pool.get('architecture', '?')}, {pool['num_threads']} threads"
        for pool in threadpool_info()
    ]


def _backends() -> dict[str, str]:
    from dnnkit.backends import available

    return {info.name: f"{info.version} on {info.device}" for info in available() if info.available}
