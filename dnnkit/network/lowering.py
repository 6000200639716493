"""Lowering: from layers, losses, metrics and optimizer to the program that backends run."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnnkit import metrics as metrics_module
from dnnkit.backends.measures import Loss as LossDescription
from dnnkit.backends.measures import Metric
from dnnkit.backends.outputs import Output
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Rescale, Stage
from dnnkit.base_loss import Loss, check_outputs
from dnnkit.errors import ConfigurationError
from dnnkit.graph.graph import Graph
from dnnkit.graph.lowering import Lowering, Stages
from dnnkit.graph.names import layer_names
from dnnkit.initializers import Shape, get_initializer
from dnnkit.kernels import registry
from dnnkit.layers import Layer
from dnnkit.network.checks import Dtype
from dnnkit.network.goals import Goal
from dnnkit.network.penalties import bounds_of, penalties_of
from dnnkit.optimizers import Optimizer
from dnnkit.seeds import stream

__all__ = ["Dtype", "initial_parameters", "layer_names", "lower", "lower_graph", "stages_of"]


def lower(
    layers: Sequence[Layer],
    input_shape: Shape,
    *,
    loss: Loss | None,
    metrics: Sequence[metrics_module.Given],
    optimizer: Optimizer | None,
    dtype: Dtype,
    seed: int,
    num_threads: int | None,
    accumulation: int = 1,
) -> Program:
    """Lower a chain of layers to a program."""
    given = {"optimizer": optimizer, "dtype": dtype, "seed": seed, "num_threads": num_threads}
    given["accumulation"] = accumulation
    return lower_graph(Graph.chain(layers, input_shape), (Goal(loss, tuple(metrics)),), **given)  # type: ignore[arg-type]


def lower_graph(
    graph: Graph,
    goals: Sequence[Goal],
    *,
    optimizer: Optimizer | None,
    dtype: Dtype,
    seed: int,
    num_threads: int | None,
    accumulation: int = 1,
) -> Program:
    """Lower a whole network to a program."""
    stages, outputs = stages_of(graph, goals)
    _check_dtype(stages.stages, dtype)
    only = outputs[0] if len(outputs) == 1 else None
    input_shape = graph.input_shape
    assert input_shape is not None, "callers lower a network only once its input shape is known"
    owners = stages.owners.values()
    program = Program(
        input_shape=input_shape,
        output_features=sum(each.features for each in outputs),
        stages=stages.stages,
        head="linear" if only is None else only.head,
        loss=None if only is None else only.loss,
        metrics=() if only is None else only.metrics,
        rule=None,
        dtype=dtype,
        seed=seed,
        num_threads=num_threads,
        accumulation=accumulation,
        sources=stages.sources,
        penalties=tuple(each for owner in owners for each in penalties_of(owner.layer, owner.parameters)),
        bounds=tuple(each for owner in owners for each in bounds_of(owner.layer, owner.parameters)),
    )
    if only is None:
        program = program.with_outputs(_side_by_side(graph.output_names, outputs))
    return program if optimizer is None else optimizer.train(program)


class Scores(NamedTuple):
    """An output as its loss takes it: number of features, activation fused with the loss, loss, metrics and weight."""

    features: int
    head: str
    loss: LossDescription | None
    metrics: tuple[Metric, ...]
    weight: float


def stages_of(graph: Graph, goals: Sequence[Goal]) -> tuple[Stages, tuple[Scores, ...]]:
    """Return the stages of a network, ending with the scores of its outputs, and a description of these scores."""
    shapes = [each.shape for each in graph.inputs if each.shape is not None]
    lowering = Lowering()
    values = lowering.call(graph, shapes, lowering.inputs(shapes), "", trainable=True)
    sizes = [prod(shape) for shape in graph.output_shapes()]
    found, scores = list[Scores](), list[int]()
    for place, (value, features, goal) in enumerate(zip(values, sizes, goals, strict=True)):
        activation, head, loss, measured = lowering.activation(value), "linear", None, tuple[Metric, ...]()
        if goal.loss is not None:
            loss, takes_over = goal.loss.lower(activation)
            if takes_over:
                head = activation
                is_read = lowering.readers(value) > 0 or values.count(value) > 1
                value = lowering.before_activation(value, is_read)
            of = "the network's last layer" if len(goals) == 1 else f"the output {graph.output_names[place]!r}"
            check_outputs(loss, features, of)
            gives = registry.activation(activation).gives
            measured = tuple(metrics_module.lower(m, loss, features, head, gives) for m in goal.metrics)
        scores.append(lowering.there(value))
        found.append(Scores(features, head, loss, measured, goal.weight))
    last = scores[0] if len(scores) == 1 else lowering.join(tuple(scores), sum(sizes))
    return lowering.leading_to(last), tuple(found)


def _side_by_side(names: Sequence[str], outputs: Sequence[Scores]) -> list[Output]:
    """Assign to each output its columns of scores and of targets."""
    found, start, first = list[Output](), 0, 0
    for name, each in zip(names, outputs, strict=True):
        columns = 0 if each.loss is None else 1 if each.loss.targets == "labels" else each.features
        found.append(
            Output(
                name,
                (start, start + each.features),
                each.head,
                each.loss,
                (first, first + columns),
                each.weight,
                each.metrics,
            )
        )
        start, first = start + each.features, first + columns
    return found


def _check_dtype(stages: Sequence[Stage], dtype: Dtype) -> None:
    """Raise `ConfigurationError` if a rescaling underflows or overflows in that dtype."""
    least, most = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
    for stage in stages:
        if isinstance(stage, Rescale):
            for name, value in (("scale", stage.scale), ("offset", stage.offset)):
                if value and not least <= abs(value) <= most:
                    raise ConfigurationError(
                        f"Rescaling({name}={value!r}) cannot be computed in {dtype}, whose numbers go from {least:.0e} "
                        f"to {most:.0e}: rescale the samples before, or use another dtype"
                    )


def initial_parameters(graph: Graph, seed: int, dtype: Dtype) -> dict[str, NDArray[Any]]:
    """Return initial parameters by canonical name: a function of the network's layers and seed only."""
    rng = stream(seed, "weights")
    return {
        name: _made(get_initializer(initializer), rng, shape, dtype)
        for name, (shape, initializer) in graph.parameters().items()
    }


def _made(
    initializer: Callable[["np.random.Generator", Shape], Any], rng: "np.random.Generator", shape: Shape, dtype: Dtype
) -> NDArray[Any]:
    """Run the initializer; check shape and finiteness, and convert to the network's dtype."""
    with np.errstate(over="ignore"):
        made = np.asarray(initializer(rng, shape), dtype)
    if made.shape != tuple(shape) or not np.isfinite(made).all():
        raise ConfigurationError(
            f"the initializer {initializer} returned an array of shape {made.shape}, or numbers that are not finite "
            f"in {dtype}: expected finite ones of shape {tuple(shape)}"
        )
    return made
