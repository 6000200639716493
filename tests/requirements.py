"""What tests with a marker need beyond Python: where it is missing they are skipped, and in CI they fail."""

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from typing import NoReturn

import pytest

from dnnkit.backends.cupy_backend.backend import CupyBackend
from tests.cuda_compile import nvrtc


@cache
def gnu_compiler() -> str | None:
    """Whether g++ is GNU's; on a Mac that name is another compiler."""
    path = shutil.which("g++")
    if path is None or "Free Software Foundation" not in subprocess.check_output([path, "--version"], text=True):
        return None
    return path


NEEDED: dict[str, tuple[str, Callable[[], str | None]]] = {
    "cuda_on_cpu": ("g++", gnu_compiler),
    "cuda_compile": ("NVRTC: pip install nvidia-cuda-nvrtc", nvrtc.find),
}
"""For each marker, its requirement in words, and how to find it."""


def gpu_is_required() -> bool:
    """Return whether tests that need a GPU have to run."""
    return os.environ.get("DNNKIT_REQUIRE_GPU", "0") not in ("", "0")


def require(item: pytest.Item) -> None:
    """Skip the test if the requirements of its markers are missing; in CI, which sets `CI`, fail it.

    CI has no GPU. With DNNKIT_REQUIRE_GPU=1 a test that needs one is not skipped.
    """
    if item.get_closest_marker("gpu") and (reason := CupyBackend.unavailable_reason()):
        if gpu_is_required():
            pytest.fail(f"DNNKIT_REQUIRE_GPU is set, but there is no GPU to use: {reason}", pytrace=False)
        pytest.skip(f"needs a GPU: {reason}")
    for marker, (words, find) in NEEDED.items():
        if item.get_closest_marker(marker) and find() is None:
            miss(words)


def miss(words: str) -> NoReturn:
    """Skip the test that needs this; in CI, fail it."""
    if os.environ.get("CI"):
        pytest.fail(f"needs {words}, and CI must have it", pytrace=False)
    pytest.skip(f"needs {words}")
