"""Machine code of kernels: from a function's name to its address, without Numba wherever its front end is not needed.

A kernel is written in Python. `kernels/_numba` compiles it to LLVM bitcode; the shipped archive (`archive.py`) holds
the bitcode of every built-in kernel. LLVM turns bitcode into machine code for this processor (`machine_code.py`), which
is cached on disk (`kept.py`) and called by address (`functions.py`). What the archive lacks (formulas, third-party
kernels, edited sources, other processors) is compiled from Python when it is first needed.
"""
