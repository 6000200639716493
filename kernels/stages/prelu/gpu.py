"""PReLU on the GPU. Contract: the package's docstring."""

from dnnkit.kernels._cuda.by_column import ByColumn

_OF_KIND = ByColumn("prelu")
sources, forward, backward = _OF_KIND.sources, _OF_KIND.forward, _OF_KIND.backward
