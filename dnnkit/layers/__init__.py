"""Layers: what a network is made of. A layer is a frozen description; its parameters live in the network.

A file here says in its `__all__` which of its classes are for users: these are `dk.layers.<Name>` and `dk.<Name>`.
"""

from dnnkit.layers import activation, base, categorical, core, elementwise, merging, normalization, numerical
from dnnkit.layers.activation import *  # noqa: F403
from dnnkit.layers.base import *  # noqa: F403
from dnnkit.layers.categorical import *  # noqa: F403
from dnnkit.layers.core import *  # noqa: F403
from dnnkit.layers.elementwise import *  # noqa: F403
from dnnkit.layers.merging import *  # noqa: F403
from dnnkit.layers.merging import add, average, concatenate, multiply, subtract  # noqa: F401 # of `dk.layers` alone
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
