"""A trained network as a short script that needs NumPy alone."""

import io
from math import ceil, prod
from pathlib import Path

import numpy as np

from dnnkit.backends.stages import Activate, Custom, Dense, Dropout, Rescale
from dnnkit.errors import ConfigurationError
from dnnkit.files import as_path, replace_all
from dnnkit.kernels import registry
from dnnkit.network.protocol import Network

LINES = 40
"""The longest script: a network of many layers gets several statements a line."""

SCRIPT = '''\
"""A network trained with dnnkit, in NumPy alone: predict(x) for samples x {samples}.

{layers}
As a command: python {name}.py samples.npy
"""

import math
import sys
from pathlib import Path

import numpy as np

parameters = dict(np.load(Path(__file__).with_suffix(".npz")))


def predict(x):
    x = np.asarray(x, np.{dtype}).reshape(-1, {features})
    {statements}
    return x


if __name__ == "__main__":
    print(predict(np.load(sys.argv[1])))
'''


def write(net: Network, path: str | Path) -> Path:
    """Write the script and, beside it, its parameters; return the script's path."""
    path = as_path(path)
    if path.suffix != ".py":
        raise ConfigurationError(f"the script {str(path)!r} must end in .py; its parameters go to an .npz beside it")
    numbers = io.BytesIO()
    np.savez(numbers, allow_pickle=False, **net.predicting_parameters)
    replace_all({path.with_suffix(".npz"): numbers.getvalue(), path: source(net, path.stem).encode()})
    return path


def source(net: Network, name: str) -> str:
    """The script's text; `name` is that of the file, without its ending."""
    program = net.executable.program
    if not program.is_chain:
        raise ConfigurationError(
            "the network is a graph, of layers that do not stand one after the other: dnnkit writes no script of it; "
            "save the network instead, or write a dk.Model for each part that is a chain"
        )
    shape = net.graph.output_shapes()[0]
    statements = _statements(net)
    if len(shape) > 1:
        statements.append(f"x.reshape(-1, {', '.join(map(str, shape))})")
    text = SCRIPT.format(
        samples=f"(N, {', '.join(map(str, program.input_shape))})",
        layers="Layers: " + " -> ".join(type(layer).__name__ + _detail(layer) for layer in net.descriptions) + ".",
        name=name,
        dtype=program.dtype,
        features=prod(program.input_shape),
        statements="{statements}",
    )
    if not any("math." in statement for statement in statements):
        text = text.replace("import math\n", "")
    room = LINES - (len(text.splitlines()) - 1)
    together = max(1, ceil(len(statements) / room))
    lines = ["; ".join(f"x = {s}" for s in statements[i : i + together]) for i in range(0, len(statements), together)]
    return text.replace("    {statements}\n", "".join(f"    {line}\n" for line in lines))


def _detail(layer: object) -> str:
    values = [getattr(layer, name, None) for name in ("units", "activation")]
    shown = ", ".join(str(value) for value in values if value is not None)
    return f"({shown})" if shown else ""


def _statements(net: Network) -> list[str]:
    """What becomes of x, one expression after the other."""
    program = net.executable.program
    expressions: list[str] = []
    for stage in program.stages:
        match stage:
            case Rescale(scale=scale, offset=offset):
                expressions.append(f"x * {scale!r} + {offset!r}" if offset else f"x * {scale!r}")
            case Dense(kernel=kernel, bias=bias, activation=activation):
                plus = f' + parameters["{bias.name}"]' if bias is not None else ""
                expressions.append(f'x @ parameters["{kernel.name}"]{plus}')
                expressions += registry.activation(activation).numpy_source
            case Activate(activation=activation):
                expressions += registry.activation(activation).numpy_source
            case Dropout():
                pass  # it is off when a network predicts
            case Custom(function=function):
                kind = type(function).__name__
                raise ConfigurationError(
                    f"the layer {kind} is your own: dnnkit cannot write it as NumPy code; save the network instead"
                )
            case _:
                what = f"a stage {stage.kind!r}"
                raise ConfigurationError(
                    f"the network has {what}: dnnkit cannot write it as NumPy code; save it instead"
                )
    return expressions + list(registry.activation(program.head).numpy_source)
