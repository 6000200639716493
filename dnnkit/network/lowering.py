"""Lowering: from layers, loss, metrics and optimizer to the program that backends run."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit import metrics as metrics_module
from dnnkit.backends.program import Activate, Metric, Parameter, Program, Rescale, Stage
from dnnkit.backends.program import Dense as DenseStage
from dnnkit.base_loss import Loss, check_outputs
from dnnkit.errors import ConfigurationError
from dnnkit.initializers import Shape, get_initializer
from dnnkit.kernels import registry
from dnnkit.layers import Layer
from dnnkit.optimizers import Optimizer
from dnnkit.seeds import stream

Dtype: TypeAlias = Literal["float32", "float64"]


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
    """The whole network as one frozen description."""
    stages: list[Stage] = []
    shape = input_shape
    for index, (layer, name) in enumerate(zip(layers, layer_names(layers), strict=True)):
        parameters = tuple(
            Parameter(f"{name}/{part}", size, layer.trainable) for part, (size, _) in layer.parameters(shape).items()
        )
        stage = layer.lower(index, shape, parameters)
        shape = layer.output_shape(shape)
        if stage is not None:
            stages.append(stage)

    _check_dtype(stages, dtype)
    head, lowered_loss, activation = "linear", None, "linear"
    if loss is not None:
        last = stages[-1] if stages else None
        activation = last.activation if isinstance(last, DenseStage | Activate) else "linear"
        lowered_loss, takes_over = loss.lower(activation)
        if takes_over:
            head = activation
            stages[-1:] = [replace(last, activation="linear")] if isinstance(last, DenseStage) else []
    outputs = prod(shape)
    measured: tuple[Metric, ...] = ()
    if lowered_loss is not None:
        check_outputs(lowered_loss, outputs, "the network's last layer")
        gives = registry.activation(activation).gives
        measured = tuple(metrics_module.lower(m, lowered_loss, outputs, head, gives) for m in metrics)
    return Program(
        input_shape=input_shape,
        output_features=outputs,
        stages=tuple(stages),
        head=head,
        loss=lowered_loss,
        metrics=measured,
        rule=optimizer.rule if optimizer is not None else None,
        dtype=dtype,
        seed=seed,
        num_threads=num_threads,
        accumulation=accumulation,
    )


def _check_dtype(stages: Sequence[Stage], dtype: Dtype) -> None:
    """Raise `ConfigurationError` where a rescaling is nothing or infinite as a number of that dtype."""
    least, most = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
    for stage in stages:
        if isinstance(stage, Rescale):
            for name, value in (("scale", stage.scale), ("offset", stage.offset)):
                if value and not least <= abs(value) <= most:
                    raise ConfigurationError(
                        f"Rescaling({name}={value!r}) cannot be computed in {dtype}, whose numbers go from {least:.0e} "
                        f"to {most:.0e}: rescale the samples before, or use another dtype"
                    )


def layer_names(layers: Sequence[Layer]) -> list[str]:
    """Their own names, else `dense`, `dense_1`, ...: unique within the network."""
    given = Counter(layer.name for layer in layers if layer.name is not None)
    for shared, count in given.items():
        if count > 1:
            raise ConfigurationError(f"{count} layers are called {shared!r}: give each a name of its own, or none")
    seen: Counter[str] = Counter()
    names: list[str] = []
    for layer in layers:
        name = layer.name
        while name is None or (layer.name is None and name in given):
            base = layer.base_name()
            name = f"{base}_{seen[base]}" if seen[base] else base
            seen[base] += 1
        names.append(name)
    return names


def shapes(layers: Sequence[Layer], input_shape: Shape) -> list[Shape]:
    """The shape of a sample before the first layer and after each."""
    result = [input_shape]
    for layer in layers:
        result.append(layer.output_shape(result[-1]))
    return result


def parameter_shapes(layers: Sequence[Layer], input_shape: Shape) -> dict[str, Shape]:
    """The shape of every parameter by canonical name."""
    before = shapes(layers, input_shape)[:-1]
    return {
        f"{name}/{part}": tuple(shape)
        for layer, name, seen in zip(layers, layer_names(layers), before, strict=True)
        for part, (shape, _) in layer.parameters(seen).items()
    }


def initial_parameters(layers: Sequence[Layer], input_shape: Shape, seed: int, dtype: Dtype) -> dict[str, NDArray[Any]]:
    """Every parameter's first value by canonical name: a function of layers and seed alone."""
    rng = stream(seed, "weights")
    names, before = layer_names(layers), shapes(layers, input_shape)
    return {
        f"{name}/{part}": _made(get_initializer(initializer), rng, shape, dtype)
        for layer, name, seen in zip(layers, names, before[:-1], strict=True)
        for part, (shape, initializer) in layer.parameters(seen).items()
    }


def _made(
    initializer: Callable[[np.random.Generator, Shape], Any], rng: np.random.Generator, shape: Shape, dtype: Dtype
) -> NDArray[Any]:
    """What the initializer makes, if it is finite numbers in that shape, as the network keeps them."""
    with np.errstate(over="ignore"):
        made = np.asarray(initializer(rng, shape), dtype)
    if made.shape != tuple(shape) or not np.isfinite(made).all():
        raise ConfigurationError(
            f"the initializer {initializer} made an array of {made.shape}, or numbers that are not finite in {dtype}: "
            f"expected finite ones in the shape {tuple(shape)}"
        )
    return made
