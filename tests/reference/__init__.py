"""docs/reference.md: everything that has a name, from registries, docstrings and the kernels' contracts."""
