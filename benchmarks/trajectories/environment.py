"""What decides about the last bits of a result: processor, versions, settings. No names of machines, no paths."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import dnnkit as dk

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "scipy-openblas32", "sympy")
SETTINGS = (
    "GLIBC_TUNABLES",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NUMBA_LOOP_VECTORIZE",
    "NUMBA_OPT",
    "NUMBA_SLP_VECTORIZE",
    "OPENBLAS_CORETYPE",
)


def environment() -> dict[str, Any]:
    """What has to be the same for the same bits."""
    name, features = _processor()
    return {
        "processor": name,
        "features": features,
        "system": f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}",
        "python": platform.python_version(),
        "versions": {package: found for package in PACKAGES if (found := _version(package))},
        "BLAS of NumPy": _blas(),
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
    }


def code() -> dict[str, str | None]:
    """Whose trajectories they are: dnnkit's version, and the commit where there is one; `+` for changes since."""
    return {"dnnkit": dk.__version__, "commit": _commit()}


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """What differs between two environments, in words."""
    return [
        f"{name} is {here.get(name)!r}, but was {there.get(name)!r}"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]


def _processor() -> tuple[str, str]:
    """Its name and what it can do, as LLVM knows it; where LLVM is not, its name alone."""
    try:
        from llvmlite import binding
    except ImportError:
        return platform.processor() or platform.machine(), ""
    has = sorted(name for name, present in binding.get_host_cpu_features().items() if present)
    return binding.get_host_cpu_name(), " ".join(has)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _blas() -> list[str]:
    """Library, version and the processor whose kernels it took; not those that other packages brought."""
    import numpy
    from threadpoolctl import threadpool_info

    folders = {Path(numpy.__file__).parent, Path(numpy.__file__).parents[1] / "numpy.libs"}
    return sorted(
        f"{pool['internal_api']} {pool.get('version')}, kernels for {pool.get('architecture', 'unknown')}"
        for pool in threadpool_info()
        if folders & set(Path(pool["filepath"]).parents)
    )


def _commit() -> str | None:
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        found = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "diff", "HEAD", "--quiet"], capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip() + ("+" if changed.returncode else "")
