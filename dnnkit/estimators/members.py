"""The networks of an estimator: what they are trained on, how, and what they say together.

`train_members` is the seam between the estimators, which know data as users have them, and the recipes by which
networks are made and trained (`presets`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.estimators.data import Curve, EncodedData, Progress, Task
from dnnkit.estimators.embedding import inputs_of
from dnnkit.estimators.settings import Settings
from dnnkit.network.whole import WholeNetwork

DENSE_BYTES = 1 << 22
"""Of the rows of a sparse matrix that are made dense at a time, about."""


@dataclass
class Members:
    """Networks that were trained, and what they predict together.

    Attributes:
        networks: each gives (N, outputs): probabilities (one column of "binary": that of the second class) or values.
        curves: of each network.
        temperature: what the logits of their mean probability are divided by.
        bounds: (2, outputs), the smallest and the largest number of "regression" that they say; None for any.
    """

    networks: list[WholeNetwork]
    curves: list[Curve]
    task: Task
    temperature: float = 1.0
    bounds: NDArray[Any] | None = None

    def predict_scores(self, x: Any) -> NDArray[Any]:
        """The mean of what members predict for x, (N, outputs), each within the bounds, after the temperature.

        Of a sparse matrix only some rows at a time become dense.
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
    """Probabilities of which the logits are divided by a temperature; `across` a row, or each by itself."""
    tiny = np.finfo(probabilities.dtype).tiny
    powers = np.maximum(probabilities, tiny) ** (1 / temperature)
    if across:
        return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]
    return powers / (powers + np.maximum(1 - probabilities, tiny) ** (1 / temperature))  # type: ignore[no-any-return]


def predict(net: WholeNetwork, x: Any) -> NDArray[Any]:
    """What a network predicts, (N, outputs), of a dense or a sparse matrix."""
    if isinstance(x, np.ndarray):
        return net.predict(inputs_of(net, x))  # type: ignore[no-any-return]
    return np.concatenate([net.predict(rows) for rows in dense_rows(x, net.dtype)])


def dense_rows(x: Any, dtype: str) -> Any:
    """A CSR matrix as dense arrays of some of its rows each, in order."""
    step = max(1, DENSE_BYTES // max(1, x.shape[1] * np.dtype(dtype).itemsize))
    for first in range(0, x.shape[0], step):
        yield x[first : first + step].astype(dtype).toarray()


def train_members(
    data: EncodedData,
    settings: Settings,
    *,
    seeds: Sequence[int],
    progress: Progress | None = None,
    start: Members | None = None,
    epochs: int | None = None,
) -> Members:
    """Make a network for each seed and train it, as the preset says; they have their own threads, `settings.n_jobs`.

    Arguments:
        data: encoded rows and targets.
        settings: every parameter of the estimator, resolved.
        seeds: one for each member.
        progress: what takes lines of text, if the user asked for them.
        start: members to go on from, for `warm_start` and `partial_fit`; as many as seeds.
        epochs: train so many and do not stop before, nor hold anything out, for `partial_fit`; None for `max_iter` and
            the preset's rules.
    """
    made: Members = settings.preset.train(data, settings, seeds=seeds, progress=progress, start=start, epochs=epochs)
    return made
