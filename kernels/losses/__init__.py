"""Losses: what training minimizes, with their gradients. One per folder, found by the folder's name.

The `__init__.py` of a loss defines `REDUCTION`, `SCORES`, `OUTPUTS` and `TAKES_LABELS`, the fields of
`dnnkit.kernels.registry.Loss`.
"""
