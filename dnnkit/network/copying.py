"""How a network is copied and pickled: in full, so that it trains on bit for bit as the one it was."""

from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Self

from dnnkit.backends.base import Backend
from dnnkit.backends.registry import get_backend_or_default
from dnnkit.network.protocol import Network
from dnnkit.saves import pickling


class Copyable(Network):
    """`copy.copy`, `copy.deepcopy` and pickle of a network, by what a save writes."""

    def copy(self) -> Self:
        """A network of its own that trains on bit for bit as this one would: parameters, optimizer's state and all."""
        return deepcopy(self)

    def __copy__(self) -> Self:
        return deepcopy(self)  # two networks on the same parameters would train each other in silence

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
        """Be the network that `state_of` described, on that backend."""

    @abstractmethod
    def _own_attributes(self) -> dict[str, Any]:
        """Attributes that dnnkit does not make."""

    @property
    @abstractmethod
    def _chosen_backend(self) -> str | Backend | None:
        """The backend it is on, or shall be."""
