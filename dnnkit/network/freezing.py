"""Freezing layers, and what a network with frozen layers can do."""

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
    """Adds `freeze`, `unfreeze` and `trainable` to a network."""

    graph: Graph

    def freeze(self, *layers: str | int) -> None:
        """Exclude layers from training.

        Frozen layers get no gradient, update or weight decay, do not count in `global_clipnorm`, and have no optimizer
        state: any existing state is dropped. No backward pass is computed below the lowest trainable layer. Step count,
        schedule and the state of the other layers continue. Dropout stays active.

        Arguments:
            layers: names, as `summary` shows them, patterns such as "dense*", "*" for all, or indices in `net.layers`.

        Raises:
            UnknownName: no layer matches; nothing has changed then.
            ConfigurationError: no layer was given.
            ConcurrentUse: a fit of the network is running.
        """
        self._set_trainable("freeze", layers, trainable=False)

    def unfreeze(self, *layers: str | int) -> None:
        """Include frozen layers in training again, with a fresh optimizer state.

        Arguments:
            layers: as for `freeze`, with the same errors.
        """
        self._set_trainable("unfreeze", layers, trainable=True)

    @property
    def trainable(self) -> bool:
        """Whether any layer is trainable; assign False to freeze all layers, True to unfreeze all."""
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
            if not chosen:  # perhaps a list that turned out empty, which should not mean all
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
        """Build a new executable after `descriptions` were replaced by layers with the same parameters."""


def _places(names: list[str], given: Any) -> list[int]:
    """Return the indices of the layers that a name, pattern or index selects."""
    if isinstance(given, str):
        found = [place for place, name in enumerate(names) if name == given or fnmatchcase(name, given)]
    elif isinstance(given, int) and not isinstance(given, bool):
        found = [range(len(names))[given]] if -len(names) <= given < len(names) else []
    else:
        raise ConfigurationError(
            f"a layer is given as {shown(given)}: expected a name, such as {', '.join(map(repr, names[:2]))}, a "
            "pattern of names, or an index in net.layers"
        )
    if not found:
        near = did_you_mean(given, names) if isinstance(given, str) else ""
        raise UnknownName(f"no layer {given!r}: {near}the network has {', '.join(names) or 'none'}")
    return found


def require_respected(executable: Executable) -> None:
    """Raise `BackendUnavailable` if the backend would train frozen layers."""
    frozen = executable.program.frozen_parameters
    if frozen and executable.api_version < 2:
        names = ", ".join(dict.fromkeys(parameter.name.rpartition("/")[0] for parameter in frozen))
        raise BackendUnavailable(
            f"the backend {executable.plan.backend!r} cannot train a network with frozen layers ({names}): its "
            f"{type(executable).__name__} has api_version = {executable.api_version}, and freezing requires 2. "
            "Unfreeze them, or use another backend, such as numpy"
        )


def require_trainable(executable: Executable, optimizer: Optimizer | None = None) -> None:
    """`require_respected`, also for penalties, constraints and optimizer features that the backend would ignore.

    Raises `ConfigurationError` if all layers are frozen.
    """
    require_respected(executable)
    if optimizer is not None and executable.api_version < 2 and optimizer.needs_groups:
        raise BackendUnavailable(
            f"the backend {executable.plan.backend!r} does not support all settings of this "
            f"{type(optimizer).__name__}: its {type(executable).__name__} has api_version = {executable.api_version}, "
            "and they require 2. Leave out groups, no_decay, use_ema, clipnorm, clipvalue and schedules of numbers "
            "other than learning_rate, or "
            "use another backend, such as numpy"
        )
    program = executable.program
    if program.held and executable.api_version < 2:
        raise BackendUnavailable(
            f"the backend {executable.plan.backend!r} cannot train a network with {program.held}: its "
            f"{type(executable).__name__} has api_version = {executable.api_version}, and these require 2. Leave them "
            "out, or use another backend, such as numpy"
        )
    if program.frozen_parameters and not program.trainable_parameters:
        last = program.frozen_parameters[-1].name.rpartition("/")[0]
        raise ConfigurationError(
            "all layers are frozen, so there is nothing to train: expected at least one trainable layer with "
            f"parameters. net.unfreeze({last!r}) makes the last one trainable; predict and evaluate work as they are"
        )
