"""A network's numbers as files of a save: parameters, optimizer state, training state and history.

The rest of a network is stored by names in a save folder (`saving`, `loading`), and as objects in a pickle
(`pickling`).
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from dnnkit.backends.state import EpochSums, HostArray, Snapshot, TrainingState
from dnnkit.deferred import dataclass
from dnnkit.errors import CheckpointError
from dnnkit.network.protocol import Network
from dnnkit.saves.folder import to_json
from dnnkit.saves.kinds import HISTORY, STATE
from dnnkit.saves.schema import contents, read
from dnnkit.saves.serialization import number_to_json
from dnnkit.saves.tensors import from_safetensors, to_safetensors
from dnnkit.training.history import History


def numbers_of(net: Network) -> dict[str, bytes]:
    """Return the files' contents by name, a consistent snapshot."""
    with net.turns:
        snapshot, plan, history = net.executable.snapshot(), asdict(net.executable.plan), net.history.to_json()
    state = {**_state_to_json(snapshot.state), "plan": plan, "backend": net.backend.address}
    return {
        "weights.safetensors": to_safetensors(snapshot.parameters),
        "optimizer.safetensors": to_safetensors(snapshot.slots),
        "state.json": to_json(state),
        "history.json": to_json(history),
    }


@dataclass(frozen=True)
class Numbers:
    """Checked numbers of a save; the arrays are read-only views of the files."""

    parameters: Mapping[str, HostArray]
    slots: Mapping[str, HostArray]
    state: TrainingState
    history: History
    backend: str | None
    """Address of the backend that trained it; None in format 1."""

    @classmethod
    def of(cls, files: Mapping[str, bytes], place: str) -> "Numbers":
        """Read the files written by `numbers_of`, for any network; errors refer to them as `place`."""
        state = read(files, "state.json", STATE, place)
        parameters, slots = (
            from_safetensors(contents(files, name, place), f"{place}: {name}")
            for name in ("weights.safetensors", "optimizer.safetensors")
        )
        history = History.from_json(read(files, "history.json", HISTORY, place), is_checked=True)
        return cls(parameters, slots, _state_from_json(state), history, state.get("backend"))

    def check(self, shapes: Mapping[str, tuple[int, ...]], dtype: str, measured: int, place: str) -> None:
        """Raise `CheckpointError` unless they fit a network with these parameters and number of sums (`measured`)."""
        check_parameters(shapes, self.parameters, place)
        for name, array in self.slots.items():
            slot, _, parameter = name.partition("/")
            if not slot or shapes.get(parameter) != array.shape:
                raise CheckpointError(
                    f"{place} holds optimizer state {name!r} of shape {array.shape}, which matches no parameter of the "
                    "network: it is damaged"
                )
        for name, array in {**self.parameters, **self.slots}.items():
            if array.dtype != dtype:
                raise CheckpointError(f"{place} holds {name!r} in {array.dtype}, but the network has dtype {dtype}")
        sums = self.state.sums
        if sums is not None and len(sums.total) != measured:
            raise CheckpointError(
                f"{place} is damaged: state.json has {len(sums.total)} sums: expected 1 for the loss and "
                f"{measured - 1} for metrics"
            )

    def give_to(self, net: Network) -> None:
        """Copy them to a built network that they were checked against."""
        with net.turns:
            net.executable.restore(Snapshot(self.parameters, self.slots, self.state))
            if net.turns.shared_layers is not None:
                net.turns.shared_layers.changed()
        net.history = self.history


def restore_numbers(net: Network, files: Mapping[str, bytes], place: str) -> None:
    """Set the numbers of a built network from the files of `numbers_of`; errors refer to them as `place`."""
    numbers, program = Numbers.of(files, place), net.executable.program
    numbers.check(shapes_of(net), program.dtype, program.measured, place)
    numbers.give_to(net)


def _state_to_json(state: TrainingState) -> dict[str, Any]:
    values = asdict(state)
    if state.sums is not None:
        values["sums"]["weight"] = number_to_json(state.sums.weight)
        values["sums"]["sums"] = [[number_to_json(value) for value in row] for row in state.sums.sums]
    return values


def _state_from_json(values: Mapping[str, Any]) -> TrainingState:
    """Build the state from checked values; format 1 had neither sums nor schedule nor data."""
    state = TrainingState(**{field.name: values[field.name] for field in fields(TrainingState) if field.name in values})
    if (sums := values.get("sums")) is not None:
        state.sums = EpochSums(sums["first"], sums["weight"], tuple(map(tuple, sums["sums"])), sums["nan_step"])
    return state


def shapes_of(net: Network) -> dict[str, tuple[int, ...]]:
    """Return the shape of each parameter of a built network."""
    return {parameter.name: parameter.shape for parameter in net.executable.program.parameters}


def check_parameters(wanted: Mapping[str, tuple[int, ...]], parameters: Mapping[str, HostArray], place: str) -> None:
    """Raise `CheckpointError` unless names and shapes are those of the network's parameters."""
    found = {name: array.shape for name, array in parameters.items()}
    if dict(wanted) != found:
        raise CheckpointError(
            f"{place} holds parameters {_shown(found)}, but the network has {_shown(wanted)}: they do not fit"
        )


def _shown(shapes: Mapping[str, tuple[int, ...]]) -> str:
    text = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:20])
    return f"{text[:600]}, ..." if len(shapes) > 20 or len(text) > 600 else text or "none"
