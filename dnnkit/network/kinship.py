"""Networks that have layers in common, because they were written with the same symbolic values: weights go along.

An encoder, and the autoencoder that it was called in, have one set of weights: what one learns, the other has when it
is next asked or trained. Each keeps numbers of its own, where its backend wants them; whoever has the newest gives them
to whoever needs them, at the beginning of a turn or a reading (`turns`). The state of an optimizer is each network's
own.
"""

from typing import Any

from numpy.typing import NDArray

from dnnkit.backends.acting import acting
from dnnkit.graph.graph import Graph
from dnnkit.graph.sharing import Shared, leaves, shared_of

_joined = 0
"""How often a network joined others: only then there may be more layers in common."""


class Kin:
    """What a network has in common with others; `net` is a `Network`, which this file does not know."""

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
        """Look anew which layers the network has, of which any network may have some, too."""
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

    def has_in_common(self, other: "Kin") -> list[str]:
        """The paths of layers that another network has, too."""
        return [self._paths[shared] for shared in self._in_common() if other in shared.members]

    def was_built(self) -> None:
        """The network has its first weights, which are those of its layers if no other has had any."""
        self.join()
        for shared in self._paths:
            if shared.newest is None:
                shared.newest, self._seen[shared] = self, shared.version

    def begins(self) -> None:
        """Before a turn or a reading: take what others have changed."""
        me = acting()
        if self._busy == me or not self._net.is_built:
            return
        stale: dict[Kin, list[Shared]] = {}
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

    def _take(self, other: "Kin", found: list[Shared]) -> None:
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

    def entered(self) -> None:
        """Within a turn, at its beginning."""
        self._step = self._net.executable.state.step if self._net.is_built else None

    def leaves(self) -> None:
        """Within a turn, at its end: what it has trained, others lack."""
        if self._step is None or self._busy == acting():  # built within the turn: its weights are no news
            return
        if self._net.executable.state.step != self._step:
            self.changed()

    def changed(self) -> None:
        """The network's weights were replaced or trained."""
        for shared in self._in_common():
            shared.newest, shared.version = self, shared.version + 1
            self._seen[shared] = shared.version
            for member in list(shared.members):
                if member is not self:
                    member._net.turns.settled = None
