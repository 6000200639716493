"""Diagnosis of CUDA on this machine: if CuPy cannot work, why, and what to do.

It runs whenever a backend is chosen, so the checks go from cheap to expensive, each only if the previous one passed: is
CuPy installed; is there a driver, and what does it report; does CuPy load; does it load its libraries.
"""

import ctypes
import importlib
import importlib.util
import os
import sys
from dataclasses import replace
from functools import cache

from dnnkit.deferred import dataclass

OLDEST_CUPY = 14
DRIVER_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def _load_compiler() -> None:
    from cupy_backends.cuda.libs import nvrtc

    nvrtc.getVersion()  # importing it loads nothing yet


def _load_products() -> None:
    from cupy_backends.cuda.libs import cublas  # noqa: F401


LIBRARIES = {"NVRTC, the compiler": _load_compiler, "cuBLAS, matrix products": _load_products}
"""Libraries that CuPy loads on first use, and how it loads them.

They are read as attributes of `libs`: that also searches the places where pip installs NVIDIA's libraries, while
importing the module does not, and fails.
"""

DRIVER_ERRORS = {
    34: "the CUDA library that was found is a stub, made for linking only",
    100: "the NVIDIA driver sees no GPU",
    803: "the NVIDIA driver and its kernel module are of different versions: restart the machine",
    804: "the GPU does not support this driver's forward compatibility package",
    999: "the NVIDIA driver failed to start, for an unknown reason",
}
"""Results of cuInit as text."""


@dataclass(frozen=True)
class CudaState:
    """State of CUDA on this machine; checks that did not run keep their defaults."""

    cupy: str | None = None
    """CuPy's version; None if it is not installed."""
    driver: int | None = None
    """Newest CUDA version that the driver can run, 13020 for 13.2; None without a driver."""
    driver_error: int = 0
    """Result of cuInit, 0 for success."""
    devices: int = 0
    visible: str | None = None
    """Value of the variable CUDA_VISIBLE_DEVICES."""
    import_error: str = ""
    """Why CuPy cannot be imported."""
    cuda: int = 0
    """CUDA version that CuPy was built for, 13000 for 13.0."""
    missing: tuple[str, ...] = ()
    """Libraries that CuPy could not load, with its messages."""
    capabilities: tuple[int, ...] = ()
    """Compute capability of each GPU, 100 for 10.0."""
    architectures: tuple[int, ...] = ()
    """Compute capabilities supported by the compiler."""
    packages: tuple[str, ...] = ()
    """Distributions that provide CuPy, if they matter."""


@dataclass(frozen=True)
class Diagnosis:
    """Why CuPy cannot work, and the command or step that fixes it; `remedy` is empty if there is none."""

    reason: str
    remedy: str = ""


def diagnose(state: CudaState) -> Diagnosis | None:
    """Return what is wrong with this state; None if CuPy can work."""
    extra = "gpu12" if state.driver is not None and state.driver < 13000 else "gpu"
    install = f"pip install 'dnnkit[{extra}]'"
    if state.cupy is None and not state.import_error:
        nor = ", nor is an NVIDIA driver: it needs an NVIDIA GPU" if state.driver is None else ""
        return Diagnosis(f"the package cupy is not installed{nor}", install)
    if state.driver is None:
        return Diagnosis(f"CuPy is installed, but no NVIDIA driver: {DRIVER_LIBRARY} was not found")
    if state.driver_error:
        said = DRIVER_ERRORS.get(state.driver_error, f"the NVIDIA driver reports error {state.driver_error}")
        hidden = f" (CUDA_VISIBLE_DEVICES is {state.visible!r})" if state.visible is not None else ""
        return Diagnosis(said + hidden)
    if not state.devices:
        return Diagnosis(f"the NVIDIA driver sees no GPU (CUDA_VISIBLE_DEVICES is {state.visible!r})")
    if state.import_error:
        several = f"; {' and '.join(state.packages)} are installed together" if len(state.packages) > 1 else ""
        uninstall = f"pip uninstall -y {' '.join(state.packages)} && " if state.packages else ""
        return Diagnosis(f"CuPy cannot be imported: {state.import_error}{several}", uninstall + install)
    assert state.cupy is not None
    if int(state.cupy.partition(".")[0]) < OLDEST_CUPY:
        return Diagnosis(f"CuPy {state.cupy} is too old: {OLDEST_CUPY} or later is needed", f"{install} --upgrade")
    built, can = state.cuda // 1000, state.driver // 1000
    if built > can:
        there = f"the driver runs CUDA {dotted(state.driver)} at most, but CuPy {state.cupy} here is for CUDA {built}"
        if can < 12:
            return Diagnosis(f"{there}: update the driver; CuPy {OLDEST_CUPY} needs CUDA 12 or later")
        old = " ".join(state.packages) or f"cupy-cuda{built}x"
        return Diagnosis(there, f"pip uninstall -y {old} && {install}   (or update the driver)")
    if state.missing:
        return Diagnosis(
            f"CuPy {state.cupy} lacks a part of the CUDA toolkit: {'; '.join(state.missing)}",
            f"pip install 'cupy-cuda{built}x[ctk]'",
        )
    return _of_the_compiler(state)


