"""Diagnosis of this machine: one finding per check, each with what to do about it."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from dnnkit.backends import available, choice, get_backend
from dnnkit.backends.cupy_backend import cuda_diagnosis
from dnnkit.backends.diagnosis import Finding
from dnnkit.backends.registry import install_command
from dnnkit.datasets import DATASETS
from dnnkit.datasets.store import data_folder
from dnnkit.errors import BackendUnavailable
from dnnkit.files import cache_folder, nearest_existing


def examine() -> list[Finding]:
    """Run all checks, from the general to the specific."""
    findings = [*_versions(), *_choice(), *_backends(), *_cache(), *_data(), *_gpu()]
    return list(dict.fromkeys(findings))  # two backends may report the same finding on a shared library


def _versions() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    yield Finding("Python", "good", f"{platform.python_version()} at {sys.executable}, {machine}")
    try:
        needed = [Requirement(line) for line in requires("dnnkit") or ()]
    except PackageNotFoundError:
        yield Finding("dnnkit", "note", "runs from a folder, not installed", "pip install -e .")
        return
    yield Finding("dnnkit", "good", version("dnnkit"))
    for requirement in needed:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        install = f"pip install '{requirement.name}{requirement.specifier}'"
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield Finding(requirement.name, "problem", "is not installed", install)
            continue
        if requirement.specifier.contains(found, prereleases=True):
            yield Finding(requirement.name, "good", found)
        else:
            yield Finding(requirement.name, "problem", f"{found}, but {requirement.specifier} is needed", install)


def _choice() -> Iterator[Finding]:
    chosen = choice()
    try:
        backend = get_backend()
    except BackendUnavailable as error:
        yield Finding("chosen backend", "problem", str(error), "choose another, or install it as above")
        return
    yield Finding("chosen backend", "good", f"{backend.name} ({chosen.origin}: {chosen.name})")


def _backends() -> Iterator[Finding]:
    for info in available():
        subject = f"backend {info.name}"
        if not info.available:
            yield Finding(subject, "note", f"cannot work here: {info.reason}", install_command(info.name))
            continue
        yield Finding(subject, "good", f"{info.version} on {info.device}")
        yield from get_backend(info.name).diagnose()


def _cache() -> Iterator[Finding]:
    folder = cache_folder()
    origin = "DNNKIT_CACHE_DIR" if os.environ.get("DNNKIT_CACHE_DIR") else "default"
    if folder.exists() and not folder.is_dir():
        yield Finding(
            "cache folder",
            "problem",
            f"{folder} ({origin}) is not a folder",
            "set DNNKIT_CACHE_DIR to a folder, or unset it",
        )
    elif os.access(nearest_existing(folder), os.W_OK):
        yield Finding("cache folder", "good", f"{folder} ({origin})")
    else:
        yield Finding("cache folder", "note", f"{folder} ({origin}), not writable")


def _data() -> Iterator[Finding]:
    folder = data_folder()
    origin = "DNNKIT_DATA_DIR" if os.environ.get("DNNKIT_DATA_DIR") else "default"
    there = [name for name in DATASETS if (folder / name).is_dir()]
    text = f"{folder} ({origin}), holds {', '.join(there) or 'no data set yet'}"
    if os.access(nearest_existing(folder), os.W_OK):
        yield Finding("data folder", "good", text)
    else:
        advice = "" if there else "set DNNKIT_DATA_DIR to a folder you may write to"
        yield Finding("data folder", "note", f"{text}; not writable, so nothing is downloaded", advice)


def _gpu() -> Iterator[Finding]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        driver = cuda_diagnosis.probe().driver
        there = "" if driver is None else f"a driver for CUDA {cuda_diagnosis.dotted(driver)}, without nvidia-smi"
        yield Finding("GPU", "note", there or "no NVIDIA driver is installed: training runs on the CPU")
        return
    query = [tool, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding("GPU", "note", f"the NVIDIA driver does not answer: {error}", "run nvidia-smi to see why")
        return
    for line in answer.splitlines():
        yield Finding("GPU", "good", line)
