"""Statistics that layers compute from the samples before the first fit, such as those of `Normalization`."""

from functools import partial
from math import prod
from typing import Any

from dnnkit.backends.program import Program
from dnnkit.graph.lowering import INPUT, Stages
from dnnkit.initializers import Shape
from dnnkit.network.lowering import stages_of
from dnnkit.network.protocol import Network

ROWS = 1024
"""Samples computed at a time."""


def adapt(net: Network, x: Any) -> None:
    """Let each layer with unknown statistics compute them from its input for the samples x.

    For a layer that is called several times, this is the input of its first call.
    """
    stages, seen = stages_of(net.graph, net.goals)[0], set[str]()
    for origin, reads in zip(stages.origins, stages.sources, strict=True):
        if origin is None or origin.path in seen or not origin.layer.statistics:
            continue
        seen.add(origin.path)
        names = origin.layer.statistics
        known = {name: net.executable.read_parameter(f"{origin.path}/{name}") for name in names}
        samples = partial(_samples, net, stages, reads[0], stages.owners[origin.path].shape, x)
        for name, value in origin.layer.adapted(known, samples).items():
            net.executable.write_parameter(f"{origin.path}/{name}", value)
            if net.turns.shared_layers is not None:
                net.turns.shared_layers.changed()


def _samples(net: Network, stages: Stages, value: int, shape: Shape, x: Any) -> Any:
    """Return the input of a layer that reads `value`, for all samples, by running the stages before it."""
    if value == INPUT:
        return net.backend.to_numpy(x).reshape(-1, *shape)
    of, before = net.executable.program, stages.before(value)
    program = Program(
        input_shape=of.input_shape,
        output_features=prod(shape),
        stages=before[0],
        head="linear",
        loss=None,
        metrics=(),
        rule=None,
        dtype=of.dtype,
        seed=of.seed,
        num_threads=of.num_threads,
        sources=before[1],
    )
    executable = net.backend.build(program)
    for parameter in program.parameters:
        executable.write_parameter(parameter.name, net.executable.read_parameter(parameter.name))
    data = executable.load(x, None, None)
    return executable.predict(data, min(ROWS, len(data))).reshape(-1, *shape)
