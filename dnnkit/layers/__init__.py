"""Layers: frozen descriptions of what a network computes. Their parameters belong to the network.

A module here lists its public classes in `__all__`: these are `dk.layers.<Name>` and `dk.<Name>`.
"""

from dnnkit.layers import activation, base, categorical, core, elementwise, merging, normalization, numerical
from dnnkit.layers.activation import *  # noqa: F403
from dnnkit.layers.base import *  # noqa: F403
from dnnkit.layers.categorical import *  # noqa: F403
from dnnkit.layers.core import *  # noqa: F403
from dnnkit.layers.elementwise import *  # noqa: F403
from dnnkit.layers.merging import *  # noqa: F403
from dnnkit.layers.merging import add, average, concatenate, multiply, subtract  # noqa: F401 # only in `dk.layers`
from dnnkit.layers.normalization import *  # noqa: F403
from dnnkit.layers.numerical import *  # noqa: F403
from dnnkit.namespaces import open_namespace

__all__: list[str] = []
__all__ += activation.__all__
__all__ += base.__all__
__all__ += categorical.__all__
__all__ += core.__all__
__all__ += elementwise.__all__
__all__ += merging.__all__
__all__ += normalization.__all__
__all__ += numerical.__all__


open_namespace(__name__, base.LAYERS, besides=merging.FUNCTIONS)
