"""A network's numbers as the files of a save, and back: parameters, optimizer state, position and history.

What they are the numbers of, a save folder says by names (`saving`, `loading`), a pickle by objects (`pickling`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from dnnkit.backends.program import EpochSums, HostArray, Snapshot, TrainingState
from dnnkit.errors import CheckpointError
from dnnkit.network.protocol import Network
from dnnkit.saves.folder import to_json
from dnnkit.saves.serialization import number_from_json, number_to_json
from dnnkit.training.history import History


def numbers_of(net: Network) -> dict[str, bytes]:
    """The contents of the files, by name; all of one moment."""
    with net.turns:
        snapshot, plan, history = net.executable.snapshot(), asdict(net.executable.plan), net.history.to_json()
    state = {**_state_to_json(snapshot.state), "plan": plan, "backend": net.backend.address}
    return {
        "weights.safetensors": to_safetensors(snapshot.parameters),
        "optimizer.safetensors": to_safetensors(snapshot.slots),
        "state.json": to_json(state),
        "history.json": to_json(history),
    }


def restore_numbers(net: Network, files: Mapping[str, bytes], place: str) -> History:
    """Give a network that is built the numbers of `numbers_of`, and return its history.

    Errors call the files by `place`.
    """
    state = _state_from_json(json.loads(files["state.json"]))
    parameters = from_safetensors(files["weights.safetensors"], place)
    slots = from_safetensors(files["optimizer.safetensors"], place)
    check_parameters(net, parameters, place)
    with net.turns:
        net.executable.restore(Snapshot(parameters, slots, state))
    return History.from_json(json.loads(files["history.json"]))


def _state_to_json(state: TrainingState) -> dict[str, Any]:
    values = asdict(state)
    if state.sums is not None:
        values["sums"]["weight"] = number_to_json(state.sums.weight)
        values["sums"]["sums"] = [[number_to_json(value) for value in row] for row in state.sums.sums]
    return values


def _state_from_json(values: Mapping[str, Any]) -> TrainingState:
    """The state of `_state_to_json`; format 1 had neither sums nor schedule nor data."""
    state = TrainingState(**{field.name: values[field.name] for field in fields(TrainingState) if field.name in values})
    if (sums := values.get("sums")) is not None:
        rows = tuple(tuple(number_from_json(value) for value in row) for row in sums["sums"])
        state.sums = EpochSums(sums["first"], number_from_json(sums["weight"]), rows, sums["nan_step"])
    return state


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


def from_safetensors(data: bytes, path: str) -> dict[str, HostArray]:
    """The arrays of a safetensors file, which an error calls by its path."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from error
