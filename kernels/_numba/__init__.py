"""What the compiled versions share. Numba's private interfaces are used here, in `matmul` and nowhere else."""
