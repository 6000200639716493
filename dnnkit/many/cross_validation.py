"""`dk.cross_validate`: one network per fold, trained together, and their out-of-fold predictions."""

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
from dnnkit.network.streamed import as_arrays, is_sparse_with
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
    """Cross-validate: train one network per fold, all together, and predict the held-out rows of each.

        found = dk.cross_validate(make, x, y, folds=5, epochs=20)
        found.interval("accuracy")    # mean and 95 % confidence interval
        found.predictions             # out-of-fold prediction of every row

    Arguments:
        make: a function that returns a compiled network for a seed (`seed`, `seed` + 1, ... for successive folds) or
            without arguments; or a compiled, untrained network, which is copied for each fold.
        x: samples (N, ...), or a sparse matrix, as for `fit_many`.
        y: targets, as for `fit`.
        folds: number of folds, 2 to N (default 5); or pairs of row indices (train, held out), such as a scikit-learn
            splitter yields.
        repeats: number of times that all rows are divided into folds, each time differently. Default 1.
        stratified: "auto" (default): stratify by class if y are classes; True; False; or an array (N,) to stratify
            by, such as a column of x.
        seed: seed of the folds, also passed to `make`. Default 0.
        sample_weight: weights of the samples (N,), used in training and scores.
        options: options of `dk.fit_many`: `epochs`, `batch_size`, `early_stopping`, `num_workers`, `checkpoint`, ....

    Returns:
        A `CrossValidation`: predictions, scores with intervals, networks and rows.

    Raises:
        ConfigurationError: an argument is invalid, or a network was trained before.
        DataError: there are fewer rows than folds, or `fit` refuses the data.

    Source: M. Stone, Cross-validatory choice and assessment of statistical predictions, 1974.
    """
    for name in ("rows", "validation_data", "validation_split"):
        if name in options:
            raise ConfigurationError(
                f"cross_validate does not accept {name}: the folds define the held-out rows; leave it out"
            )
    seed = check_seed(seed)
    if is_sparse_with(x, y, sample_weight):
        x = x.tocsr()  # rows of other formats cannot be selected
    else:
        x, y, sample_weight = as_arrays(x, y, sample_weight)
    division = division_of(folds, count_rows(x), labels_of(y, stratified), repeats, seed)
    networks = [made(make, seed + number) for number in range(len(division))]
    many = fit_many(networks, x, y, sample_weight=sample_weight, rows=division, **options)
    return CrossValidation.of(many, division, x, y, sample_weight)


def made(make: Make, seed: int) -> WholeNetwork:
    """Return a compiled, untrained network."""
    if isinstance(make, WholeNetwork):
        net = make.copy()
    elif callable(make):
        net = make(seed) if takes(make, 1) else make()  # type: ignore[call-arg]
    else:
        raise ConfigurationError(f"make is {shown(make)}: expected a compiled network, or a function that returns one")
    if not isinstance(net, WholeNetwork):
        raise ConfigurationError(f"make returned {shown(net)}: expected a compiled Sequential or Model")
    if net.is_built and net.history.epoch:
        raise ConfigurationError(
            "the network was trained before, so it may have seen held-out rows: give a function that returns a new "
            "network"
        )
    return net


class CrossValidation:
    """Results of a cross-validation; `print` it for the scores with their intervals.

    Attributes:
        predictions: (N, ...), the mean out-of-fold prediction of each row; NaN for rows that were never held out. For
            several outputs, a list or dictionary as `predict` returns.
        scores: loss and metrics on the held-out rows by name, (networks,).
        networks: one network per fold, repeat by repeat.
        rows: training rows and held-out rows of each network.
        many: the `ManyHistory` of the training.
    """

    def __init__(
        self, predictions: Any, scores: dict[str, NDArray[np.float64]], rows: Division, many: ManyHistory
    ) -> None:
        self.predictions, self.scores, self.rows, self.many = predictions, scores, rows, many
        self.networks = many.networks

    @classmethod
    def of(cls, many: ManyHistory, division: Division, x: Any, y: Any, sample_weight: Any = None) -> "CrossValidation":
        """Predict and score the held-out rows of each network."""
        measured: list[dict[str, float]] = []
        for net, (_, held_out) in zip(many.networks, division, strict=True):
            weights = taken(sample_weight, held_out)
            measured.append(dict(net.evaluate(taken(x, held_out), taken(y, held_out), sample_weight=weights)))
        scores = {name: np.array([each[name] for each in measured]) for name in measured[0]}
        return cls(out_of_fold(many.networks, division, x), scores, division, many)

    def interval(self, metric: str = "loss", level: float = 0.95) -> Interval:
        """Return the mean score with a confidence interval that accounts for shared training rows.

        Arguments:
            metric: "loss", or the name of a metric.
            level: confidence level, default 0.95.

        Raises:
            ConfigurationError: there is no score with that name.
        """
        if metric not in self.scores:
            near = did_you_mean(metric, self.scores)
            raise ConfigurationError(
                f"there is no score {shown(metric)}: {near}expected one of {', '.join(self.scores)}"
            )
        return interval_of_mean(self.scores[metric].tolist(), share_of(self.rows), level)

    def predict(self, x: Any) -> Any:
        """Return the mean prediction of the networks, as an ensemble, for new samples."""
        return mean_prediction(self.networks, x)

    def __repr__(self) -> str:
        found = {name: self.interval(name) for name in self.scores}
        scores = ", ".join(f"{name} {each.mean:.4f} ± {each.reach:.4f}" for name, each in found.items())
        return f"<CrossValidation of {len(self.networks)} networks: {scores}>"


def mean_prediction(networks: Sequence[WholeNetwork], x: Any) -> Any:
    """Return the mean prediction of networks, in the form of a single network's."""
    return each_output(lambda *each: sum(each[1:], each[0]) / len(each), *(net.predict(x) for net in networks))


def each_output(function: Callable[..., Any], *predictions: Any) -> Any:
    """Apply a function to the predictions of several networks, for each output separately."""
    first = predictions[0]
    if isinstance(first, Mapping):
        return {name: function(*(each[name] for each in predictions)) for name in first}
    if isinstance(first, list | tuple):
        return [function(*each) for each in zip(*predictions, strict=True)]
    return function(*predictions)


def out_of_fold(networks: Sequence[WholeNetwork], division: Division, x: Any) -> Any:
    """Return the mean out-of-fold prediction of each row of x; NaN for rows that were never held out."""
    rows = count_rows(x)

    def mean(*parts: NDArray[Any]) -> NDArray[Any]:
        total = np.zeros((rows, *parts[0].shape[1:]), parts[0].dtype)
        count = np.zeros((rows, *[1] * (parts[0].ndim - 1)), parts[0].dtype)
        for (_, held_out), part in zip(division, parts, strict=True):
            total[held_out] += part
            count[held_out] += 1
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

    predictions = [net.predict(taken(x, held_out)) for net, (_, held_out) in zip(networks, division, strict=True)]
    return each_output(mean, *predictions)
