"""What tests with a marker need beyond Python: where it is missing they are skipped, and in CI they fail."""

import os
import shutil
from collections.abc import Callable

import pytest

from tests.cuda_compile import nvrtc

NEEDED: dict[str, tuple[str, Callable[[], str | None]]] = {
    "cuda_on_cpu": ("g++", lambda: shutil.which("g++")),
    "cuda_compile": ("NVRTC: pip install nvidia-cuda-nvrtc", nvrtc.find),
}
"""For each marker, what it needs in words, and where that is."""


def require(item: pytest.Item) -> None:
    """Skip the test if what its markers need is not here; in CI, which sets `CI`, fail it."""
    for marker, (words, find) in NEEDED.items():
        if item.get_closest_marker(marker) and find() is None:
            if os.environ.get("CI"):
                pytest.fail(f"needs {words}, and CI must have it", pytrace=False)
            pytest.skip(f"needs {words}")