def _of_the_compiler(state: CudaState) -> Diagnosis | None:
    """Return why CUDA's compiler does not support the GPUs: they are too new for it, or too old."""
    known, gpus, built = state.architectures, state.capabilities, state.cuda // 1000
    if not known or not gpus or any(_fits(gpu, known) for gpu in gpus):
        return None
    have = " and ".join(sorted({f"{gpu // 10}.{gpu % 10}" for gpu in gpus}))
    reason = (
        f"the GPU has compute capability {have}, but the CUDA compiler here compiles for {min(known) // 10}."
        f"{min(known) % 10} to {max(known) // 10}.{max(known) % 10}"
    )
    if max(gpus) > min(known):
        return Diagnosis(reason, f"pip install --upgrade --upgrade-strategy eager 'cupy-cuda{built}x[ctk]'")
    older = f"pip uninstall -y cupy-cuda{built}x && pip install 'dnnkit[gpu12]'"
    return Diagnosis(f"{reason}: the GPU is too old for it", older if built > 12 else "")


def _fits(gpu: int, known: tuple[int, ...]) -> bool:
    """Whether code compiled for CuPy's target runs: later GPUs of a generation run code of earlier ones."""
    chosen = min(gpu, max(known))
    return chosen in known and chosen // 10 == gpu // 10


@cache
def probe() -> CudaState:
    """Return the state of this machine, cached per process."""
    if importlib.util.find_spec("cupy") is None:
        return CudaState(driver=_driver_version())
    driver = _driver_version()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if driver is None:
        return CudaState(cupy="", visible=visible)
    error, devices = _driver_devices()
    if error or not devices:
        return CudaState("", driver, error, devices, visible)
    try:
        import cupy

        cuda = int(cupy.cuda.driver.get_build_version())
    except Exception as failure:  # any failure of a broken installation is reported, not raised
        message = f"{type(failure).__name__}: {_first_line(failure)}"
        return CudaState(None, driver, 0, devices, visible, message, packages=_packages())
    built = CudaState(str(cupy.__version__), driver, 0, devices, visible, cuda=cuda)
    if cuda // 1000 > driver // 1000:
        return replace(built, packages=_packages())
    missing, capabilities, architectures = tuple(_missing()), _driver_capabilities(devices), _architectures()
    return replace(built, missing=missing, capabilities=capabilities, architectures=architectures)


def _missing() -> list[str]:
    found = []
    for name, load in LIBRARIES.items():
        try:
            load()
        except Exception as failure:  # CuPy's loader raises ImportError, RuntimeError and others
            found.append(f"{name} ({_first_line(failure)})")
    if not _has_headers():
        found.append("CUDA's headers, with which CuPy compiles its own kernels")
    return found


def _architectures() -> tuple[int, ...]:
    """Return the compiler's architectures; empty if it is missing or too old to report them."""
    try:
        from cupy_backends.cuda.libs import nvrtc

        return tuple(int(each) for each in nvrtc.getSupportedArchs())
    except Exception:  # as above
        return ()


def _has_headers() -> bool:
    """Whether headers are found the way CuPy finds them; True for a CuPy that looks elsewhere."""
    try:
        pathfinder = importlib.import_module("cuda.pathfinder")
    except ImportError:
        return True
    return pathfinder.find_nvidia_header_directory("cudart") is not None


def _packages() -> tuple[str, ...]:
    """Return the installed distributions named cupy; listing all takes tens of milliseconds."""
    from importlib.metadata import distributions

    names = {str(distribution.metadata["Name"]).lower() for distribution in distributions()}
    return tuple(sorted(name for name in names if name == "cupy" or name.startswith("cupy-")))


def _driver() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(DRIVER_LIBRARY)
    except OSError:
        return None


def _driver_version() -> int | None:
    """Return the newest CUDA version that the driver can run; needs no GPU and takes no time."""
    driver, version = _driver(), ctypes.c_int()
    if driver is None or driver.cuDriverGetVersion(ctypes.byref(version)):
        return None
    return version.value


def _driver_devices() -> tuple[int, int]:
    """Return (result of cuInit, number of GPUs)."""
    driver, count = _driver(), ctypes.c_int()
    assert driver is not None
    error = int(driver.cuInit(0)) or int(driver.cuDeviceGetCount(ctypes.byref(count)))
    return error, count.value


def _driver_capabilities(devices: int) -> tuple[int, ...]:
    """Return ten times the compute capability of each GPU; empty if the driver does not report it."""
    driver = _driver()
    found = []
    for number in range(devices if driver is not None else 0):
        assert driver is not None
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        if driver.cuDeviceGet(ctypes.byref(device), number):
            return ()
        for attribute, value in ((75, major), (76, minor)):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
            if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
                return ()
        found.append(10 * major.value + minor.value)
    return tuple(found)


def _first_line(failure: Exception) -> str:
    return str(failure).strip().partition("\n")[0]


def dotted(version: int) -> str:
    """Format a version: 13.2 for 13020."""
    return f"{version // 1000}.{version % 1000 // 10}"
