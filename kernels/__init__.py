"""Kernels: how each operation is computed. One folder per kernel, its versions side by side.

A kernel's `__init__.py` is its contract: maths, shapes, units, memory traffic, errors, accuracy, source. Its
`reference.py` is the plain version, a pure function on NumPy arrays or those of any array-API namespace (`xp`); run in
float64, it is the oracle for all other versions. `cpu.py` (Numba), `gpu.cu` (CUDA C++) and `gpu.py` (its launcher)
exist where a kernel has them. On a GPU all elementwise activations share one launcher, and so do all losses.

`registry.py` finds kernels by folder: adding a folder adds a kernel. `_reference/`, `_numba/`, `_cuda/` and `_target/`
hold what versions of one sort share; `_engine/` is the compiled training loop, and `_native/` turns the Numba versions
into machine code.
"""

if __name__ != "dnnkit.kernels":  # a second copy would have its own state
    raise ImportError(f"import this package as dnnkit.kernels, not as {__name__!r}")
