"""An OpenBLAS of our own for compiled code, with one thread for each worker.

NumPy and SciPy each bring an OpenBLAS too, whose threads belong to whoever uses NumPy: to have one thread there while
we train would take it from others. Ours is the file of the package scipy-openblas32, loaded so that nobody else sees
it. See docs/design/0012-own-blas.md.
"""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

PACKAGE = "scipy_openblas32"
SYMBOLS = {"dnnkit.blas.sgemm": "scipy_cblas_sgemm", "dnnkit.blas.dgemm": "scipy_cblas_dgemm"}
"""What compiled code calls -> what it is called in the library."""


@cache
def library() -> ctypes.CDLL:
    """The library, without importing its package: that would lend it to every library loaded later."""
    package = importlib.util.find_spec(PACKAGE)
    assert package is not None, "NumbaBackend.unavailable_reason looks for it"
    folder = Path(next(iter(package.submodule_search_locations or ()))) / "lib"
    files = [file for file in folder.iterdir() if file.suffix in (".so", ".dylib", ".dll")]
    found = ctypes.CDLL(str(files[0]))
    found.scipy_openblas_set_num_threads(1)
    found.scipy_openblas_get_corename.restype = ctypes.c_char_p
    return found


def address(symbol: str) -> int:
    """Of one of the `SYMBOLS`."""
    return ctypes.cast(getattr(library(), SYMBOLS[symbol]), ctypes.c_void_p).value or 0


def kernels() -> str:
    """For which processor the library's kernels were written."""
    return str(library().scipy_openblas_get_corename().decode())


def describe() -> str:
    """Which BLAS it is, in words."""
    from importlib.metadata import version

    return f"OpenBLAS {version('scipy-openblas32')}, kernels for {kernels()}, one thread a worker"
