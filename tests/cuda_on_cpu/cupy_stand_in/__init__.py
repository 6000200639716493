"""A strict stand-in for CuPy on the CPU, so that the CuPy backend's own logic runs where there is no GPU.

It provides what dnnkit uses of CuPy and nothing else, and is stricter than CuPy where a mistake would only show on a
GPU:

- an array never becomes a NumPy array implicitly (`__array__` raises, as CuPy's does), cannot be combined with a NumPy
  array, and is no argument of a NumPy function;
- as in CuPy, arrays have neither `__array_namespace__` nor `__index__`, and every reduction gives a 0-d array;
- memory is a budget (`memory.limit`): exceeding it raises `OutOfMemoryError`, as CuPy's pool does, and uninitialized
  memory holds NaN;
- arrays belong to a device, and are used on that device only;
- `RawModule` compiles the same `.cu` files for the CPU, and a kernel takes contiguous arrays only; float32 denormals
  count as zero there, as CuPy has its kernels compiled;
- a cooperative grid that does not fit is cut, with only a warning, as by CuPy, and shared memory above 48 KiB has to be
  requested;
- pinned memory may be freed when the host knows that no copy reads it any more, and not before;
- prepared launches and cuBLAS get addresses, at which there has to be memory that is not yet freed; cuBLAS is a library
  that is loaded and called like the real one;
- launches in a stream that is captured run when the graph is launched, and not before;
- it counts waits for the device, uploads, allocations and launches (`counts`).

`in_place_of_cupy()` puts it under CuPy's names. Names and signatures are compared with the real CuPy where that is
installed (`test_cupy_stand_in.py`).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from dnnkit.backends import registry
from dnnkit.backends.cupy_backend import cuda_diagnosis
from dnnkit.kernels._cuda import products
from tests.cuda_on_cpu.cupy_stand_in import cublas, device, namespace, raw

MODULES = (
    *("cupy", "cupy.cuda", "cupy.cuda.driver", "cupy.cuda.runtime", "cupy.cuda.memory"),
    *("cupyx", "cupyx.scipy", "cupyx.scipy.special"),
)
LIBRARIES = (
    *("cupy_backends", "cupy_backends.cuda", "cupy_backends.cuda.libs"),
    *("cupy_backends.cuda.libs.cublas", "cupy_backends.cuda.libs.nvrtc", "cuda", "cuda.pathfinder"),
)
"""How CuPy loads NVIDIA's libraries, and where it looks for headers."""

VERSION = 13000
"""CUDA versions: the driver's, and the one that CuPy was built for."""

CUDA = {
    "Device": device.Device,
    "Event": device.Event,
    "Stream": device.Stream,
    "alloc_pinned_memory": device.alloc_pinned_memory,
    "get_current_stream": device.get_current_stream,
    "get_elapsed_time": device.get_elapsed_time,
}
RUNTIME = {
    "getDeviceCount": lambda: device.memory.devices,
    "getDevice": device.current_device,
    "getDeviceProperties": device.properties,
    "memGetInfo": lambda: device.Device().mem_info,
    "runtimeGetVersion": lambda: VERSION,
    "driverGetVersion": lambda: VERSION,
    "CUDARuntimeError": device.CUDARuntimeError,
}
DRIVER = {
    "get_build_version": lambda: VERSION,
    "launchKernel": raw.launchKernel,
    "CUDADriverError": device.CUDADriverError,
}
NVRTC = {"getVersion": lambda: (13, 0), "getSupportedArchs": lambda: (75, 80, 90, 100)}

counts = device.counts
memory = device.memory


@cache
def modules() -> dict[str, ModuleType]:
    """The stand-in under the names of CuPy's modules in `sys.modules`."""
    made = {name: ModuleType(name) for name in (*MODULES, *LIBRARIES)}
    for name, module in made.items():
        module.__spec__ = ModuleSpec(name, None)
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(made[parent], own, module)
    contents = {
        "cupy": {**namespace.FUNCTIONS, "__version__": "14.0.0+stand.in"},
        "cupy.cuda": CUDA,
        "cupy.cuda.driver": DRIVER,
        "cupy.cuda.runtime": RUNTIME,
        "cupy.cuda.memory": {"OutOfMemoryError": device.OutOfMemoryError},
        "cupyx.scipy.special": namespace.SPECIAL,
        "cupy_backends.cuda.libs.cublas": {"CUBLASError": device.CUBLASError},
        "cupy_backends.cuda.libs.nvrtc": NVRTC,
        "cuda.pathfinder": {
            "find_nvidia_header_directory": lambda library: "/usr/include",
            "load_nvidia_dynamic_lib": cublas.load_nvidia_dynamic_lib,
        },
    }
    for name, names in contents.items():
        vars(made[name]).update(names)
    return made


@contextmanager
def in_place_of_cupy() -> Iterator[ModuleType]:
    """Within the block, `import cupy` gives the stand-in, a driver has two GPUs, and the counts start at zero."""
    own = modules()
    with pytest.MonkeyPatch.context() as patch:
        for name, module in own.items():
            patch.setitem(sys.modules, name, module)
        patch.setattr(cuda_diagnosis, "_driver_version", lambda: VERSION)
        patch.setattr(cuda_diagnosis, "_driver_devices", lambda: (0, memory.devices))
        patch.setattr(cuda_diagnosis, "_driver_capabilities", lambda devices: (90,) * devices)
        patch.setattr(cuda_diagnosis, "probe", cache(cuda_diagnosis.probe.__wrapped__))  # probed again
        patch.setattr(registry, "_instance", cache(registry._instance.__wrapped__))  # no backend made before or after
        products.forget()
        patch.setattr(products, "WORKSPACE_OF_HOPPER", 1 << 12)  # for tests of little memory
        memory.__init__()  # type: ignore[misc]
        counts.reset()
        yield own["cupy"]
