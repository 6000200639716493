"""Statistics that layers find in the samples before the first fit, such as those of a `Normalization`."""

from functools import partial
from typing import Any

from dnnkit.network.protocol import Network


def adapt(net: Network, x: Any) -> None:
    """Let each layer whose statistics are not known yet find them in what comes to it of samples x."""
    for place, layer in enumerate(net.layers):
        if layer.statistics:
            known = {name: net.executable.read_parameter(f"{layer.name}/{name}") for name in layer.statistics}
            for name, value in layer.adapted(known, partial(_samples, net, place, x)).items():
                net.executable.write_parameter(f"{layer.name}/{name}", value)


def _samples(net: Network, place: int, x: Any) -> Any:
    """What comes to the layer at that place: what a network of those before it predicts."""
    from dnnkit.network.sequential import Sequential  # which imports this

    if place == 0:
        return net.backend.to_numpy(x)
    before = Sequential(
        net.descriptions[:place], backend=net.backend, seed=net.seed, dtype=net.dtype, num_threads=net.num_threads
    )
    assert net.input_shape is not None
    before.build(net.input_shape)
    for own, there in zip(before.executable.program.parameters, net.executable.program.parameters, strict=False):
        before.executable.write_parameter(own.name, net.executable.read_parameter(there.name))
    return before.predict(x)
