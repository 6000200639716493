"""A network's parameters by canonical name: reading returns copies, assignment replaces them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.executable import Executable
from dnnkit.errors import ConfigurationError, DataError, ShapeError, UnknownName
from dnnkit.network.checks import without_mask
from dnnkit.network.turns import Turns
from dnnkit.registry import did_you_mean
from dnnkit.settings import shown


class Parameters(Mapping[str, NDArray[Any]]):
    """Ordered mapping of names to arrays; `net.parameters["dense/kernel"] -= step` reads, computes and assigns."""

    def __init__(self, executable: Callable[[], Executable], turns: Turns) -> None:
        self._executable, self._turns = executable, turns
        program = executable().program
        self._shapes, self._dtype = {p.name: p.shape for p in program.parameters}, np.dtype(program.dtype)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes by name."""
        return self._shapes

    def __getitem__(self, name: str) -> NDArray[Any]:
        self._check(name)
        executable, turns = self._executable(), self._turns
        settled = turns.settled
        # The usual case of `Turns.read`.
        if settled is not None and settled.is_of(executable) and turns.shared_layers is None:
            value = executable.read_parameter(name, settled.parameters)
            if turns.settled is settled:
                return value
        return turns.read(executable, lambda parameters: executable.read_parameter(name, parameters))

    def __setitem__(self, name: str, value: Any) -> None:
        self._assign({name: self._fitting("parameter", name, value)})

    def assign(self, values: Mapping[str, Any]) -> None:
        """Assign several parameters, atomically for other threads; nothing changes if any of them does not fit.

        Arguments:
            values: arrays by name.

        Raises:
            UnknownName, ShapeError, DataError: a value does not fit its parameter.
        """
        self._assign(self.fitting("parameter", values))

    def _assign(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        turns = self._turns
        settled = turns.settled
        with turns:
            executable = self._executable()
            for name, array in arrays.items():
                executable.write_parameter(name, array)
            if executable.program.averages and len(arrays) == len(self._shapes):
                for parameter in executable.program.trainable_parameters:
                    executable.write_average(parameter.name, arrays[parameter.name])
            if turns.shared_layers is not None:
                turns.shared_layers.changed()
            elif settled is not None and settled.is_of(executable):  # as before this turn
                turns.settle(executable)

    def fitting(self, what: str, values: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return the values in the network's dtype, checked; `what` says in errors what they are."""
        if not isinstance(values, Mapping):
            raise ConfigurationError(
                f"{what}s are given as a mapping of names to arrays, such as "
                f"{'those of another network' if what == 'parameter' else 'get_gradients returns'}; got {shown(values)}"
            )
        return {name: self._fitting(what, name, value) for name, value in values.items()}

    def _fitting(self, what: str, name: str, value: Any) -> NDArray[Any]:
        if type(value) is np.ndarray and value.dtype == self._dtype and value.shape == self._shapes.get(name):
            return value  # the usual case
        self._check(name)
        try:
            array = np.asarray(without_mask(f"{what} {name!r}", value))
            if array.dtype.kind not in "biuf":
                raise TypeError(f"it has dtype {array.dtype}")
        except (TypeError, ValueError) as error:
            raise DataError(f"{what} {name!r} cannot be converted to an array of numbers: {error}") from error
        if array.shape != self._shapes[name]:
            raise ShapeError(f"{what} {name!r} has shape {self._shapes[name]}; got an array of shape {array.shape}")
        return array.astype(self._dtype, copy=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def __repr__(self) -> str:
        return f"Parameters({self._shapes})"

    def _check(self, name: str) -> None:
        if not isinstance(name, str) or name not in self._shapes:
            near = did_you_mean(name, self._shapes)
            raise UnknownName(f"no parameter {name!r}: {near}the network has {', '.join(self._shapes) or 'none'}")


class Averages(Parameters):
    """Moving averages of the parameters, kept by an optimizer with `use_ema`; those of frozen ones are their values."""

    def __getitem__(self, name: str) -> NDArray[Any]:
        self._check(name)
        executable = self._executable()
        return self._turns.read(
            executable, lambda averages: executable.read_parameter(name, averages), averages=executable.state.step > 0
        )

    def assign(self, values: Mapping[str, Any]) -> None:
        """Assign several averages; nothing changes if any of them does not fit."""
        arrays = self.fitting("average", values)
        with self._turns:
            executable = self._executable()
            for parameter in executable.program.trainable_parameters:
                if parameter.name in arrays:
                    executable.write_average(parameter.name, arrays[parameter.name])

    def __repr__(self) -> str:
        return f"Averages({self._shapes})"
