"""Parameters by name in one flat array: the simplest layout an executable can choose."""

from collections.abc import Mapping

import numpy as np

from dnnkit.backends.program import HostArray, Parameter
from dnnkit.kernels.array import Array, Namespace


class FlatLayout:
    """Canonical order, one parameter after the other, each in row-major order."""

    def __init__(self, parameters: tuple[Parameter, ...]) -> None:
        ends = np.cumsum([0] + [parameter.size for parameter in parameters])
        self.size = int(ends[-1])
        self._places = {
            parameter.name: (slice(int(start), int(end)), parameter.shape)
            for parameter, start, end in zip(parameters, ends[:-1], ends[1:], strict=True)
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names in order."""
        return tuple(self._places)

    def offset(self, name: str) -> int:
        """Where the parameter begins."""
        return int(self._places[name][0].start)

    def view(self, flat: Array, name: str, xp: Namespace) -> Array:
        """One parameter in its shape; shares memory with `flat` where the library's slices do."""
        elements, shape = self._places[name]
        return xp.reshape(flat[elements], shape)

    def views(self, flat: Array, xp: Namespace) -> dict[str, Array]:
        """Every parameter by name, as `view`."""
        return {name: self.view(flat, name, xp) for name in self._places}

    def flatten(self, values: Mapping[str, HostArray], dtype: str) -> HostArray:
        """One flat host array of the values by name; a name that is missing counts as zeros."""
        flat = np.zeros(self.size, dtype)
        for name, (elements, _) in self._places.items():
            if name in values:
                flat[elements] = values[name].reshape(-1)
        return flat
