"""Machine code of kernels, from a function's name to its address, without Numba wherever nothing needs its front end.

A kernel is written in Python. `kernels/_numba` makes LLVM bitcode of it, which the archive here holds of every kernel
of ours (`archive.py`). LLVM makes of it machine code for this very processor (`machine_code.py`), which is kept on disk
(`kept.py`) and called by its address (`functions.py`). What the archive lacks (formulas, kernels of others, edited
sources, other processors) takes the whole way when it is first needed.
"""
