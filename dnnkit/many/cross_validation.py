"""`dk.cross_validate`: a network for each fold, trained together, and what they predict of rows they have not seen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.callbacks.base import takes
from dnnkit.errors import ConfigurationError
from dnnkit.many.fitting import fit_many
from dnnkit.many.folds import Division, Stratified, count_rows, division_of, labels_of, share_of, taken
from dnnkit.many.history import ManyHistory
from dnnkit.many.intervals import Interval, interval_of_mean
from dnnkit.network.streamed import as_arrays
from dnnkit.network.whole import WholeNetwork
from dnnkit.registry import did_you_mean
from dnnkit.seeds import check_seed
from dnnkit.settings import shown

Make: TypeAlias = Callable[[int], WholeNetwork] | Callable[[], WholeNetwork] | WholeNetwork


def cross_validate(
    make: Make,
    x: Any,
    y: Any,
    *,
    folds: int | Sequence[tuple[Any, Any]] = 5,
    repeats: int = 1,
    stratified: Stratified = "auto",
    seed: int = 0,
    sample_weight: Any = None,
    **options: Any,
) -> "CrossValidation":
    """Train a network for each fold, all together, and let each predict the rows that it has not learned from.

        found = dk.cross_validate(make, x, y, folds=5, epochs=20)
        found.interval("accuracy")    # mean and 95 % interval
        found.predictions             # of every row, by the network that did not see it

    Arguments:
        make: a function of a seed that gives a compiled network, `seed`, `seed` + 1, ... for one fold after the other;
            or one without arguments; or a compiled network that is not trained yet, of which each fold trains a copy.
        x: samples (N, ...), as for `fit`.
        y: their targets.
        folds: how many, from 2 to N; or pairs of row numbers (to learn from, to hold out), as a splitter of
            scikit-learn gives.
        repeats: how often all rows are divided into folds, each time otherwise.
        stratified: "auto" for folds with equal shares of each class where y are classes; True, False; or an array (N,)
            of what folds shall have equal shares of, such as a column of x.
        seed: decides the folds, and is given to `make`.
        sample_weight: (N,), how much each sample counts, in training and in scores.
        options: of `dk.fit_many`: `epochs`, `batch_size`, `early_stopping`, `num_workers`, `checkpoint`, ....

    Returns:
        Predictions, scores with intervals, networks and rows.

    Raises:
        ConfigurationError: an argument cannot work, or a network was trained before.
        DataError: fewer rows than folds, or what `fit` refuses.

    Source: M. Stone, Cross-validatory choice and assessment of statistical predictions, 1974.
    """
    for name in ("rows", "validation_data", "validation_split"):
        if name in options:
            raise ConfigurationError(f"{name} beside cross_validate: the folds say what is held out; leave it out")
    seed = check_seed(seed)
    x, y, sample_weight = as_arrays(x, y, sample_weight)
    division = division_of(folds, count_rows(x), labels_of(y, stratified), repeats, seed)
    networks = [made(make, seed + number) for number in range(len(division))]
    many = fit_many(networks, x, y, sample_weight=sample_weight, rows=division, **options)
    return CrossValidation.of(many, division, x, y, sample_weight)


def made(make: Make, seed: int) -> WholeNetwork:
    """A compiled network that has not learned anything."""
    if isinstance(make, WholeNetwork):
        net = make.copy()
    elif callable(make):
        net = make(seed) if takes(make, 1) else make()  # type: ignore[call-arg]
    else:
        raise ConfigurationError(f"make is {shown(make)}: expected a function that gives a compiled network, or one")
    if not isinstance(net, WholeNetwork):
        raise ConfigurationError(f"make gave {shown(net)}: expected a Sequential or a Model, compiled")
    if net.is_built and net.history.epoch:
        raise ConfigurationError(
            "the network was trained before, so a fold may hold out rows that it has seen: give a function that "
            "makes a new one"
        )
    return net


class CrossValidation:
    """What came of a cross-validation; `print` it for the scores with their intervals.

    Attributes:
        predictions: (N, ...), of each row the mean of what networks predict that did not learn from it; NaN where there
            is none. Of several outputs a list or a dictionary of such, as `predict` gives them.
        scores: by name, loss and metrics on the rows that each network held out, (networks,).
        networks: one for each fold, repeat by repeat.
        rows: of each network, the rows that it learned from and those that it held out.
        many: the `ManyHistory` of the training.
    """

    def __init__(
        self, predictions: Any, scores: dict[str, NDArray[np.float64]], rows: Division, many: ManyHistory
    ) -> None:
        self.predictions, self.scores, self.rows, self.many = predictions, scores, rows, many
        self.networks = many.networks

    @classmethod
    def of(cls, many: ManyHistory, division: Division, x: Any, y: Any, sample_weight: Any = None) -> "CrossValidation":
        """Let each network predict and be scored on the rows that it held out."""
        measured: list[dict[str, float]] = []
        for net, (_, held_out) in zip(many.networks, division, strict=True):
            weights = taken(sample_weight, held_out)
            measured.append(dict(net.evaluate(taken(x, held_out), taken(y, held_out), sample_weight=weights)))
        scores = {name: np.array([each[name] for each in measured]) for name in measured[0]}
        return cls(out_of_fold(many.networks, division, x), scores, division, many)

    def interval(self, metric: str = "loss", level: float = 0.95) -> Interval:
        """The mean score of the networks, with an interval that allows for the rows that they share.

        Arguments:
            metric: "loss", or the name of a metric.
            level: the probability of the interval.

        Raises:
            ConfigurationError: nothing of that name was measured.
        """
        if metric not in self.scores:
            near = did_you_mean(metric, self.scores)
            raise ConfigurationError(f"no score is called {shown(metric)}: {near}there is {', '.join(self.scores)}")
        return interval_of_mean(self.scores[metric].tolist(), share_of(self.rows), level)

    def predict(self, x: Any) -> Any:
        """The mean of what the networks predict for new samples: they as an ensemble."""
        return mean_prediction(self.networks, x)

    def __repr__(self) -> str:
        found = {name: self.interval(name) for name in self.scores}
        scores = ", ".join(f"{name} {each.mean:.4f} ± {each.reach:.4f}" for name, each in found.items())
        return f"<CrossValidation of {len(self.networks)} networks: {scores}>"


def mean_prediction(networks: Sequence[WholeNetwork], x: Any) -> Any:
    """The mean of what networks predict, as one of them gives it."""
    return each_output(lambda *said: sum(said[1:], said[0]) / len(said), *(net.predict(x) for net in networks))


def each_output(function: Callable[..., Any], *predictions: Any) -> Any:
    """The function of what several networks predict, for each output of theirs by itself."""
    first = predictions[0]
    if isinstance(first, Mapping):
        return {name: function(*(said[name] for said in predictions)) for name in first}
    if isinstance(first, list | tuple):
        return [function(*said) for said in zip(*predictions, strict=True)]
    return function(*predictions)


def out_of_fold(networks: Sequence[WholeNetwork], division: Division, x: Any) -> Any:
    """Of each row of x the mean of what networks predict that did not learn from it; NaN where there is none."""
    rows = count_rows(x)

    def mean(*parts: NDArray[Any]) -> NDArray[Any]:
        total = np.zeros((rows, *parts[0].shape[1:]), parts[0].dtype)
        count = np.zeros((rows, *[1] * (parts[0].ndim - 1)), parts[0].dtype)
        for (_, held_out), part in zip(division, parts, strict=True):
            total[held_out] += part
            count[held_out] += 1
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

    said = [net.predict(taken(x, held_out)) for net, (_, held_out) in zip(networks, division, strict=True)]
    return each_output(mean, *said)
