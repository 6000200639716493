"""A network as the files of a save folder, without pickle; and its parameters alone as one file."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from dnnkit._version import __version__
from dnnkit.backends.program import HostArray
from dnnkit.errors import CheckpointError
from dnnkit.files import as_path, replace_all
from dnnkit.metrics import name_of
from dnnkit.network.protocol import Network
from dnnkit.saves import serialization
from dnnkit.saves.folder import FORMAT, read_files, to_json, write_files


def save_network(net: Network, path: str | Path) -> None:
    """Write everything that is needed to predict and to train on exactly as if there had been no pause."""
    snapshot = net.executable.snapshot()
    architecture = {
        "format": FORMAT,
        "dnnkit": __version__,
        "layers": serialization.describe(net.layers),
        "input_shape": net.input_shape,
        "dtype": net.dtype,
        "seed": net.seed,
        "num_threads": net.num_threads,
        "loss": serialization.describe(net.loss),
        "optimizer": serialization.describe(net.optimizer) if net.is_compiled else None,
        "metrics": [name_of(metric) for metric in net.metrics],
    }
    write_files(
        as_path(path),
        {
            "architecture.json": to_json(architecture),
            "weights.safetensors": to_safetensors(snapshot.parameters),
            "optimizer.safetensors": to_safetensors(snapshot.slots),
            "state.json": to_json({**asdict(snapshot.state), "plan": asdict(net.executable.plan)}),
            "history.json": to_json(net.history.to_json()),
        },
    )


def save_weights(net: Network, path: str | Path) -> None:
    """Write the parameters alone, as one safetensors file."""
    replace_all({as_path(path): to_safetensors(net.executable.snapshot().parameters)})


def load_weights(net: Network, path: str | Path) -> None:
    """Read the parameters of a network that is built from a safetensors file or from a save folder."""
    path = as_path(path)
    try:
        data = read_files(path)["weights.safetensors"] if path.is_dir() else path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    parameters = from_safetensors(data, str(path))
    check_parameters(net, parameters, str(path))
    net.set_parameters(parameters)


def check_parameters(net: Network, parameters: Mapping[str, HostArray], path: str) -> None:
    """Raise `CheckpointError` unless these are the network's parameters, in name and shape."""
    wanted = {parameter.name: parameter.shape for parameter in net.executable.program.parameters}
    found = {name: array.shape for name, array in parameters.items()}
    if wanted != found:
        raise CheckpointError(f"{path} holds parameters {found}, but the network has {wanted}: they do not fit")


def to_safetensors(arrays: Mapping[str, HostArray]) -> bytes:
    """The contents of a safetensors file."""
    from safetensors.numpy import save

    return save(dict(arrays))


def from_safetensors(data: bytes, path: str = "") -> dict[str, HostArray]:
    """The arrays of a safetensors file, which an error calls by its path."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from error
