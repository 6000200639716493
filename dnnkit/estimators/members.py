"""The networks of an estimator: training and combined predictions.

`train_members` is the interface between the estimators, which handle users' data, and the presets, which make and
train networks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.estimators.data import Curve, EncodedData, Progress, Task
from dnnkit.estimators.embedding import inputs_of
from dnnkit.estimators.settings import Settings
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.network.whole import WholeNetwork

DENSE_BYTES = 1 << 22
"""Approximate size in bytes of the dense blocks in which compressed rows are predicted."""


@dataclass
class Members:
    """Trained networks and their combined predictions.

    Attributes:
        networks: each returns (N, outputs): probabilities (for "binary" one column, the second class's) or values.
        curves: history of each network.
        task: the task.
        temperature: divisor of the logits of the mean probability.
        bounds: (2, outputs), smallest and largest value of a "regression" target, to which predictions are clipped;
            None for no limits.
    """

    networks: list[WholeNetwork]
    curves: list[Curve]
    task: Task
    temperature: float = 1.0
    bounds: NDArray[Any] | None = None

    def predict_scores(self, x: Any) -> NDArray[Any]:
        """Return the mean prediction of the members, (N, outputs), clipped to the bounds and scaled by the
        temperature.

        Compressed rows that the networks do not multiply become dense block by block.
        """
        mean = None
        for net in self.networks:
            scores = predict(net, x)
            if self.bounds is not None:
                scores = np.clip(scores, *self.bounds)
            mean = scores if mean is None else mean + scores
        assert mean is not None
        if len(self.networks) > 1:
            mean /= len(self.networks)
        if self.temperature == 1.0 or self.task == "regression":
            return mean
        return tempered(mean, self.temperature, across=self.task == "multiclass")


def tempered(probabilities: NDArray[Any], temperature: float, *, across: bool) -> NDArray[Any]:
    """Divide the logits of probabilities by a temperature, `across` each row (softmax) or element by element."""
    tiny = np.finfo(probabilities.dtype).tiny
    powers = np.maximum(probabilities, tiny) ** (1 / temperature)
    if across:
        return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]
    return powers / (powers + np.maximum(1 - probabilities, tiny) ** (1 / temperature))  # type: ignore[no-any-return]


def predict(net: WholeNetwork, x: Any) -> NDArray[Any]:
    """Return a network's predictions, (N, outputs), for an array or `CompressedRows`."""
    if not isinstance(x, CompressedRows):
        return net.predict(inputs_of(net, x))  # type: ignore[no-any-return]
    if net.multiplies(x):
        return net.predict(x)  # type: ignore[no-any-return]
    step = max(1, DENSE_BYTES // (x.features * x.dtype.itemsize))
    blocks = (np.asarray(x[first : first + step]) for first in range(0, len(x), step))
    return np.concatenate([net.predict(block) for block in blocks])


def train_members(
    data: EncodedData,
    settings: Settings,
    *,
    seeds: Sequence[int],
    progress: Progress | None = None,
    start: Members | None = None,
    epochs: int | None = None,
) -> Members:
    """Make a network per seed and train it as the preset does, in `settings.n_jobs` threads.

    Arguments:
        data: encoded rows and targets.
        settings: resolved parameters of the estimator.
        seeds: one seed per member.
        progress: accepts lines of text, or None.
        start: members to continue from, one per seed, for `warm_start` and `partial_fit`.
        epochs: number of epochs, trained without early stopping or held-out rows, for `partial_fit`; None for
            `max_iter` and the preset's rules.
    """
    made: Members = settings.preset.train(data, settings, seeds=seeds, progress=progress, start=start, epochs=epochs)
    return made
