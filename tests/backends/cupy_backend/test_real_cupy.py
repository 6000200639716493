"""The CuPy that pip installs, asked without a GPU: it finds a toolkit where CuPy looks for one, and we say so.

Driver and GPU are feigned, and of the toolkit only names are there; CuPy and its ways of loading libraries are real.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import gnu_compiler, miss

pytestmark = [pytest.mark.extras, pytest.mark.cuda_on_cpu]  # the latter for the compiler

PROBE = """
from dnnkit.backends.cupy_backend import cuda_diagnosis
cuda_diagnosis._driver_version = lambda: 99000
cuda_diagnosis._driver_devices = lambda: (0, 1)
state = cuda_diagnosis.probe()
print(state)
assert state.cuda // 1000 == {major}
found = cuda_diagnosis.diagnose(state)
assert found is None, found
"""


def library(folder: Path, name: str, major: str, code: str) -> None:
    """A shared library of that name and version."""
    folder.mkdir(parents=True, exist_ok=True)
    full = f"{name}.so.{major}"
    script = folder / f"{name}.map"
    script.write_text(f"{full} {{ global: *; }};")
    command = [str(gnu_compiler()), "-shared", "-fPIC", "-xc", "-", "-o", str(folder / full)]
    linker = [f"-Wl,-soname,{full}", f"-Wl,--version-script={script}"]
    subprocess.run([*command, *linker], input=code, text=True, check=True)


def toolkit(root: Path, extension: Path) -> str:
    """As much of a CUDA toolkit as loads; returns its major version, which CuPy's extension module asks for."""
    listed = subprocess.check_output(["nm", "-D", "--undefined-only", str(extension)], text=True)
    wanted = [line.split()[-1] for line in listed.splitlines() if " cublas" in line]
    major = wanted[0].rpartition(".")[2]
    names = [name.partition("@")[0] for name in wanted]
    library(root / "lib64", "libcublasLt", major, "int none;")
    library(root / "lib64", "libcublas", major, "".join(f"int {name}(void) {{ return 0; }}\n" for name in names))
    says = f"int nvrtcVersion(int* major, int* minor) {{ *major = {major}; *minor = 0; return 0; }}"
    library(root / "lib64", "libnvrtc", major, says)
    (root / "include").mkdir()
    (root / "include" / "cuda_runtime.h").write_text("")
    return major


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of libraries are Linux's")
def test_a_toolkit_that_only_cupy_finds_will_do(tmp_path: Path) -> None:
    """NVIDIA's libraries are beside Python's packages, say, where the system's loader does not look."""
    spec = importlib.util.find_spec("cupy_backends")
    if spec is None or not spec.submodule_search_locations:
        miss("CuPy, to be looked at without a GPU: pip install cupy-cuda13x")
    (extension,) = Path(spec.submodule_search_locations[0]).glob("cuda/libs/cublas.*.so")
    major = toolkit(tmp_path, extension)
    environment = {**os.environ, "CUDA_PATH": str(tmp_path)}
    command = [sys.executable, "-c", PROBE.format(major=major)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
