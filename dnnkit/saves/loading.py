"""Loading a network from a save folder."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dnnkit.backends.base import Backend
from dnnkit.backends.registry import choice, get_backend_or_default
from dnnkit.constraints import CONSTRAINTS
from dnnkit.errors import CheckpointError, ConfigurationError, DnnkitError, TrainingWarning
from dnnkit.files import as_path
from dnnkit.formula import Formula, FormulaLoss
from dnnkit.graph.graph import Call, Graph, Source
from dnnkit.initializers import INITIALIZERS
from dnnkit.layers.base import LAYERS, Layer
from dnnkit.losses import LOSSES, KernelLoss
from dnnkit.metrics import METRICS, KernelMetric
from dnnkit.network.checks import check_layers
from dnnkit.network.lowering import lower_graph
from dnnkit.network.model import Model
from dnnkit.network.sequential import Sequential
from dnnkit.network.whole import WholeNetwork
from dnnkit.optimizers import OPTIMIZERS
from dnnkit.regularizers import REGULARIZERS
from dnnkit.saves import serialization
from dnnkit.saves.folder import read_files, require_readable
from dnnkit.saves.kinds import ARCHITECTURE
from dnnkit.saves.numbers import Numbers
from dnnkit.saves.schema import parsed, taken
from dnnkit.schedules import SCHEDULES
from dnnkit.settings import shown


def known_classes() -> dict[str, type]:
    """Return all classes that a save may name: built-in and registered ones."""
    found: list[Any] = [*LAYERS.usable(), *LOSSES.usable(), *OPTIMIZERS.usable(), *SCHEDULES.usable()]
    found += [*REGULARIZERS.usable(), *CONSTRAINTS.usable(), Graph, Call, Source]
    found += [Formula, FormulaLoss, KernelLoss, *(type(initializer) for initializer in INITIALIZERS.usable())]
    return _by_class_name(found)


def known_metrics() -> dict[str, type]:
    """Return all metric classes that a save may name; kept separate, because losses may have the same names."""
    return _by_class_name([KernelMetric, *METRICS.usable()])


def _by_class_name(found: Iterable[Any]) -> dict[str, type]:
    return {kind.__name__: kind for kind in found if isinstance(kind, type)}


def load_network(path: str | Path, backend: str | None, custom_objects: Mapping[str, Any] | None) -> WholeNetwork:
    """Load the network of a save folder, ready to predict and to continue training."""
    files = read_files(as_path(path))
    if "estimator.json" in files:
        raise CheckpointError(f"{path} is the save of an estimator, not of a network: use dk.load_estimator")
    return network_of(files, str(path), backend, custom_objects)


def _backend_that_ran(address: str | None, place: str) -> Backend | None:
    """Return the backend of the save, so that results stay bitwise identical, unless another was chosen explicitly."""
    if address is None or choice().origin != "default":
        return None
    return get_backend_or_default(address, place)


def network_of(
    files: Mapping[str, bytes],
    place: str,
    backend: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> WholeNetwork:
    """Return the network of a save's files, as returned by `files_of`; errors refer to them as `place`.

    Everything in the files is checked, also against their arrays, before memory of the declared sizes is allocated.
    """
    custom = _custom(custom_objects)
    known = {**known_classes(), **custom}
    value = parsed(files, "architecture.json", place)
    require_readable(value, place)
    architecture = taken(value, ARCHITECTURE, f"{place} is damaged: architecture.json")
    numbers = Numbers.of(files, place)
    try:
        net = _made(
            architecture,
            serialization.rebuild(architecture["layers"], known),
            backend=backend or _backend_that_ran(numbers.backend, place),
            seed=architecture["seed"],
            dtype=architecture["dtype"],
            num_threads=architecture["num_threads"],
            name=architecture.get("name"),
        )
        if architecture["optimizer"] is not None:
            with warnings.catch_warnings():  # the warnings were issued by the original compile
                warnings.simplefilter("ignore", TrainingWarning)
                optimizer = serialization.rebuild(architecture["optimizer"], known)
                together = architecture.get("gradient_accumulation_steps")
                net.compile(optimizer, gradient_accumulation_steps=together, **_compiled(architecture, known, custom))
        shape = tuple(architecture["input_shape"])
        graph = net.graph.with_input_shape(shape)
        shapes = {name: tuple(size) for name, (size, _) in graph.parameters().items()}
        numbers.check(shapes, net.dtype, measured_sums(net, graph), place)
        net.build_of(shape, numbers.give_to)
    except (DnnkitError, Warning):  # warnings turned into errors stay as they are
        raise
    except Exception as error:  # valid JSON, but a class, perhaps a custom one, does not accept its values
        raise CheckpointError(f"{place} is not a save that this version can read: {repr(error)[:400]}") from error
    return net


def _made(architecture: Mapping[str, Any], layers: tuple[Layer, ...], **settings: Any) -> WholeNetwork:
    """Return the network with these layers, not built."""
    if (connected := architecture.get("graph")) is None:
        return Sequential(layers, **settings)
    described, _ = check_layers(layers)
    graph = Graph(
        tuple(Source(each["name"], tuple(each["shape"])) for each in connected["inputs"]),
        described,
        tuple(Call(each["layer"], tuple(each["reads"]), each["gives"]) for each in connected["calls"]),
        tuple(connected["outputs"]),
        tuple(connected["output_names"]),
        connected["input_form"],
        connected["output_form"],
    )
    return Model.of_graph(graph, **settings)


def _compiled(architecture: Mapping[str, Any], known: Mapping[str, type], custom: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `compile`."""
    goals = architecture.get("goals")
    if goals is None:
        metrics = [_metric(each, custom) for each in architecture["metrics"]]
        return {"loss": serialization.rebuild(architecture["loss"], known), "metrics": metrics}
    if goals and all(goal["loss"] is None for goal in goals):
        return {"loss": None}
    return {
        "loss": [serialization.rebuild(goal["loss"], known) for goal in goals],
        "metrics": [[_metric(each, custom) for each in goal["metrics"]] for goal in goals],
        "loss_weights": [goal["weight"] for goal in goals],
    }


def measured_sums(net: WholeNetwork, graph: Graph) -> int:
    """Return how many numbers an epoch of the network, not yet built, accumulates."""
    return lower_graph(graph, net.goals, optimizer=None, dtype=net.dtype, seed=0, num_threads=None).measured


def _metric(described: Any, custom: Mapping[str, Any]) -> Any:
    """Return a metric: by name, as a function passed to `load`, or with its settings."""
    if isinstance(described, str):
        return custom.get(described, described)
    if not isinstance(described, dict):
        raise CheckpointError(f"the save describes a metric as {shown(described)}: expected a name or a class")
    return serialization.rebuild(described, known_metrics() | dict(custom))


def _custom(given: Any) -> dict[str, Any]:
    try:
        return dict(given or {})
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"custom_objects is {shown(given)}: expected a dictionary, such as {{'MyLayer': MyLayer}}"
        ) from None
