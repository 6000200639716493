"""How all networks stand, as text: of 64 the best so far, and how the others are."""

from collections import Counter
from collections.abc import Sequence
from math import isnan, nan
from time import perf_counter

import numpy as np

from dnnkit.many.history import ManyHistory
from dnnkit.many.ranking import HALVING, figure, goes_up, grouped, names_of
from dnnkit.many.text_table import lines_of

MOST_METRICS = 3
"""Of what is measured, so many columns."""


class Standing:
    """What is to be said of networks while they are trained; it looks at them anew each time.

    Arguments:
        many: the networks and their histories.
        epochs: that each network is to be trained.
    """

    def __init__(self, many: ManyHistory, epochs: int) -> None:
        self._many, self._epochs = many, epochs
        self._groups = grouped(names_of(many.networks))
        self._begin, self._before = perf_counter(), sum(self._done(range(len(many))))

    def line(self) -> str:
        """`20 networks - 540 of 1,200 epochs - 2.1 s - ETA 3 s - best val_loss 0.0712: hidden=128`."""
        return " - ".join((*self._totals(), *self._best()))

    def picture(self, width: int, lines: int) -> list[str]:
        """A table, the best first.

        Arguments:
            width: letters in a line.
            lines: networks that are shown, those of one name together; of the others it is counted how they are.
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
        """What is best by."""
        return "val_loss" if "val_loss" in self._measured() else "loss"

    def _measured(self) -> list[str]:
        return list(dict.fromkeys(name for history in self._many.histories for name in history.history))

    def _done(self, numbers: Sequence[int]) -> list[int]:
        return [len(self._many.histories[number].epoch) for number in numbers]

    def _totals(self) -> list[str]:
        """How far all of them are."""
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
        """The best of those that selection has left."""
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
        """Of networks that have been measured, the mean of what they had last."""
        series = [self._many.histories[number].history.get(metric) or [nan] for number in numbers]
        last = [
            values[-1] for values, number in zip(series, numbers, strict=True) if self._many.histories[number].epoch
        ]
        return float(np.mean(last)) if last else nan

    def _state(self, numbers: Sequence[int]) -> str:
        """How networks of one name are; empty while some are trained."""
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
