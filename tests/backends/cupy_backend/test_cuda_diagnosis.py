"""Why CuPy cannot work, in words, with the command that fixes it: machines of every kind, simulated."""

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dnnkit import doctor
from dnnkit.backends import available, get_backend
from dnnkit.backends.cupy_backend import cuda_diagnosis
from dnnkit.backends.cupy_backend.cuda_diagnosis import CudaState, diagnose
from dnnkit.errors import BackendUnavailable
from tests import processes
from tests.backends.cupy_backend.feigned import driver

WORKS = CudaState(cupy="14.2.0", driver=13020, devices=1, cuda=13020)

MACHINES = {
    "nothing": (CudaState(), "the package cupy is not installed, nor is an NVIDIA driver", "pip install 'dnnkit[gpu]'"),
    "a new driver": (CudaState(driver=13000), "cupy is not installed", "pip install 'dnnkit[gpu]'"),
    "an older driver": (CudaState(driver=12080), "cupy is not installed", "pip install 'dnnkit[gpu12]'"),
    "no driver": (CudaState(cupy="14.2.0"), "CuPy is installed, but no NVIDIA driver", ""),
    "no GPU": (CudaState(cupy="14.2.0", driver=13000, driver_error=100), "the NVIDIA driver sees no GPU", ""),
    "a hidden GPU": (
        CudaState(cupy="14.2.0", driver=13000, driver_error=100, visible=""),
        "sees no GPU (CUDA_VISIBLE_DEVICES is '')",
        "",
    ),
    "a driver that was updated": (
        CudaState(cupy="14.2.0", driver=13000, driver_error=803),
        "of different versions: restart the machine",
        "",
    ),
    "an unknown error": (CudaState(cupy="14.2.0", driver=13000, driver_error=4242), "reports error 4242", ""),
    "none of the GPUs": (CudaState(cupy="14.2.0", driver=13000, visible="7"), "CUDA_VISIBLE_DEVICES is '7'", ""),
    "CuPy for a newer CUDA": (
        CudaState(cupy="14.2.0", driver=12040, devices=1, cuda=13020, packages=("cupy-cuda13x",)),
        "the driver runs CUDA 12.4 at most, but CuPy 14.2.0 here is for CUDA 13",
        "pip uninstall -y cupy-cuda13x && pip install 'dnnkit[gpu12]'   (or update the driver)",
    ),
    "an ancient driver": (
        CudaState(cupy="14.2.0", driver=11080, devices=1, cuda=12090),
        "the driver runs CUDA 11.8 at most, but CuPy 14.2.0 here is for CUDA 12: update the driver",
        "",
    ),
    "an old CuPy": (CudaState("13.6.0", 13000, 0, 1, cuda=12090), "CuPy 13.6.0 is too old", "--upgrade"),
    "a broken CuPy": (
        CudaState(None, 13000, 0, 1, import_error="ImportError: libcudart.so.12", packages=("cupy-cuda12x",)),
        "CuPy cannot be imported: ImportError: libcudart.so.12",
        "pip uninstall -y cupy-cuda12x && pip install 'dnnkit[gpu]'",
    ),
    "two of CuPy": (
        CudaState(None, 13000, 0, 1, import_error="ImportError: x", packages=("cupy-cuda12x", "cupy-cuda13x")),
        "cupy-cuda12x and cupy-cuda13x are installed together",
        "pip uninstall -y cupy-cuda12x cupy-cuda13x && pip install 'dnnkit[gpu]'",
    ),
    "no compiler": (
        CudaState("14.2.0", 13000, 0, 1, cuda=13000, missing=("NVRTC, the compiler (libnvrtc.so.13 not found)",)),
        "CuPy 14.2.0 lacks a part of the CUDA toolkit: NVRTC, the compiler (libnvrtc.so.13 not found)",
        "pip install 'cupy-cuda13x[ctk]'",
    ),
    "no headers": (
        CudaState("14.2.0", 13000, 0, 1, cuda=13000, missing=("CUDA's headers",)),
        "CuPy 14.2.0 lacks a part of the CUDA toolkit: CUDA's headers",
        "pip install 'cupy-cuda13x[ctk]'",
    ),
    "no cuBLAS for CUDA 12": (
        CudaState("14.2.0", 13000, 0, 1, cuda=12090, missing=("cuBLAS, matrix products (libcublas.so.12)",)),
        "cuBLAS, matrix products (libcublas.so.12)",
        "pip install 'cupy-cuda12x[ctk]'",
    ),
    "a B200 and a compiler that came before it": (
        CudaState("14.2.0", 13000, 0, 1, cuda=12090, capabilities=(100,), architectures=(50, 75, 80, 89, 90)),
        "the GPU has compute capability 10.0, but the CUDA compiler here compiles for 5.0 to 9.0",
        "pip install --upgrade --upgrade-strategy eager 'cupy-cuda12x[ctk]'",
    ),
    "a GPU whose number the compiler skips": (
        CudaState("14.2.0", 13000, 0, 1, cuda=12090, capabilities=(103,), architectures=(90, 100, 101, 120)),
        "compute capability 10.3",
        "pip install --upgrade --upgrade-strategy eager 'cupy-cuda12x[ctk]'",
    ),
    "an old GPU and CUDA 13": (
        CudaState("14.2.0", 13000, 0, 1, cuda=13000, capabilities=(61,), architectures=(75, 80, 90, 100, 120)),
        "compute capability 6.1, but the CUDA compiler here compiles for 7.5 to 12.0: the GPU is too old for it",
        "pip uninstall -y cupy-cuda13x && pip install 'dnnkit[gpu12]'",
    ),
}


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return (the reason, the remedy) on such a machine."""
    state, reason, remedy = MACHINES[request.param]
    monkeypatch.setattr(cuda_diagnosis, "probe", lambda: state)
    return reason, remedy


def test_the_error_says_why_and_what_to_do(machine: tuple[str, str]) -> None:
    reason, remedy = machine
    with pytest.raises(BackendUnavailable) as error:
        get_backend("cupy")
    assert str(error.value).count(reason) == 1
    assert remedy in str(error.value)
    assert ("To install it" in str(error.value)) == bool(remedy)


@pytest.mark.parametrize("found", [None, "/usr/local/cuda/include"])
def test_headers_are_looked_for_as_cupy_does(found: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVRTC and cuBLAS are not enough: CuPy compiles kernels of its own that include CUDA's headers."""
    pathfinder = SimpleNamespace(find_nvidia_header_directory=lambda library: found)
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", pathfinder)  # type: ignore[arg-type]
    assert any("CUDA's headers" in missing for missing in cuda_diagnosis._missing()) == (found is None)


