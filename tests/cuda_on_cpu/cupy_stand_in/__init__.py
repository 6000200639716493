"""A strict stand-in for CuPy on the CPU, so that the CuPy backend's own logic runs where there is no GPU.

It is what dnnkit uses of CuPy and nothing else, and is stricter than CuPy where a mistake would only show on a GPU:

- an array never becomes a NumPy array unasked (`__array__` raises, as CuPy's does), is no operand beside a NumPy array
  and no argument of a NumPy function;
- as in CuPy, arrays have neither `__array_namespace__` nor `__index__`, and every reduction gives a 0-d array;
- memory is a budget (`memory.limit`): what does not fit raises `OutOfMemoryError`, as CuPy's pool does, and memory that
  is not set to anything holds NaN;
- arrays belong to a device, and are used on that device only;
- `RawModule` compiles the same `.cu` files for the CPU, and a kernel takes contiguous arrays only;
- it counts what waits for the device, what is uploaded, allocated and launched (`counts`).

`install()` puts it under the names that CuPy has. Names and signatures are compared with the real CuPy where that is
installed (`test_cupy_stand_in.py`).
"""

import sys
from types import ModuleType

from tests.cuda_on_cpu.cupy_stand_in import device, namespace

MODULES = ("cupy", "cupy.cuda", "cupy.cuda.runtime", "cupy.cuda.memory", "cupyx", "cupyx.scipy", "cupyx.scipy.special")

counts = device.counts
memory = device.memory


def install() -> ModuleType:
    """Put the stand-in into `sys.modules` under CuPy's names; the module that `import cupy` then gives."""
    modules = {name: ModuleType(name) for name in MODULES}
    for name, module in modules.items():
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(modules[parent], own, module)
    contents = {
        "cupy": namespace.FUNCTIONS,
        "cupy.cuda": device.CUDA,
        "cupy.cuda.runtime": device.RUNTIME,
        "cupy.cuda.memory": {"OutOfMemoryError": device.OutOfMemoryError},
        "cupyx.scipy.special": namespace.SPECIAL,
    }
    for name, names in contents.items():
        vars(modules[name]).update(names)
    modules["cupy"].__version__ = "14.0.0+stand.in"  # type: ignore[attr-defined]
    sys.modules.update(modules)
    return modules["cupy"]


def remove() -> None:
    """Take the stand-in out of `sys.modules`."""
    for name in MODULES:
        sys.modules.pop(name, None)
