"""Number of updates until a network's predictions reach a given confidence."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError
from dnnkit.network.checks import check_count
from dnnkit.network.protocol import Network
from dnnkit.settings import numbers

CONFIDENCE = numbers("more than 0 and less than 1, such as 0.95", lambda number: 0 < number < 1)


def iterations_to_confidence(
    net: Network, x: Any, y: Any, *, confidence: float = 0.95, limit: int = 100_000
) -> int | None:
    """Train on all of x and y as one batch until every prediction reaches a confidence.

    Predictions are checked after every update, so the result is exact. The network stays trained.

    Arguments:
        net: a compiled network.
        x: samples (N, ...).
        y: targets.
        confidence: required confidence, between 0 and 1; default 0.95. For integer classes, it is the probability of
            the true class; otherwise 1 - |prediction - target|.
        limit: maximum number of updates.

    Returns:
        The number of updates, or None if `limit` was not enough.

    Raises:
        ConfigurationError: an argument is out of range, or the network has several outputs.
        ShapeError, DataError: data does not fit the network.
    """
    confidence = CONFIDENCE.of("confidence", confidence)
    check_count("limit", limit)
    if len(net.goals) > 1:
        raise ConfigurationError(
            f"the network has several outputs, {', '.join(net.graph.output_names)}: expected a network with one output"
        )
    net.evaluate(x, y)  # checks the data before training
    assert net.loss is not None
    are_labels = net.loss.targets == "labels"
    targets = net.backend.to_numpy(net.backend.as_input(y))
    targets = targets.reshape(-1).astype(np.int64) if are_labels else targets.reshape(len(targets), -1)
    for iteration in range(limit + 1):
        if iteration:
            net.train_step(x, y)
        if _least(net.predict(x), targets, are_labels) >= confidence:
            return iteration
    return None


def _least(predictions: NDArray[Any], targets: NDArray[Any], are_labels: bool) -> float:
    """Return the lowest confidence of all predictions."""
    if are_labels:
        return float(predictions[np.arange(len(targets)), targets].min())
    return float(1 - np.abs(predictions - targets).max())
