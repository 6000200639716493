"""Normalization by known moments on the GPU. Contract: the package's docstring."""

from dnnkit.kernels._cuda.by_column import ByColumn

_OF_KIND = ByColumn("normalization", reads=2, trains=False)
sources, forward, backward = _OF_KIND.sources, _OF_KIND.forward, _OF_KIND.backward
