"""Networks that share layers because they were written with the same symbolic values: their weights stay in sync.

An encoder and the autoencoder that calls it share one set of weights: when one is trained, the other has the new
weights the next time it is used. Each network keeps its own copy in its backend's format; at the beginning of a turn or
read (`turns`), stale copies are updated from the network with the newest. The optimizer state is not shared.
"""

from typing import Any

from numpy.typing import NDArray

from dnnkit.backends.acting import acting
from dnnkit.graph.graph import Graph
from dnnkit.graph.sharing import Shared, leaves, shared_of

_joined = 0
"""Counter of calls of `join`; the list of shared layers can change only when it does."""


class SharedLayers:
    """The layers that a network shares with others; `net` is a `Network`, which this module does not import."""

    def __init__(self, net: Any) -> None:
        self._net = net
        self._graph: Graph | None = None
        self._paths: dict[Shared, str] = {}
        self._common: list[Shared] = []
        self._looked = -1
        self._seen: dict[Shared, int] = {}
        self._busy: int | None = None
        self._step: int | None = None
        self.join()

    def join(self) -> None:
        """Register the network's layers, so that other networks with the same layers find them."""
        global _joined
        graph = self._net.graph
        if self._graph is not None and self._graph.layers is graph.layers:
            return
        self._graph = graph
        self._paths = {shared_of(layer): path for path, layer in leaves(graph.layers, graph.names)}
        for shared in self._paths:
            shared.members.add(self)
        _joined += 1

    def _in_common(self) -> list[Shared]:
        self.join()
        if self._looked != _joined:
            self._common = [shared for shared in self._paths if len(shared.members) > 1]
            self._looked = _joined
        return self._common

    def has_in_common(self, other: "SharedLayers") -> list[str]:
        """Return the paths of the layers shared with another network."""
        return [self._paths[shared] for shared in self._in_common() if other in shared.members]

    def publish_initial(self) -> None:
        """Mark the network's initial weights as current for layers that have none yet."""
        self.join()
        for shared in self._paths:
            if shared.newest is None:
                shared.newest, self._seen[shared] = self, shared.version

    def update_stale(self) -> None:
        """Copy weights changed by other networks; called before a turn or read."""
        me = acting()
        if self._busy == me or not self._net.is_built:
            return
        stale: dict[SharedLayers, list[Shared]] = {}
        for shared in self._in_common():
            if shared.newest not in (None, self) and self._seen.get(shared) != shared.version:
                stale.setdefault(shared.newest, []).append(shared)
        if not stale:
            return
        self._busy = me
        try:
            for other, found in stale.items():
                self._take(other, found)
        finally:
            self._busy = None

    def _take(self, other: "SharedLayers", found: list[Shared]) -> None:
        versions, values = {shared: shared.version for shared in found}, dict[str, NDArray[Any]]()
        theirs, own = other._net.parameters, set(self._net.parameters)
        for shared in found:
            of_other, here = other._paths[shared], self._paths[shared]
            for name in list(theirs):
                if name.rpartition("/")[0] == of_other and (mine := f"{here}/{name.rpartition('/')[2]}") in own:
                    values[mine] = theirs[name]
        with self._net.turns:
            for name, value in values.items():
                self._net.executable.write_parameter(name, value.astype(self._net.dtype, copy=False))
        self._seen |= versions

    def begin_turn(self) -> None:
        """Called at the beginning of a turn, within it."""
        self._step = self._net.executable.state.step if self._net.is_built else None

    def end_turn(self) -> None:
        """Called at the end of a turn, within it: publish the weights if a step was trained."""
        if self._step is None or self._busy == acting():  # built within this turn: no new weights to publish
            return
        if self._net.executable.state.step != self._step:
            self.changed()

    def changed(self) -> None:
        """Mark the network's weights as the newest, after they were assigned or trained."""
        for shared in self._in_common():
            shared.newest, shared.version = self, shared.version + 1
            self._seen[shared] = shared.version
            for member in list(shared.members):
                if member is not self:
                    member._net.turns.settled = None
