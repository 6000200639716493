"""Layers: what a network is made of. A layer is a frozen description; its parameters live in the network.

A file here says in its `__all__` which of its classes are for users: these are `dk.layers.<Name>` and `dk.<Name>`.
"""

from dnnkit.layers import activation, base, core, merging
from dnnkit.layers.activation import *  # noqa: F403
from dnnkit.layers.base import *  # noqa: F403
from dnnkit.layers.core import *  # noqa: F403
from dnnkit.layers.merging import *  # noqa: F403
from dnnkit.layers.merging import add, average, concatenate, multiply, subtract  # noqa: F401 # of `dk.layers` alone

__all__: list[str] = []
__all__ += activation.__all__
__all__ += base.__all__
__all__ += core.__all__
__all__ += merging.__all__
