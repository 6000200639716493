"""What kernels are compiled for: a level of processors, and LLVM's way to machine code. Nothing here imports Numba."""
