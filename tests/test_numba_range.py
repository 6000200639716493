"""Both ends of the range of Numba versions: an environment of each trains and has the private parts in use."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dnnkit.backends.numba_backend.backend import AFTER, OLDEST

ROOT = Path(__file__).parents[1]
TESTS = ["tests/kernels/_numba/test_private.py", "tests/backends/numba_backend/test_workers.py", "tests/kernels/matmul"]
TOOLS = ["pytest", "pytest-xdist", "hypothesis", "array-api-strict", "nbformat"]


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [f"numba=={OLDEST}.*", f"numba<{AFTER}"], ids=["oldest", "newest"])
def test_the_numba_version_compiles_as_it_should(wanted: str, tmp_path: Path) -> None:
    environment = {**os.environ, "DNNKIT_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": ""}
    checkout = tmp_path / "checkout"  # without the archive, so that Numba has something to do
    ignored = shutil.ignore_patterns("archive", "__pycache__", ".*", "build")
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=ignored)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    install = [python, "-m", "pip", "install", "--quiet", wanted, *needed, *TOOLS]
    subprocess.run(install, check=True, env=environment)
    command = [python, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
