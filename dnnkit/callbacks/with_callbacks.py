"""Evaluations and predictions with callbacks; without any, each is a single call of the executable."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dnnkit.backends.executable import Executable
from dnnkit.backends.state import HostArray, Totals
from dnnkit.callbacks.callback_list import CallbackList
from dnnkit.network.protocol import Network
from dnnkit.settings import Expected, shown
from dnnkit.training.parts import InParts


def _number(value: Any) -> float:
    if isinstance(value, str):
        raise ValueError
    return float(value)


_NUMBER = Expected("a number, like all logs", _number)


def params(samples: int, batch_size: int) -> dict[str, int]:
    """Return `Callback.params` of an evaluation or prediction."""
    steps = -(-samples // batch_size)
    return {"epochs": 1, "steps": steps, "samples": samples, "batch_size": batch_size, "verbose": 0}


def after_callbacks(call: Callable[[dict[str, Any]], None], logs: Mapping[str, float]) -> dict[str, float]:
    """Call the callbacks and return the logs with their additions, checked to be numbers."""
    changed: dict[str, Any] = dict(logs)
    call(changed)
    if changed != logs:
        for name, value in changed.items():
            changed[name] = _NUMBER.check(f"a callback sets logs[{name!r}] to {shown(value)}", value)
    return changed


def evaluate(
    net: Network, executable: Executable, data: Any, batch_size: int, callbacks: CallbackList
) -> dict[str, float]:
    """Evaluate loss and metrics of data loaded by the executable."""
    metrics, wants_batches = executable.program.metrics, callbacks.wants_test_batches
    rows = data.rows if isinstance(data, InParts) else len(data)
    batches = -(-rows // batch_size)

    def after_batch(batch: int, totals: Totals) -> None:
        callbacks.on_test_batch_end(batch, totals.means(metrics))
        if batch + 1 < batches:
            callbacks.on_test_batch_begin(batch + 1, {})

    def measure(parameters: Any) -> dict[str, float]:
        call = after_batch if wants_batches else None
        if isinstance(data, InParts):
            return data.measure(executable, batch_size, parameters, call)
        return executable.measure(data, batch_size, parameters, call)

    callbacks.on_test_begin({})
    if wants_batches:
        callbacks.on_test_batch_begin(0, {})
    read = net.turns.read_once if wants_batches or isinstance(data, InParts) else net.turns.read
    measured = read(executable, measure, averages=net.predicts_with_averages)
    return after_callbacks(callbacks.on_test_end, measured)


def predict(
    net: Network,
    executable: Executable,
    x: Any,
    batch_size: int,
    callbacks: CallbackList,
    arranged: Callable[[HostArray], Any],
) -> HostArray:
    """Predict outputs (N, O) of checked samples; callbacks get each batch in the form of `arranged`."""
    callbacks.on_predict_begin({})
    if callbacks.wants_predict_batches:
        found = net.turns.read_once(
            executable,
            lambda parameters: _batch_by_batch(executable, x, batch_size, parameters, callbacks, arranged),
            averages=net.predicts_with_averages,
        )
    else:
        data = executable.load(x, None, None)
        found = net.turns.read(
            executable,
            lambda parameters: executable.predict(data, batch_size, parameters),
            averages=net.predicts_with_averages,
        )
    callbacks.on_predict_end({})
    return found


def _batch_by_batch(
    executable: Executable,
    x: Any,
    batch_size: int,
    parameters: Any,
    callbacks: CallbackList,
    arranged: Callable[[HostArray], Any],
) -> HostArray:
    found = []
    for batch, first in enumerate(range(0, int(x.shape[0]), batch_size)):
        callbacks.on_predict_batch_begin(batch, {})
        data = executable.load(x[first : first + batch_size], None, None)
        found.append(executable.predict(data, batch_size, parameters))
        callbacks.on_predict_batch_end(batch, {"outputs": arranged(found[-1])})
    return np.concatenate(found)
