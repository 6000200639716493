"""Prediction with a network's folded program, where stages can be folded (`dnnkit.backends.folding`)."""

from __future__ import annotations

from typing import Any

from dnnkit.backends.base import Backend
from dnnkit.backends.executable import Executable
from dnnkit.backends.folding import Folded, folded
from dnnkit.backends.mutex import Mutex
from dnnkit.backends.state import HostArray, Snapshot, TrainingState
from dnnkit.network.turns import Settled, Turns


class Folding:
    """A network's folded program, built on the first prediction, with parameters derived from the network's."""

    def __init__(self, backend: Backend, executable: Executable, made: Folded) -> None:
        self._backend, self._executable, self._folded = backend, executable, made
        self._built: Executable | None = None
        self._known: tuple[Settled, Any] | None = None
        """Folded parameters, and the settled state that they were derived from."""
        self._lock = Mutex()

    @classmethod
    def of(cls, backend: Backend, executable: Executable) -> Folding | None:
        """Return None if there is nothing to fold."""
        made = folded(executable.program)
        return None if made is None else cls(backend, executable, made)

    def now(self, turns: Turns, *, averages: bool = False) -> tuple[Executable, Any]:
        """Return the folded executable and its current parameters; with `averages`, those of the moving averages."""
        known, built = self._known, self._built
        if built is not None and known is not None and not averages and known[0] is turns.settled:
            return built, known[1]
        seen: list[Settled | None] = []

        def read(parameters: Any) -> dict[str, HostArray]:
            settled = turns.settled
            seen.append(settled if settled is not None and settled.parameters is parameters else None)
            names = [parameter.name for parameter in self._executable.program.parameters]
            return {name: self._executable.read_parameter(name, parameters) for name in names}

        values = self._folded.parameters(turns.read(self._executable, read, averages=averages))
        with self._lock:
            if self._built is None:
                self._built = self._backend.build(self._folded.program)
            self._built.restore(Snapshot(values, {}, TrainingState()))
            parameters = self._built.copy_parameters()
            if seen[-1] is not None and turns.settled is seen[-1]:
                self._known = seen[-1], parameters
            return self._built, parameters
