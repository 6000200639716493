"""Writing a network as the files of a save folder, without pickle; and its parameters alone as one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dnnkit._version import __version__
from dnnkit.errors import CheckpointError
from dnnkit.files import as_path, largest, read_regular, replace_all
from dnnkit.metrics import Given, Metric, name_of
from dnnkit.network.protocol import Network
from dnnkit.saves import serialization
from dnnkit.saves.folder import FORMAT, LARGEST_SAVE, read_files, to_json, write_files
from dnnkit.saves.numbers import check_parameters, numbers_of, shapes_of
from dnnkit.saves.schema import contents
from dnnkit.saves.tensors import from_safetensors, to_safetensors


def save_network(net: Network, path: str | Path) -> None:
    """Write everything that is needed to predict, and to continue training bitwise identically."""
    with net.turns:
        files = files_of(net)
    write_files(as_path(path), files)


def files_of(net: Network) -> dict[str, bytes]:
    """Return the contents of a save's files by name."""
    return {"architecture.json": to_json(architecture_of(net)), **numbers_of(net)}


def architecture_of(net: Network) -> dict[str, Any]:
    """Return everything but the numbers of a network, as JSON values."""
    together = net.gradient_accumulation_steps
    return {
        "format": FORMAT,
        "dnnkit": __version__,
        "layers": serialization.describe(net.descriptions),
        "input_shape": net.input_shape,
        "dtype": net.dtype,
        "seed": net.seed,
        "num_threads": net.num_threads,
        "loss": serialization.describe(net.loss) if len(net.goals) == 1 else None,
        "optimizer": serialization.describe(net.optimizer) if net.is_compiled else None,
        "metrics": [_described(metric) for metric in net.metrics] if len(net.goals) == 1 else [],
        **({} if net.name is None else {"name": net.name}),
        **({} if together == 1 else {"gradient_accumulation_steps": together}),
        **(_graph_of(net) if net.is_graph else {}),
    }


def _graph_of(net: Network) -> dict[str, Any]:
    """Return the connections of the layers, and with several outputs, the goal of each."""
    graph = net.graph
    connected = {
        "inputs": [{"name": each.name, "shape": each.shape} for each in graph.inputs],
        "calls": [{"layer": each.layer, "reads": each.reads, "gives": each.gives} for each in graph.calls],
        "outputs": graph.outputs,
        "output_names": graph.output_names,
        "input_form": graph.input_form,
        "output_form": graph.output_form,
    }
    if len(net.goals) == 1:
        return {"graph": connected}
    goals = [
        {
            "loss": serialization.describe(goal.loss),
            "metrics": [_described(metric) for metric in goal.metrics],
            "weight": goal.weight,
        }
        for goal in net.goals
    ]
    return {"graph": connected, "goals": goals}


def _described(metric: Given) -> Any:
    """Describe a dnnkit metric with its settings; return others by name."""
    return serialization.describe(metric) if isinstance(metric, Metric) else name_of(metric)


def save_weights(net: Network, path: str | Path, layout: str | None = None) -> None:
    """Write the parameters that predictions use to a safetensors file, in that layout."""
    with net.turns:
        executable = net.executable
        parameters = executable.snapshot().parameters
        if net.predicts_with_averages:
            averages = executable.averages()
            parameters = {name: executable.read_parameter(name, averages) for name in parameters}
    if layout is not None:
        from dnnkit.saves import layouts

        parameters = layouts.written(net, parameters, layout)
    replace_all({as_path(path): to_safetensors(parameters)})


def load_weights(net: Network, path: str | Path | Mapping[str, Any], layout: str | None = None) -> None:
    """Set the parameters of a built network from a safetensors file, a save folder, or a mapping of arrays."""
    wanted = shapes_of(net)
    if isinstance(path, Mapping):
        _take(net, wanted, path, layout, "the mapping")
        return
    path = as_path(path)
    try:
        if path.is_dir():
            data = contents(read_files(path), "weights.safetensors", str(path))
        else:
            data = read_regular(path, largest(LARGEST_SAVE))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    _take(net, wanted, from_safetensors(data, str(path)), layout, str(path))


def _take(
    net: Network, wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, Any], layout: str | None, what: str
) -> None:
    """Set the network's parameters from arrays in a layout, or with dnnkit's names."""
    if layout is None:
        parameters: dict[str, Any] = {name: np.asarray(array) for name, array in given.items()}
        check_parameters(wanted, parameters, what)
    else:
        from dnnkit.saves import layouts

        parameters = layouts.read(net, given, layout, what)
    net.set_parameters(parameters)
