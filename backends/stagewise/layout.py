"""Parameters by name in one flat array: the simplest layout an executable can choose."""

from collections.abc import Iterator, Mapping

from dnnkit.backends.aligned import address, empty, rounded, zeros
from dnnkit.backends.program import HostArray, Parameter
from dnnkit.kernels.array import Array, Namespace


class FlatLayout:
    """Canonical order, one parameter after the other, in row-major order; `apart`, in cache lines of its own."""

    def __init__(self, parameters: tuple[Parameter, ...], *, cache_aligned: bool = False) -> None:
        self.size = 0
        self._places: dict[str, tuple[slice, tuple[int, ...]]] = {}
        for parameter in parameters:
            self._places[parameter.name] = slice(self.size, self.size + parameter.size), parameter.shape
            self.size += rounded(parameter.size) if cache_aligned else parameter.size

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

    def stretches(self, arrays: Mapping[str, HostArray]) -> Iterator[tuple[int, int, int]]:
        """(start, end, address): where all parameters are, and host arrays by their names, contiguous, of one dtype.

        Parameters whose arrays lie in memory as they do themselves, as gradients of ours, are one stretch.
        """
        start = end = here = 0
        for name, (elements, _) in self._places.items():
            array = arrays[name]
            there = address(array)
            if there != here + (elements.start - start) * array.itemsize:
                if end > start:
                    yield start, end, here
                start, here = elements.start, there
            end = elements.stop
        if end > start:
            yield start, end, here

    def empty(self, dtype: str) -> HostArray:
        """A flat host array of any numbers, but for zeros between parameters."""
        flat, end = empty((self.size,), dtype), 0
        for elements, _ in self._places.values():
            flat[end : elements.start] = 0
            end = elements.stop
        flat[end:] = 0
        return flat

    def flatten(self, values: Mapping[str, HostArray], dtype: str) -> HostArray:
        """One flat host array of the values by name; a name that is missing counts as zeros."""
        flat = zeros((self.size,), dtype)
        for name, (elements, _) in self._places.items():
            if name in values:
                flat[elements] = values[name].reshape(-1)
        return flat
