"""Networks in pickles and copies: their parts as Python objects, their numbers as the files of a save.

A save names classes, and reads only those known to dnnkit or passed by the caller. A pickle refers to classes by module
and name, so custom layers, losses, optimizers and metrics need no `custom_objects`; objects registered under a name are
included, because the process that reads the pickle may not have registered them.
"""

import pickle
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Any

from dnnkit import activations, initializers, metrics
from dnnkit._version import __version__
from dnnkit.errors import ConfigurationError
from dnnkit.graph.graph import Graph
from dnnkit.graph.sharing import leaves
from dnnkit.network.goals import Goal
from dnnkit.network.protocol import Network
from dnnkit.registry import REGISTRIES
from dnnkit.saves.folder import FORMAT, require_readable
from dnnkit.saves.numbers import numbers_of

KEPT_BY_NAME = (activations.ACTIVATIONS, initializers.INITIALIZERS, metrics.METRICS)
"""Registries of objects that a network refers to by name; objects of other kinds are stored directly."""


def state_of(net: Network, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the complete state of a network; `own` are attributes not set by dnnkit, such as those of a subclass."""
    return {
        "format": FORMAT,
        "dnnkit": __version__,
        "graph": net.graph,
        "goals": net.goals,
        "optimizer": net.optimizer if net.is_compiled else None,
        "gradient_accumulation_steps": net.gradient_accumulation_steps,
        "seed": net.seed,
        "dtype": net.dtype,
        "num_threads": net.num_threads,
        "name": net.name,
        "numbers": numbers_of(net) if net.is_built else {},
        "own": dict(own),
    }


def readable(state: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a state pickled by this or an earlier version; raise `CheckpointError` for one of a later version."""
    require_readable(state, "this pickle of a network")
    if "graph" in state:
        return dict(state)
    graph = Graph.chain(state["layers"], state["input_shape"])  # before format 3
    return {**state, "graph": graph, "goals": (Goal(state["loss"], state["metrics"]),)}


def registered_names(net: Network) -> dict[str, dict[str, Any]]:
    """Return the registered objects whose names the network uses, by kind and name."""
    described: list[Any] = [layer for _, layer in leaves(net.graph.layers, net.graph.names) if is_dataclass(layer)]
    values = [getattr(layer, field.name) for layer in described for field in fields(layer)]
    names = sorted({name for name in (*values, *net.metrics) if isinstance(name, str)})
    return {registry.kind: {name: registry[name] for name in names if name in registry} for registry in KEPT_BY_NAME}


def register_names(things: Mapping[str, Mapping[str, Any]]) -> None:
    """Register objects not yet registered in this process; existing names keep their meaning, as when loading."""
    for kind, by_name in things.items():
        for name, thing in by_name.items():
            if name not in REGISTRIES[kind].names():
                REGISTRIES[kind].add(name, thing)


def require_picklable(net: Network) -> None:
    """Raise `ConfigurationError` for a part that cannot be pickled, saying where it is and what to do."""
    for what, part in _parts(net):
        try:
            pickle.dumps(part)
        except Exception as error:  # custom parts may fail in any way
            if _another_pickler_asks():
                continue
            raise ConfigurationError(
                f"{what} cannot be pickled, so neither can the network: {error}. Pickle stores functions and classes "
                "by module and name: define it at the top of a module, rather than as a lambda or within a function. "
                "copy.deepcopy does not need that"
            ) from error


def _parts(net: Network) -> Iterator[tuple[str, Any]]:
    for place, layer in enumerate(net.descriptions):
        yield f"layer {place}, {type(layer).__name__},", layer
    for goal in net.goals:
        yield f"the loss {type(goal.loss).__name__}", goal.loss
    if net.is_compiled:
        yield f"the optimizer {type(net.optimizer).__name__}", net.optimizer
    for metric in net.metrics:
        yield f"the metric {metrics.name_of(metric)!r}", metric
    for kind, things in registered_names(net).items():
        for name, thing in things.items():
            yield f"the {kind} {name!r}", thing


def _another_pickler_asks() -> bool:
    """Whether a pickler that supports such functions, such as cloudpickle, is active: it may accept the parts."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        asks = frame.f_locals.get("self")
        if isinstance(asks, pickle.Pickler | pickle._Pickler):
            rule = getattr(asks, "dispatch", {}).get(FunctionType, pickle._Pickler.dispatch[FunctionType])
            if hasattr(asks, "reducer_override") or rule is not pickle._Pickler.dispatch[FunctionType]:
                return True
    return False
