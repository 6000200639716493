"""Progress of all networks as text: the best so far, and a summary of the others."""

from collections import Counter
from collections.abc import Sequence
from math import isnan, nan
from time import perf_counter

import numpy as np

from dnnkit.many.history import ManyHistory
from dnnkit.many.ranking import HALVING, figure, goes_up, grouped, names_of
from dnnkit.many.text_table import lines_of

MOST_METRICS = 3
"""Maximum number of columns of metrics."""


class Standing:
    """Progress of networks in training; computed anew on each call.

    Arguments:
        many: the networks and their histories.
        epochs: number of epochs of each network.
    """

    def __init__(self, many: ManyHistory, epochs: int) -> None:
        self._many, self._epochs = many, epochs
        self._groups = grouped(names_of(many.networks))
        self._begin, self._before = perf_counter(), sum(self._done(range(len(many))))

    def line(self) -> str:
        """`20 networks - 540 of 1,200 epochs - 2.1 s - ETA 3 s - best val_loss 0.0712: hidden=128`."""
        return " - ".join((*self._totals(), *self._best()))

    def picture(self, width: int, lines: int) -> list[str]:
        """Return the lines of a table, best first.

        Arguments:
            width: maximum characters per line.
            lines: maximum number of rows, one per network name; the others are counted by state.
        """
        metric, names = self._metric, self._measured()
        held_out = [name for name in names if name.startswith("val_")]
        columns = sorted(held_out or names, key=lambda name: name != metric)[:MOST_METRICS]
        sign = -1.0 if goes_up(self._many.networks[0], metric) else 1.0
        found = []
        for name, numbers in self._groups.items():
            by, values = self._mean(numbers, metric), [self._mean(numbers, each) for each in columns]
            cells = [name, _range(self._done(numbers)), *(figure(value) if value == value else "" for value in values)]
            found.append(((isnan(by), sign * by), [*cells, self._state(numbers)]))
        found.sort(key=lambda each: each[0])
        rows = [cells for _, cells in found]
        shown = [" - ".join(self._totals())[:width]]
        shown += lines_of(["network", "epoch", *columns, ""], rows[:lines], width, {0, 2 + len(columns)})
        if len(rows) > lines:
            counts = Counter(cells[-1] or "in training" for cells in rows[lines:])
            others = ", ".join(f"{count} {state}" for state, count in counts.items())
            shown.append(f"... {len(rows) - lines} more: {others}"[:width])
        return shown

    @property
    def _metric(self) -> str:
        """The metric that determines the best."""
        return "val_loss" if "val_loss" in self._measured() else "loss"

    def _measured(self) -> list[str]:
        return list(dict.fromkeys(name for history in self._many.histories for name in history.history))

    def _done(self, numbers: Sequence[int]) -> list[int]:
        return [len(self._many.histories[number].epoch) for number in numbers]

    def _totals(self) -> list[str]:
        """Return the overall progress."""
        many, seconds = self._many, perf_counter() - self._begin
        done = sum(self._done(range(len(many))))
        left = sum(
            max(0, self._epochs - len(history.epoch))
            for history, why in zip(many.histories, many.stopped, strict=True)
            if not why
        )
        goal = f" of {done + left:,}" if left else ""
        parts = [f"{len(many)} networks", f"{done:,}{goal} epochs", f"{seconds:.1f} s"]
        trained = done - self._before
        return [*parts, f"ETA {seconds / trained * left:.0f} s"] if trained and left else parts

    def _best(self) -> list[str]:
        """Return the best of those that selection has not stopped."""
        metric = self._metric
        sign = -1.0 if goes_up(self._many.networks[0], metric) else 1.0
        found = [
            (sign * value, value, name)
            for name, numbers in self._groups.items()
            if not any(self._many.stopped[number] == HALVING for number in numbers)
            and (value := self._mean(numbers, metric)) == value
        ]
        return [f"best {metric} {figure(value)}: {name}" for _, value, name in sorted(found)[:1]]

    def _mean(self, numbers: Sequence[int], metric: str) -> float:
        """Return the mean of the last values of networks that have any."""
        series = [self._many.histories[number].history.get(metric) or [nan] for number in numbers]
        last = [
            values[-1] for values, number in zip(series, numbers, strict=True) if self._many.histories[number].epoch
        ]
        return float(np.mean(last)) if last else nan

    def _state(self, numbers: Sequence[int]) -> str:
        """Describe the state of networks with one name; empty while some are in training."""
        stopped = [self._many.stopped[number] for number in numbers]
        if not any(stopped) and not any(self._done(numbers)):
            return "waiting"
        if not all(stopped):
            return ""
        reasons = [why for why in dict.fromkeys(stopped) if why != "epochs"]
        return reasons[0] if reasons else "done"


def _range(done: Sequence[int]) -> str:
    low, high = min(done), max(done)
    return f"{low}" if low == high else f"{low}-{high}"
