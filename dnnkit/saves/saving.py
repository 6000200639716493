"""A network as the files of a save folder, without pickle; and its parameters alone as one file."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from dnnkit._version import __version__
from dnnkit.backends.program import HostArray
from dnnkit.errors import CheckpointError
from dnnkit.files import replace_all
from dnnkit.network.protocol import Network
from dnnkit.saves import serialization
from dnnkit.saves.folder import FORMAT, read_files, to_json, write_files


def save_network(net: Network, path: str | Path) -> None:
    """Write everything that is needed to predict and to train on exactly as if there had been no pause."""
    with net.turns:
        snapshot, history = net.executable.snapshot(), net.history.to_json()
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
        "metrics": [metric if isinstance(metric, str) else metric.__name__ for metric in net.metrics],
    }
    write_files(
        Path(path),
        {
            "architecture.json": to_json(architecture),
            "weights.safetensors": to_safetensors(snapshot.parameters),
            "optimizer.safetensors": to_safetensors(snapshot.slots),
            "state.json": to_json({**asdict(snapshot.state), "plan": asdict(net.executable.plan)}),
            "history.json": to_json(history),
        },
    )


def save_weights(net: Network, path: str | Path) -> None:
    """Write the parameters alone, as one safetensors file."""
    with net.turns:
        parameters = net.executable.snapshot().parameters
    replace_all({Path(path): to_safetensors(parameters)})


def load_weights(net: Network, path: str | Path) -> None:
    """Read the parameters of a network that is built from a safetensors file or from a save folder."""
    path = Path(path)
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
