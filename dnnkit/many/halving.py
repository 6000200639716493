"""Successive halving: all begin, and after ever more epochs only the best go on."""

from math import isnan

import numpy as np

from dnnkit.errors import ConfigurationError
from dnnkit.many.callbacks import ManyCallback
from dnnkit.many.history import ManyHistory
from dnnkit.many.ranking import HALVING, goes_up, grouped, names_of, require_measured, value_of
from dnnkit.network.checks import check_count


class SuccessiveHalving(ManyCallback):
    """Stop all but the best 1/factor after min_epochs, all but the best 1/factor of those after factor × min_epochs ...

        dk.fit_many(networks, x, y, epochs=27, validation_split=0.2, callbacks=[dk.SuccessiveHalving(factor=3)])

    trains 27 networks for one epoch, 9 of them for three, 3 for nine and one for 27: 81 epochs in place of 729. It goes
    by the mean of networks of one name (`dk.Sequential(..., name="wide")`), so that all folds or seeds of a
    configuration go on or none. Of equal ones, that which comes first goes on; one without a value, whose loss was NaN,
    is the worst.

    Arguments:
        factor: one of so many goes on, at least one; 2 or more.
        min_epochs: epochs before the first choice.
        metric: what decides, as logs call it.

    Raises:
        ConfigurationError: an argument cannot work; in `fit_many`, nothing of that name is measured.

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
        """After so many epochs, whatever has become of the network since: a sweep that goes on chooses as it did."""
        series = many.histories[number].history.get(self.metric, [])
        return float(series[done - 1]) if len(series) >= done else value_of(many, number, self.metric)

    def chooses_after(self, epochs: int) -> bool:
        """Whether some are stopped after so many epochs."""
        rung = self.min_epochs
        while rung < epochs:
            rung *= self.factor
        return rung == epochs


def _left_before(many: ManyHistory, number: int, done: int) -> bool:
    """Whether a network was stopped by an earlier choice than that after so many epochs."""
    return many.stopped[number] == HALVING and len(many.histories[number].epoch) < done
