"""Successive halving: train all networks for a few epochs, and ever fewer of the best for ever more."""

from math import isnan

import numpy as np

from dnnkit.errors import ConfigurationError
from dnnkit.many.callbacks import ManyCallback
from dnnkit.many.history import ManyHistory
from dnnkit.many.ranking import HALVING, goes_up, grouped, names_of, require_measured, value_of
from dnnkit.network.checks import check_count


class SuccessiveHalving(ManyCallback):
    """Successive halving: keep the best 1/factor after min_epochs, the best 1/factor of those after factor ×
    min_epochs, ...

        dk.fit_many(networks, x, y, epochs=27, validation_split=0.2, callbacks=[dk.SuccessiveHalving(factor=3)])

    trains 27 networks for one epoch, 9 of them for three, 3 for nine and one for 27: 81 epochs instead of 729.
    Networks with the same name (`dk.Sequential(..., name="wide")`) are compared by their mean, so all folds or seeds
    of a configuration are kept or stopped together. Ties keep the first; networks without a value, whose loss was
    NaN, are the worst.

    Arguments:
        factor: one in `factor` configurations is kept, at least one; 2 or more, default 3.
        min_epochs: epochs before the first selection, default 1.
        metric: name in the logs of the value to compare, default "val_loss".

    Raises:
        ConfigurationError: an argument is invalid; in `fit_many`, if the metric is not measured.

    Source: K. Jamieson, A. Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, 2016.
    """

    def __init__(self, factor: int = 3, min_epochs: int = 1, metric: str = "val_loss") -> None:
        self.factor = check_count("factor", factor, 2)
        self.min_epochs = check_count("min_epochs", min_epochs)
        if not isinstance(metric, str):
            raise ConfigurationError(f"metric is {metric!r}: expected the name of what is measured, such as 'val_loss'")
        self.metric = metric

    def on_epoch_end(self, epoch: int, many: ManyHistory) -> None:  # noqa: D102
        done = epoch + 1
        if not self.chooses_after(done):
            return
        require_measured(many, self.metric)
        contest = [
            numbers
            for numbers in grouped(names_of(many.networks)).values()
            if not any(_left_before(many, number, done) for number in numbers)
        ]
        sign = -1.0 if goes_up(many.networks[0], self.metric) else 1.0
        values = [float(np.mean([self._value(many, number, done) for number in numbers])) for numbers in contest]
        order = sorted(range(len(contest)), key=lambda place: (isnan(values[place]), sign * values[place]))
        for place in order[max(1, len(contest) // self.factor) :]:
            for number in contest[place]:
                if not many.stopped[number]:
                    many.stop(number, HALVING)

    def _value(self, many: ManyHistory, number: int, done: int) -> float:
        """Return the value after `done` epochs, so that a resumed sweep selects as the original did."""
        series = many.histories[number].history.get(self.metric, [])
        return float(series[done - 1]) if len(series) >= done else value_of(many, number, self.metric)

    def chooses_after(self, epochs: int) -> bool:
        """Return whether a selection takes place after this many epochs."""
        rung = self.min_epochs
        while rung < epochs:
            rung *= self.factor
        return rung == epochs


def _left_before(many: ManyHistory, number: int, done: int) -> bool:
    """Return whether a network was stopped by an earlier selection than the one after `done` epochs."""
    return many.stopped[number] == HALVING and len(many.histories[number].epoch) < done
