"""A network's parameters by canonical name: reading copies them, assigning replaces them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.executable import Executable
from dnnkit.errors import ShapeError, UnknownName
from dnnkit.network.turns import Turns
from dnnkit.registry import did_you_mean


class Parameters(Mapping[str, NDArray[Any]]):
    """An ordered mapping; `net.parameters["dense/kernel"] -= step` works, for it reads and then assigns."""

    def __init__(self, executable: Callable[[], Executable], turns: Turns) -> None:
        self._executable, self._turns = executable, turns
        self._shapes = {p.name: p.shape for p in executable().program.parameters}

    def __getitem__(self, name: str) -> NDArray[Any]:
        self._check(name)
        executable = self._executable()
        return self._turns.read(executable, lambda parameters: executable.read_parameter(name, parameters))

    def __setitem__(self, name: str, value: Any) -> None:
        self._check(name)
        array = np.asarray(value, self._executable().program.dtype)
        if array.shape != self._shapes[name]:
            raise ShapeError(f"parameter {name!r} has shape {self._shapes[name]}; got one of {array.shape}")
        with self._turns:
            self._executable().write_parameter(name, array)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def __repr__(self) -> str:
        return f"Parameters({self._shapes})"

    def _check(self, name: str) -> None:
        if name not in self._shapes:
            near = did_you_mean(name, self._shapes)
            raise UnknownName(f"no parameter {name!r}: {near}the network has {', '.join(self._shapes) or 'none'}")
