"""Everything that affects the last bits of a result: processor, versions, settings. No machine names, no paths."""

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
    """Return what has to be the same for equal bits."""
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
    """Return dnnkit's version, and the commit if there is one; `+` for uncommitted changes."""
    return {"dnnkit": dk.__version__, "commit": _commit()}


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Describe the differences between two environments."""
    return [
        f"{name} is {here.get(name)!r}, but was {there.get(name)!r}"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]


def _processor() -> tuple[str, str]:
    """Return the processor's name and features as LLVM reports them; without LLVM, only the name."""
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
    """Return library, version and kernel selection of each BLAS, except those that other packages bring."""
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
