"""Copying and pickling a network completely, so that the copy continues training bitwise identically."""

from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Self

from dnnkit.backends.base import Backend
from dnnkit.backends.registry import get_backend_or_default
from dnnkit.network.protocol import Network
from dnnkit.saves import pickling


class Copyable(Network):
    """`copy.copy`, `copy.deepcopy` and pickle of a network, with the same contents as a save."""

    def copy(self) -> Self:
        """Return an independent copy that continues training bitwise identically, including the optimizer state."""
        return deepcopy(self)

    def __copy__(self) -> Self:
        return deepcopy(self)  # a shallow copy would silently train the original too

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = memo[id(self)] = type(self).__new__(type(self))
        with self.turns:
            state = deepcopy(pickling.state_of(self, self._own_attributes()), memo)
        twin._become(state, self._chosen_backend)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        pickling.require_picklable(self)
        backend = self._chosen_backend
        with self.turns:
            state = pickling.state_of(self, self._own_attributes())
        return {
            **state,
            "registered": pickling.registered_names(self),
            "backend": backend.address if isinstance(backend, Backend) else backend,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = pickling.readable(state)
        pickling.register_names(state["registered"])
        address = state["backend"]
        self._become(state, None if address is None else get_backend_or_default(address, "a pickled network"))

    @abstractmethod
    def _become(self, state: Mapping[str, Any], backend: str | Backend | None) -> None:
        """Initialise this object from the state that `state_of` returned, on that backend."""

    @abstractmethod
    def _own_attributes(self) -> dict[str, Any]:
        """Attributes set by users."""

    @property
    @abstractmethod
    def _chosen_backend(self) -> str | Backend | None:
        """The network's backend, or the one requested for it."""
