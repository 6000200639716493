"""The CuPy that pip installs, asked without a GPU: it finds a toolkit where CuPy looks for one, and we say so.

Driver and GPU are feigned, and of the toolkit only names are there; CuPy and its ways of loading libraries are real.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.cupy_backend.feigned import driver, library
from tests.requirements import miss

pytestmark = [pytest.mark.extras, pytest.mark.cuda_on_cpu]  # the latter for the compiler

PROBE = """
from dnnkit.backends.cupy_backend import cuda_diagnosis
state = cuda_diagnosis.probe()
print(state)
assert state.driver == 13020
assert state.capabilities == (90, 103)
assert state.cuda // 1000 == {major}
assert 90 in state.architectures
found = cuda_diagnosis.diagnose(state)
assert found is None, found
"""

FAILURES = """
import cupy
from cupy_backends.cuda.libs import cublas, nvrtc
from dnnkit.backends.cupy_backend.failures import in_our_words
from dnnkit.errors import BackendUnavailable, DeviceMemoryError

runtime, compiler = cupy.cuda.runtime, cupy.cuda.compiler
for failure, kind in (
    (cublas.CUBLASError(1), BackendUnavailable),
    (cublas.CUBLASError(3), DeviceMemoryError),
    (nvrtc.NVRTCError(1), BackendUnavailable),
    (runtime.CUDARuntimeError(2), DeviceMemoryError),
    (runtime.CUDARuntimeError(700), BackendUnavailable),
    (compiler.CompileException("a.cu(1): error", "", "a.cu", ()), BackendUnavailable),
):
    assert type(in_our_words(failure, "GPU 0")) is kind, failure
assert cupy.cuda.driver.CUDADriverError.__module__.startswith("cupy")
assert "CUBLAS_STATUS_NOT_INITIALIZED" in str(cublas.CUBLASError(1))
assert "CUBLAS_STATUS_ALLOC_FAILED" in str(cublas.CUBLASError(3))
for status, name in (
    (2, "MemoryAllocation"),
    (46, "DevicesUnavailable"),
    (209, "NoKernelImageForDevice"),
    (222, "UnsupportedPtxVersion"),
    (700, "IllegalAddress"),
    (719, "LaunchFailure"),
):
    assert str(runtime.CUDARuntimeError(status)).startswith("cudaError" + name), status
"""

NAMES = """
import cupy
from cupy_backends.cuda.libs import nvrtc
from dnnkit.backends.cupy_backend.executable import PER_THREAD

assert cupy.cuda.runtime.streamPerThread == PER_THREAD
assert cupy.cuda.Stream(ptds=True).ptr == PER_THREAD
assert cupy.cuda.Stream(ptds=True) == cupy.cuda.Stream.ptds
assert callable(nvrtc.getVersion) and callable(nvrtc.getSupportedArchs)
assert callable(cupy.cuda.driver.get_build_version)
"""


COMPILER = """
int nvrtcVersion(int* major, int* minor) {{ *major = {major}; *minor = 0; return 0; }}
int nvrtcGetNumSupportedArchs(int* count) {{ *count = 2; return 0; }}
int nvrtcGetSupportedArchs(int* all) {{ all[0] = 75; all[1] = 90; return 0; }}
const char* nvrtcGetErrorString(int status) {{ return "an error"; }}
"""


def toolkit(root: Path, extension: Path) -> str:
    """As much of a CUDA toolkit as loads; returns its major version, which CuPy's extension module asks for."""
    listed = subprocess.check_output(["nm", "-D", "--undefined-only", str(extension)], text=True)
    wanted = [line.split()[-1] for line in listed.splitlines() if " cublas" in line]
    major = wanted[0].rpartition(".")[2]
    names = [name.partition("@")[0] for name in wanted]
    library(root / "lib64", "libcublasLt", major, "int none;")
    library(root / "lib64", "libcublas", major, "".join(f"int {name}(void) {{ return 0; }}\n" for name in names))
    library(root / "lib64", "libnvrtc", major, COMPILER.format(major=major))
    (root / "include").mkdir()
    (root / "include" / "cuda_runtime.h").write_text("")
    return major


@pytest.fixture
def package() -> Path:
    """The folder of CuPy's extension modules."""
    spec = importlib.util.find_spec("cupy_backends")
    if spec is None or not spec.submodule_search_locations:
        miss("CuPy, to be looked at without a GPU: pip install cupy-cuda13x")
    return Path(spec.submodule_search_locations[0])


def ask(code: str, **variables: str) -> None:
    """Run it in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of libraries are Linux's")
def test_a_toolkit_that_only_cupy_finds_will_do(tmp_path: Path, package: Path) -> None:
    """NVIDIA's libraries are beside Python's packages, say, where the system's loader does not look."""
    (extension,) = package.glob("cuda/libs/cublas.*.so")
    major = toolkit(tmp_path, extension)
    driver(tmp_path / "driver")
    loader = str(tmp_path / "driver")
    ask(PROBE.format(major=major), CUDA_PATH=str(tmp_path), LD_LIBRARY_PATH=loader)
    ask(FAILURES, CUDA_PATH=str(tmp_path))


def test_names_and_numbers_are_cupys(package: Path) -> None:
    ask(NAMES)
