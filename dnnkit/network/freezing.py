"""Layers whose parameters are frozen: which they are, and what can be done with a network that has some."""

from abc import abstractmethod
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from dnnkit.backends.executable import Executable
from dnnkit.errors import BackendUnavailable, ConfigurationError, UnknownName
from dnnkit.graph.graph import Graph
from dnnkit.layers.base import with_trainable
from dnnkit.network.protocol import Network
from dnnkit.optimizers import Optimizer
from dnnkit.registry import did_you_mean
from dnnkit.settings import FLAG, shown


class Freezable(Network):
    """`freeze`, `unfreeze` and `trainable` of a network."""

    graph: Graph

    def freeze(self, *layers: str | int) -> None:
        """Keep the parameters of layers as they are while the others are trained.

        They get no gradient, no update and no decay, have no part in `global_clipnorm`, and no state of the optimizer;
        what it kept of them is dropped. Below the lowest layer that is trained nothing is computed backward. All else
        goes on: step, schedule, and the state of the others. Dropout drops, wherever it stands.

        Arguments:
            layers: names, as `summary` shows them, patterns of names such as "dense*", "*" for all, or places in
                `net.layers`.

        Raises:
            UnknownName: no layer has such a name, or there is none at such a place; nothing changes then.
            ConfigurationError: nothing is named.
            ConcurrentUse: a fit of the network is running.
        """
        self._set_trainable("freeze", layers, trainable=False)

    def unfreeze(self, *layers: str | int) -> None:
        """Train layers again that were frozen, the state that the optimizer keeps of them beginning with zeros.

        Arguments and errors are those of `freeze`.
        """
        self._set_trainable("unfreeze", layers, trainable=True)

    @property
    def trainable(self) -> bool:
        """Whether any layer is trained; assigning False freezes all, and True none."""
        return any(layer.trainable for layer in self.descriptions)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if FLAG.of("trainable", value):
            self.unfreeze("*")
        else:
            self.freeze("*")

    def _set_trainable(self, what: str, chosen: tuple[Any, ...], trainable: bool) -> None:
        with self.turns.rebuilding(what):
            names = self.graph.names
            if not chosen:  # of a list that came out empty, perhaps, which does not mean all
                raise ConfigurationError(
                    f"{what}() names no layer: expected names, such as {what}({names[0] if names else 'dense'!r}), or "
                    f"patterns of names; {what}('*') means all"
                )
            places = {place for given in chosen for place in _places(names, given)}
            changed = {place for place in places if self.descriptions[place].trainable != trainable}
            if not changed:
                return
            layers = tuple(
                with_trainable(layer, trainable) if place in changed else layer
                for place, layer in enumerate(self.descriptions)
            )
            self.graph = replace(self.graph, layers=layers)
            if self.is_built:
                self._rebuild_for_layers()

    @abstractmethod
    def _rebuild_for_layers(self) -> None:
        """A new executable, for `descriptions` were replaced by others with the same parameters."""


def _places(names: list[str], given: Any) -> list[int]:
    """Where the layers are that a name, a pattern or a place stands for."""
    if isinstance(given, str):
        found = [place for place, name in enumerate(names) if name == given or fnmatchcase(name, given)]
    elif isinstance(given, int) and not isinstance(given, bool):
        found = [range(len(names))[given]] if -len(names) <= given < len(names) else []
    else:
        raise ConfigurationError(
            f"a layer is given as {shown(given)}: expected its name, such as {', '.join(map(repr, names[:2]))}, a "
            "pattern of names, or its place in net.layers"
        )
    if not found:
        near = did_you_mean(given, names) if isinstance(given, str) else ""
        raise UnknownName(f"no layer {given!r}: {near}the network has {', '.join(names) or 'none'}")
    return found


def require_respected(executable: Executable) -> None:
    """Raise `BackendUnavailable` where a backend would train what is frozen."""
    frozen = executable.program.frozen_parameters
    if frozen and executable.api_version < 2:
        names = ", ".join(dict.fromkeys(parameter.name.rpartition("/")[0] for parameter in frozen))
        raise BackendUnavailable(
            f"the backend {executable.plan.backend!r} cannot train a network with frozen layers ({names}), for its "
            f"{type(executable).__name__} says api_version = {executable.api_version}, and layers are frozen since 2: "
            "unfreeze them, or use another backend, such as numpy"
        )


def require_trainable(executable: Executable, optimizer: Optimizer | None = None) -> None:
    """The same, also where it would leave out penalties, constraints, or what the optimizer says.

    `ConfigurationError` if all is frozen.
    """
    require_respected(executable)
    if optimizer is not None and executable.api_version < 2 and optimizer.needs_groups:
        raise BackendUnavailable(
            f"the backend {executable.plan.backend!r} cannot train with all that {type(optimizer).__name__} says, for "
            f"its {type(executable).__name__} says api_version = {executable.api_version}, and these are of 2: leave "
            "out groups, no_decay, use_ema, clipnorm, clipvalue and schedules of other numbers than learning_rate, or "
            "use another backend, such as numpy"
        )
    program = executable.program
    if program.held and executable.api_version < 2:
        raise BackendUnavailable(
            f"the backend {executable.plan.backend!r} cannot train a network with {program.held}, for its "
            f"{type(executable).__name__} says api_version = {executable.api_version}, and these are of 2: leave them "
            "out, or use another backend, such as numpy"
        )
    if program.frozen_parameters and not program.trainable_parameters:
        last = program.frozen_parameters[-1].name.rpartition("/")[0]
        raise ConfigurationError(
            "all layers are frozen, so there is nothing to train: expected at least one layer with parameters that is "
            f"not. net.unfreeze({last!r}) trains the last one; predict and evaluate work"
        )
