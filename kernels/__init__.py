"""How it is computed: one folder per kernel, its versions side by side.

A kernel's `__init__.py` is its contract: maths, shapes, units, bytes moved, errors, accuracy, source. Its
`reference.py` is the plain version, a pure function on NumPy arrays or those of any array-API namespace (`xp`); run in
float64 it is the oracle for every other version. `cpu.py` (Numba), `gpu.cu` (CUDA C++) and `gpu.py` (its launcher)
stand beside it where they exist. Activations and losses stand in folders of their kind; on a GPU, all elementwise
activations share a launcher, and so do all losses.

`registry.py` finds kernels by their folder: adding a folder adds a kernel. `_reference/`, `_numba/` and `_cuda/` hold
what the versions of one sort share.
"""

if __name__ != "dnnkit.kernels":  # a second copy would have its own state: refuse it
    raise ImportError(f"import this package as dnnkit.kernels, not as {__name__!r}")
