"""How it is computed: one folder a kernel, its versions side by side.

A kernel's `__init__.py` is its contract: maths, shapes, units, bytes moved, errors, accuracy, source. Its
`reference.py` is the plain version, a pure function on NumPy arrays that any array-API namespace can take the
place of (`xp`); run in float64 it is the oracle for every other version. `cpu.py` (Numba) and `gpu.cu` + `gpu.py`
(CUDA) stand beside it where they exist.

`contract.py` finds kernels by their folder: adding a folder adds a kernel.
"""

if __name__ != "dnnkit.kernels":  # a second copy would have its own state: refuse it
    raise ImportError(f"import this package as dnnkit.kernels, not as {__name__!r}")
