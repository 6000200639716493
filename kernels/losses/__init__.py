"""Losses: what training minimises, with its gradient. A folder here is one, found by its name.

Its `__init__.py` says what others must know of it: `REDUCTION`, `SCORES`, `OUTPUTS` and `TAKES_LABELS`, the fields of
`dnnkit.kernels.registry.Loss`.
"""
