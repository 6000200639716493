"""Parameters by name in one flat array: the simplest layout of an executable."""

from collections.abc import Mapping

import numpy as np

from dnnkit.backends.aligned import address, empty, rounded, zeros
from dnnkit.backends.stages import Parameter
from dnnkit.backends.state import HostArray
from dnnkit.kernels.array import Array, Namespace


class FlatLayout:
    """Parameters one after another, in row-major order; with `cache_aligned`, each starts at a cache line."""

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

    __hash__ = None  # type: ignore[assignment] # layouts are never used as keys

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(self._places)

    def runs(self, group_of: Mapping[str, int]) -> list[tuple[slice, int]]:
        """Return pieces of the whole, each with parameters of one group, and its group number; 0 for no group."""
        groups = [group_of.get(name, 0) for name in self._places]
        begins = [elements.start for elements, _ in self._places.values()]
        firsts = [place for place, group in enumerate(groups) if place == 0 or group != groups[place - 1]]
        if not firsts:
            return [(slice(0, self.size), 0)]
        ends = [begins[place] for place in firsts[1:]] + [self.size]
        return [(slice(begins[first], end), groups[first]) for first, end in zip(firsts, ends, strict=True)]

    def part(self, flat: Array, name: str) -> Array:
        """Return one parameter, flat."""
        return flat[self._places[name][0]]

    def elements(self, name: str) -> slice:
        """Return the range of a parameter's elements."""
        return self._places[name][0]

    def offset(self, name: str) -> int:
        """Return the offset of a parameter."""
        return int(self._places[name][0].start)

    def view(self, flat: Array, name: str, xp: Namespace) -> Array:
        """Return one parameter in its shape; a view of `flat` if the library's slices are views."""
        elements, shape = self._places[name]
        part = flat[elements]
        if isinstance(part, np.ndarray):  # NumPy's method takes a third of the function's time
            return part.reshape(shape)
        return xp.reshape(part, shape)

    def views(self, flat: Array, xp: Namespace) -> dict[str, Array]:
        """Return all parameters by name, as `view`."""
        return {name: self.view(flat, name, xp) for name in self._places}

    def flat_address(self, arrays: Mapping[str, HostArray]) -> int | None:
        """Return the address of host arrays by name, if together they have this layout in memory; otherwise None.

        They share one dtype. Gradients that dnnkit returned have this layout.
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
        """Return an uninitialized flat host array, with zeros in the padding."""
        flat = empty((self.size,), dtype)
        for gap in self._gaps:
            flat[gap] = 0
        return flat

    def flatten(self, values: Mapping[str, HostArray], dtype: str, out: HostArray | None = None) -> HostArray:
        """Return the values by name in one flat host array; missing names become zeros.

        With `out`, write to that array, whose padding is zero; missing names stay unchanged.
        """
        flat = zeros((self.size,), dtype) if out is None else out
        for name, (elements, _) in self._places.items():
            if name in values:
                flat[elements] = values[name].reshape(-1)
        return flat
