"""How long a network must be trained until it is sure."""

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
    """Train on all of x and y at once until every prediction is sure; return the number of updates that took.

    A prediction is sure if it is within 1 - `confidence` of its target, or, where y are class numbers, if its true
    class has a probability of at least `confidence`. The network keeps what it learned. None: not within `limit`
    updates. It looks at the predictions after every update, so the first time counts.
    """
    confidence = CONFIDENCE.of("confidence", confidence)
    check_count("limit", limit)
    if len(net.goals) > 1:
        raise ConfigurationError(
            f"the network has several outputs, {', '.join(net.graph.output_names)}: it can be sure of one alone"
        )
    net.evaluate(x, y)  # checks both before anything is trained
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
    """The confidence of the least sure prediction."""
    if are_labels:
        return float(predictions[np.arange(len(targets)), targets].min())
    return float(1 - np.abs(predictions - targets).max())