class Libraries(ModuleType):
    """A stand-in for CuPy's libraries, which loads NVIDIA's when an attribute is read, or reports that it cannot."""

    def __init__(self, compiler: bool, products: bool) -> None:
        super().__init__("cupy_backends.cuda.libs")
        self.compiler, self.products = compiler, products

    def __getattr__(self, name: str) -> Any:
        if name == "cublas":
            if not self.products:
                raise ImportError("Failure finding libcublas\nin many places")
            return ModuleType(name)
        if name == "nvrtc":
            return SimpleNamespace(getVersion=self.version)
        raise AttributeError(name)

    def version(self) -> tuple[int, int]:
        if not self.compiler:
            raise RuntimeError("Failure finding libnvrtc")
        return 13, 0


@pytest.mark.parametrize("compiler", [True, False])
@pytest.mark.parametrize("products", [True, False])
def test_libraries_are_loaded_as_cupy_does(compiler: bool, products: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing the modules that use the libraries is not enough: it fails where they exist, or loads nothing."""
    for name in ("cupy_backends", "cupy_backends.cuda"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "cupy_backends.cuda.libs", Libraries(compiler, products))
    monkeypatch.setattr(cuda_diagnosis, "_has_headers", lambda: True)
    expected = [] if compiler else ["NVRTC, the compiler (Failure finding libnvrtc)"]
    expected += [] if products else ["cuBLAS, matrix products (Failure finding libcublas)"]
    assert cuda_diagnosis._missing() == expected


def test_it_is_listed_with_the_reason_and_auto_passes_it_over(machine: tuple[str, str]) -> None:
    info = {info.name: info for info in available()}["cupy"]
    assert not info.available
    assert machine[0] in str(info.reason)
    assert get_backend("auto").name == "numba"


def test_the_doctor_says_it_too(machine: tuple[str, str]) -> None:
    found = {finding.subject: finding for finding in doctor.examine()}["backend cupy"]
    assert found.state == "note"
    assert machine[0] in found.message
    assert machine[1] in found.advice
    assert bool(machine[1]) == bool(found.advice)


@pytest.mark.parametrize("driver", [13000, 13020, 14010])
@pytest.mark.parametrize("cuda", [12090, 13000, 13020])
def test_a_driver_that_is_as_new_will_do(driver: int, cuda: int) -> None:
    """CuPy runs on every driver of its CUDA's major version, and on newer ones."""
    assert diagnose(CudaState("14.0.1", driver, 0, 1, cuda=cuda)) is None
    assert diagnose(WORKS) is None


@pytest.mark.parametrize("gpus", [(90,), (100,), (86,), (121,), (61, 90), ()])
def test_a_gpu_that_the_compiler_knows_will_do(gpus: tuple[int, ...]) -> None:
    """CuPy compiles for the GPU's own architecture, or the compiler's newest, which later GPUs of its family run."""
    known = (75, 80, 86, 89, 90, 100, 120)
    state = CudaState("14.2.0", 13000, 0, max(1, len(gpus)), cuda=13000, capabilities=gpus, architectures=known)
    assert diagnose(state) is None


def test_diagnosis_without_a_driver_raises_and_imports_nothing() -> None:
    code = """
import sys
from dnnkit.backends.cupy_backend import cuda_diagnosis
state = cuda_diagnosis.probe()
found = cuda_diagnosis.diagnose(state)
assert found is None or found.reason
if state.driver is None:
    assert "cupy" not in sys.modules, "CuPy was imported in vain"
import dnnkit as dk
dk.get_backend()
dk.backends.available()
"""
    result = processes.run([sys.executable, "-W", "error", "-c", code])
    assert result.returncode == 0, result.stderr


DRIVER = """
from dnnkit.backends.cupy_backend import cuda_diagnosis
assert cuda_diagnosis._driver_version() == 13020
assert cuda_diagnosis._driver_devices() == (0, 2)
assert cuda_diagnosis._driver_capabilities(2) == (90, 103)
assert cuda_diagnosis._driver_capabilities(0) == ()
"""


@pytest.mark.cuda_on_cpu  # for the compiler
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the driver's name is Linux's")
def test_the_driver_reports_the_compute_capability_of_each_gpu(tmp_path: Path) -> None:
    driver(tmp_path)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    result = processes.run([sys.executable, "-c", DRIVER], env=environment)
    assert result.returncode == 0, result.stderr


def test_a_cupy_that_cannot_be_imported_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text("raise RuntimeError('broken on purpose\\nsecond line')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "cupy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(cuda_diagnosis, "_driver_version", lambda: 13000)
    monkeypatch.setattr(cuda_diagnosis, "_driver_devices", lambda: (0, 1))
    state = cuda_diagnosis.probe.__wrapped__()
    assert state.import_error == "RuntimeError: broken on purpose"
    found = diagnose(state)
    assert found is not None
    assert "CuPy cannot be imported: RuntimeError: broken on purpose" in found.reason
