"""docs/reference.md: every registered name, from registries, docstrings and the kernels' contracts."""
