"""Parameters by name in one flat array: the simplest layout an executable can choose."""

from collections.abc import Mapping

import numpy as np

from dnnkit.backends.aligned import address, empty, rounded, zeros
from dnnkit.backends.stages import Parameter
from dnnkit.backends.state import HostArray
from dnnkit.kernels.array import Array, Namespace


class FlatLayout:
    """One parameter after the other, in row-major order; `cache_aligned`, each in cache lines of its own."""

    def __init__(self, parameters: tuple[Parameter, ...], *, cache_aligned: bool = False) -> None:
        self.size = 0
        self._places: dict[str, tuple[slice, tuple[int, ...]]] = {}
        self._gaps: list[slice] = []
        for parameter in parameters:
            end = self.size + parameter.size
            self._places[parameter.name] = slice(self.size, end), parameter.shape
            self.size = rounded(end) if cache_aligned else end
            if end < self.size:
                self._gaps.append(slice(end, self.size))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FlatLayout) and (self.size, self._places) == (other.size, other._places)

    __hash__ = None  # type: ignore[assignment] # nothing is kept by its layout

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names in order."""
        return tuple(self._places)

    def runs(self, group_of: Mapping[str, int]) -> list[tuple[slice, int]]:
        """Pieces of the whole, each of parameters of one group, and the group's number; 0 for those that have none."""
        groups = [group_of.get(name, 0) for name in self._places]
        begins = [elements.start for elements, _ in self._places.values()]
        firsts = [place for place, group in enumerate(groups) if place == 0 or group != groups[place - 1]]
        if not firsts:
            return [(slice(0, self.size), 0)]
        ends = [begins[place] for place in firsts[1:]] + [self.size]
        return [(slice(begins[first], end), groups[first]) for first, end in zip(firsts, ends, strict=True)]

    def part(self, flat: Array, name: str) -> Array:
        """One parameter, flat."""
        return flat[self._places[name][0]]

    def elements(self, name: str) -> slice:
        """Where the parameter lies."""
        return self._places[name][0]

    def offset(self, name: str) -> int:
        """Where the parameter begins."""
        return int(self._places[name][0].start)

    def view(self, flat: Array, name: str, xp: Namespace) -> Array:
        """One parameter in its shape; shares memory with `flat` where the library's slices do."""
        elements, shape = self._places[name]
        part = flat[elements]
        if isinstance(part, np.ndarray):  # whose method takes a third of what the function does
            return part.reshape(shape)
        return xp.reshape(part, shape)

    def views(self, flat: Array, xp: Namespace) -> dict[str, Array]:
        """Every parameter by name, as `view`."""
        return {name: self.view(flat, name, xp) for name in self._places}

    def flat_address(self, arrays: Mapping[str, HostArray]) -> int | None:
        """Where host arrays by name begin, if they lie in memory as the parameters do, as gradients of ours; or None.

        They are of one dtype.
        """
        begin = None
        for name, (elements, _) in self._places.items():
            array = arrays[name]
            place = address(array) - elements.start * array.itemsize
            if not array.flags.c_contiguous or (begin is not None and place != begin):
                return None
            begin = place
        return begin

    def empty(self, dtype: str) -> HostArray:
        """A flat host array of any numbers, but for zeros between parameters."""
        flat = empty((self.size,), dtype)
        for gap in self._gaps:
            flat[gap] = 0
        return flat

    def flatten(self, values: Mapping[str, HostArray], dtype: str, out: HostArray | None = None) -> HostArray:
        """One flat host array of the values by name; a name that is missing counts as zeros.

        With `out` that array, which has zeros between parameters, and keeps what is missing.
        """
        flat = zeros((self.size,), dtype) if out is None else out
        for name, (elements, _) in self._places.items():
            if name in values:
                flat[elements] = values[name].reshape(-1)
        return flat
