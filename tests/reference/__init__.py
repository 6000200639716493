"""docs/reference.md and docs/reference/: every registered name, from registries, docstrings and contracts."""
