"""The CuPy that pip installs, without a GPU: it finds a toolkit where CuPy looks for one, and dnnkit says so.

Driver and GPU are fakes, and of the toolkit only the names exist; CuPy and its ways of loading libraries are real.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.backends.cupy_backend.feigned import DRIVER, LAUNCHES, driver, library
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
from dnnkit.backends.cupy_backend.failures import translated
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
    assert type(translated(failure, "GPU 0")) is kind, failure
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
for name in ("begin_capture", "end_capture", "is_capturing"):
    assert callable(getattr(cupy.cuda.Stream, name)), name
assert cupy.cuda.Stream.begin_capture.__doc__.startswith("_BaseStream.begin_capture(self, mode=None)")
from cupy.cuda.graph import Graph
assert Graph.launch.__doc__.startswith("Graph.launch(self, stream=None)")
cupy.cuda.Event  # block, disable_timing: as compared with the stand-in
assert "kernel" in vars(cupy.RawKernel) and "ptr" in vars(cupy.cuda.Function)
for stream in (cupy.cuda.Stream.null,):
    try:
        stream.begin_capture()
    except RuntimeError as error:
        assert "cannot capture on the default (legacy) stream" in str(error)
    else:
        raise AssertionError("so graphs need a stream of their own")
"""

LAUNCH = """
import numpy as np
from dnnkit.backends.cupy_backend.failures import translated
from dnnkit.kernels._cuda.recording import Recording

class Array:
    class data:
        ptr = 0xABCDE

for kernel in (77, 78):
    recording = Recording()
    arguments = np.float32(1.5), np.int64(1 << 40), Array
    first, given = recording.kernel(kernel, (1, 2, 3, 32, 4, 5, 16), arguments, 9)
    try:
        first(*given)
    except Exception as error:
        print(type(error).__name__, "GPU 0: a kernel failed" in str(translated(error, "GPU 0")))
    else:
        ((again, given),) = recording.calls(10)
        again(*given)
"""

TOLD = """77, (1, 2, 3), (32, 4, 5), 16, in 9: 1.5 1099511627776 0xabcde
77, (1, 2, 3), (32, 4, 5), 16, in 10: 1.5 1099511627776 0xabcde
78, (1, 2, 3), (32, 4, 5), 16, in 9: 1.5 1099511627776 0xabcde
CUDADriverError True
"""

CUBLAS = """
import cupy
from cupy_backends.cuda.libs import cublas
from dnnkit.kernels._cuda import products

assert (products.AS_IT_IS, products.TRANSPOSED) == (cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_T)
library = products.library(cupy)
for name in ("Create_v2", "Destroy_v2", "SetStream_v2", "SetMathMode", "Sgemm_v2", "Dgemm_v2"):
    assert getattr(library, f"cublas{name}")() == 0, name
try:
    products.check(3)
except cublas.CUBLASError as error:
    assert "CUBLAS_STATUS_ALLOC_FAILED" in str(error)
else:
    raise AssertionError("a status is an error")
"""


COMPILER = """
int nvrtcVersion(int* major, int* minor) {{ *major = {major}; *minor = 0; return 0; }}
int nvrtcGetNumSupportedArchs(int* count) {{ *count = 2; return 0; }}
int nvrtcGetSupportedArchs(int* all) {{ all[0] = 75; all[1] = 90; return 0; }}
const char* nvrtcGetErrorString(int status) {{ return "an error"; }}
"""


def toolkit(root: Path, extension: Path) -> str:
    """Write as much of a CUDA toolkit as can be loaded; return its major version, which CuPy's extension module
    requires."""
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
        miss("CuPy, to be inspected without a GPU: pip install cupy-cuda13x")
    return Path(spec.submodule_search_locations[0])


def ask(code: str, **variables: str) -> str:
    """Return the output of the code in a separate process."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = processes.run(command, env={**os.environ, **variables})
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of libraries are Linux's")
def test_a_toolkit_that_only_cupy_finds_will_do(tmp_path: Path, package: Path) -> None:
    """NVIDIA's libraries are next to Python's packages, for example, where the system's loader does not look."""
    (extension,) = package.glob("cuda/libs/cublas.*.so")
    major = toolkit(tmp_path, extension)
    driver(tmp_path / "driver")
    loader = str(tmp_path / "driver")
    ask(PROBE.format(major=major), CUDA_PATH=str(tmp_path), LD_LIBRARY_PATH=loader)
    ask(FAILURES, CUDA_PATH=str(tmp_path))
    ask(CUBLAS, CUDA_PATH=str(tmp_path))  # the library that CuPy finds has the functions that dnnkit and CuPy call


def test_names_and_numbers_are_cupys(package: Path) -> None:
    ask(NAMES)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of libraries are Linux's")
def test_prepared_arguments_arrive_at_the_driver(tmp_path: Path, package: Path) -> None:
    """Launches as a recording passes them to CuPy, in each stream; an error of the driver is one of dnnkit's errors."""
    driver(tmp_path, DRIVER + LAUNCHES)
    assert ask(LAUNCH, LD_LIBRARY_PATH=str(tmp_path)) == TOLD
