"""Recording the state of layers during training, from copies of the parameters, on NumPy."""

from collections.abc import Mapping
from math import inf, nan

import numpy as np

from dnnkit.backends.stages import Activate
from dnnkit.backends.state import Snapshot
from dnnkit.diagnosis.findings import with_findings
from dnnkit.diagnosis.first_look import FirstLook, reach
from dnnkit.diagnosis.layers import Diagnosis, LayerCourse, Record
from dnnkit.diagnosis.unrolled import Operation, Values, unroll
from dnnkit.kernels import registry
from dnnkit.kernels.clip_norm.reference import clip_norm
from dnnkit.network.protocol import Network

WORK = 2e9
"""Maximum cost of a record in rows times parameters, subject to ENOUGH."""

ENOUGH = 32
"""Minimum number of rows of a record, if there are that many."""

EVERY = 20
"""Number of first epochs that are all recorded; later, those with two significant digits: ... 99, 100, 110, 120."""

AT_LIMIT = 0.01
"""Distance from a limit of the activation's range, as a fraction of it, within which an output is at its limit."""


class Recorder:
    """Records the state of a network's layers, always on the same rows."""

    def __init__(self, net: Network, look: FirstLook) -> None:
        rows = int(WORK // max(1, net.executable.program.size))
        rows = max(min(rows, len(look.x)), min(ENOUGH, len(look.x)))
        self._x, self._y = look.x[:rows], look.y[:rows]
        self._epochs = list[int]()
        self._records: dict[str, list[Record]] = {}
        self._about: dict[str, tuple[int, str]] = {}

    def wants(self, epochs: int) -> bool:
        """Whether to record after that many epochs: all of the first ones, then increasingly few."""
        return epochs <= EVERY or epochs % 10 ** (len(str(epochs)) - 2) == 0

    def record(self, net: Network, epochs: int) -> None:
        """Record the network's current state."""
        executable, program = net.executable, net.executable.program
        with net.turns:
            snapshot = executable.snapshot()
        step = unroll(
            program, net.graph, net.goals, snapshot.parameters, self._x, self._y, training=False, with_input=False
        )
        updates = _updates(net, snapshot, step.gradients)
        self._epochs.append(epochs)
        layers = _by_layer(step.operations)
        for name, operations in layers.items():
            activated = [(o.stage.activation, o.x, o.y) for o in operations if isinstance(o.stage, Activate)]
            if step.head != "linear" and operations[-1] is step.operations[-1]:
                activated.append((step.head, operations[-1].y, step.predictions))
            record = _record(operations[0], activated, snapshot.parameters, updates)
            self._records.setdefault(name, []).append(record)
            names = [str(getattr(o.layer_given, "activation", None) or "") for o in operations]
            names += [o.stage.activation for o in operations if isinstance(o.stage, Activate)]
            names += [step.head] if activated and operations[-1] is step.operations[-1] else []
            self._about[name] = int(operations[-1].y.shape[1]), next(filter(None, names), "linear")

    def diagnosis(self) -> Diagnosis:
        """Return all records so far, with the problems found in them."""
        names = list(self._records)
        layers = tuple(
            LayerCourse(name, *self._about[name], name == names[-1], tuple(self._records[name])) for name in names
        )
        return with_findings(Diagnosis(tuple(self._epochs), len(self._x), layers))


# -- one record ------------------------------------------------------------------------------------------------------


def _by_layer(operations: tuple[Operation, ...]) -> dict[str, list[Operation]]:
    """Group the operations by layer with parameters, each with the activation layers that directly follow it."""
    layers: dict[str, list[Operation]] = {}
    current = None
    for operation in operations:
        if operation.gradients:
            current = layers.setdefault(operation.layer, [])
        elif not isinstance(operation.stage, Activate):
            current = None
        if current is not None:
            current.append(operation)
    return layers


def _record(
    trained: Operation,
    activated: list[tuple[str, Values, Values]],
    parameters: Mapping[str, Values],
    updates: Mapping[str, Values],
) -> Record:
    """Compute the record of an operation with parameters and its activations (name, input, output)."""
    dead = at_limits = nan
    for name, x, y in activated:
        activation = registry.activation(name)
        if activation.elementwise:
            slope = activation.backward(np.ones_like(y), y if activation.saves == "output" else x)
            dead = float((slope == 0).all(axis=0).mean())
        if activation.gives == "categorical":
            at_limits = float((y.max(axis=1) > 1 - AT_LIMIT).mean())
            continue
        low, high = reach(activation)
        if -inf < low < high < inf:
            margin = AT_LIMIT * (high - low)
            at_limits = float(((y < low + margin) | (y > high - margin)).mean())
    names = list(trained.gradients)
    weights = np.concatenate([parameters[name].reshape(-1) for name in names])
    gradient = np.concatenate([trained.gradients[name].reshape(-1) for name in names])
    update = np.concatenate([updates[name].reshape(-1) for name in names]) if updates else np.array([nan])
    size = _rms(weights)
    return Record(dead, at_limits, _rms(trained.dy), _rms(gradient), _rms(update) / size if size else nan)


def _updates(net: Network, snapshot: Snapshot, gradients: Mapping[str, Values]) -> dict[str, Values]:
    """Return the changes that the optimizer's next step would make, given these gradients."""
    rule = net.executable.program.optimizer_rule
    if rule is None:
        return {}
    program, changes = net.executable.program, dict[str, Values]()
    update = snapshot.state.step // net.gradient_accumulation_steps
    numbers = net.optimizer.hyperparameters(update, 1, program.groups).at(0)
    with np.errstate(all="ignore"):
        if numbers.clip_norm is not None:
            whole = np.concatenate([g.reshape(-1) for g in gradients.values()])
            scale = _rms(clip_norm(whole, numbers.clip_norm)) / (_rms(whole) or 1.0)
            gradients = {name: g * g.dtype.type(scale) for name, g in gradients.items()}
        if (bound := numbers.clip_each) is not None:
            gradients = {name: clip_norm(g, bound) for name, g in gradients.items()}
        if (bound := numbers.clip_value) is not None:
            gradients = {name: np.clip(g, -bound, bound) for name, g in gradients.items()}
        for name, g in gradients.items():
            p = snapshot.parameters[name]
            slots = [snapshot.slots.get(f"{slot}/{name}", np.zeros_like(p)) for slot in rule.slots]
            own = numbers.of_group(program.group_of.get(name, 0))
            given = float(own.learning_rates[0]), *own.numbers(rule)
            after, *_ = rule.function(update + 1, p, g, *slots, *given, np)
            changes[name] = np.asarray(after) - p
    return changes


def _rms(array: Values) -> float:
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if array.size else nan
