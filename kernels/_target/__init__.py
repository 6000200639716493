"""Compilation target of kernels: the processor's level, and LLVM's path to machine code. Nothing here imports Numba."""
