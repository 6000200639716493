"""A private OpenBLAS for compiled code, single-threaded, called by each worker.

NumPy and SciPy bring their own OpenBLAS, whose thread pool belongs to the user's NumPy code: limiting it to one thread
while training would slow that down. This one is the library of the package scipy-openblas32, loaded so that no other
library resolves its symbols. See docs/design/0012-own-blas.md.
"""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

PACKAGE = "scipy_openblas32"
SYMBOLS = {"dnnkit.blas.sgemm": "scipy_cblas_sgemm", "dnnkit.blas.dgemm": "scipy_cblas_dgemm"}
"""Symbol in compiled code -> name in the library."""


@cache
def library() -> ctypes.CDLL:
    """Load the library without importing its package, which would expose it to every library loaded later."""
    package = importlib.util.find_spec(PACKAGE)
    assert package is not None, "NumbaBackend.unavailable_reason looks for it"
    folder = Path(next(iter(package.submodule_search_locations or ()))) / "lib"
    files = [file for file in folder.iterdir() if file.suffix in (".so", ".dylib", ".dll")]
    found = ctypes.CDLL(str(files[0]))
    found.scipy_openblas_set_num_threads(1)
    found.scipy_openblas_get_corename.restype = ctypes.c_char_p
    return found


def address(symbol: str) -> int:
    """Return the address of one of `SYMBOLS`."""
    return ctypes.cast(getattr(library(), SYMBOLS[symbol]), ctypes.c_void_p).value or 0


def kernels() -> str:
    """Return the processor that the library's kernels were written for."""
    return str(library().scipy_openblas_get_corename().decode())


def describe() -> str:
    """Describe the BLAS in a phrase."""
    from importlib.metadata import version

    return f"OpenBLAS {version('scipy-openblas32')}, kernels for {kernels()}, one thread per worker"
