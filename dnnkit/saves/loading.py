"""The network of a save folder."""

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
    """Every class that a save may name: ours, and those that were registered."""
    found: list[Any] = [*LAYERS.usable(), *LOSSES.usable(), *OPTIMIZERS.usable(), *SCHEDULES.usable()]
    found += [*REGULARIZERS.usable(), *CONSTRAINTS.usable(), Graph, Call, Source]
    found += [Formula, FormulaLoss, KernelLoss, *(type(initializer) for initializer in INITIALIZERS.usable())]
    return _by_class_name(found)


def known_metrics() -> dict[str, type]:
    """The same of metrics, whose classes may be called as losses are."""
    return _by_class_name([KernelMetric, *METRICS.usable()])


def _by_class_name(found: Iterable[Any]) -> dict[str, type]:
    return {kind.__name__: kind for kind in found if isinstance(kind, type)}


def load_network(path: str | Path, backend: str | None, custom_objects: Mapping[str, Any] | None) -> WholeNetwork:
    """The network of a save folder, ready to predict and to train on."""
    files = read_files(as_path(path))
    if "estimator.json" in files:
        raise CheckpointError(f"{path} is the save of an estimator, not of a network: use dk.load_estimator")
    return network_of(files, str(path), backend, custom_objects)


def _backend_that_ran(address: str | None, place: str) -> Backend | None:
    """The backend of the save, so that training goes on bit for bit, unless another was chosen; None: the default."""
    if address is None or choice().origin != "default":
        return None
    return get_backend_or_default(address, place)


def network_of(
    files: Mapping[str, bytes],
    place: str,
    backend: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> WholeNetwork:
    """The network of a save's files, as `files_of` gives them; errors call them by `place`.

    Everything that a file says is looked at, and compared with its arrays, before anything of their size is made.
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
            with warnings.catch_warnings():  # compiling it warned before
                warnings.simplefilter("ignore", TrainingWarning)
                optimizer = serialization.rebuild(architecture["optimizer"], known)
                together = architecture.get("gradient_accumulation_steps")
                net.compile(optimizer, gradient_accumulation_steps=together, **_compiled(architecture, known, custom))
        shape = tuple(architecture["input_shape"])
        graph = net.graph.with_input_shape(shape)
        shapes = {name: tuple(size) for name, (size, _) in graph.parameters().items()}
        numbers.check(shapes, net.dtype, measured_sums(net, graph), place)
        net.build_of(shape, numbers.give_to)
    except (DnnkitError, Warning):  # a warning that is to be an error stays one
        raise
    except Exception as error:  # what is described is right as JSON, but a class, perhaps the user's, cannot be it
        raise CheckpointError(f"{place} is not a save that this version can read: {repr(error)[:400]}") from error
    return net


def _made(architecture: Mapping[str, Any], layers: tuple[Layer, ...], **settings: Any) -> WholeNetwork:
    """The network of these layers, not built."""
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
    """What `compile` was given."""
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
    """How many numbers an epoch of the network sums up, which is not built yet."""
    return lower_graph(graph, net.goals, optimizer=None, dtype=net.dtype, seed=0, num_threads=None).measured


def _metric(described: Any, custom: Mapping[str, Any]) -> Any:
    """A name, the function of that name that was given to `load`, or a metric with its settings."""
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
