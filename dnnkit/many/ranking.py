"""Ranking of networks, with confidence intervals and training costs."""

from collections.abc import Iterator, Sequence
from math import inf, isfinite, isnan, nan
from typing import Any, Protocol, overload

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.many.intervals import interval_of_mean
from dnnkit.metrics import is_better_higher, name_of
from dnnkit.network.goals import named_metrics
from dnnkit.registry import did_you_mean
from dnnkit.saves.serialization import number_to_json
from dnnkit.settings import shown
from dnnkit.training.history import History

HALVING = "halving"
"""Reason in `ManyHistory.stopped` for networks that successive halving stopped."""


class Trained(Protocol):
    """The attributes of `ManyHistory` used here; that class imports this module."""

    networks: list[Any]
    histories: list[History]
    stopped: list[str]
    best_epochs: list[int | None]


LARGE = 1e4
"""Values from which numbers are written in scientific notation."""
SHOWN = 20
"""Maximum number of places in a `repr`."""


@dataclass(frozen=True)
class Place:
    """A place in a ranking: networks that differ only in seed and rows, taken together.

    Attributes:
        rank: rank, from 1.
        name: name of the networks.
        networks: their indices.
        values: the value of each that they are ranked by.
        mean, low, high: mean of the values with its 95 % interval, whose ends are NaN for a single network.
        is_close: whether the difference to the first is not significant: the interval of the differences, network by
            network, contains 0. Always True for the first; False for single networks, whose spread is unknown.
        seconds: mean training time of the networks.
        epochs: maximum number of epochs.
        ended: distinct reasons of networks that ended before their last epoch.
    """

    rank: int
    name: str
    networks: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    is_close: bool
    seconds: float
    epochs: int
    ended: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; null for NaN."""
        numbers = {name: number_to_json(getattr(self, name)) for name in ("mean", "low", "high", "seconds")}
        return {**vars(self), **numbers, "values": [number_to_json(value) for value in self.values]}


class Ranking(Sequence[Place]):
    """Places, best first: `ranking[0].name`; `print` it for a table.

    Attributes:
        metric: the metric that networks are ranked by.
        higher_is_better: whether higher values are better.
    """

    def __init__(self, metric: str, higher_is_better: bool, places: Sequence[Place]) -> None:
        self.metric, self.higher_is_better, self._places = metric, higher_is_better, tuple(places)

    @overload
    def __getitem__(self, place: int) -> Place: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Place]: ...

    def __getitem__(self, place: int | slice) -> Place | Sequence[Place]:
        return self._places[place]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places)

    def __repr__(self) -> str:
        lines = [f"<Ranking of {len(self)} by {self.metric}, {'more' if self.higher_is_better else 'less'} is better"]
        width = max((len(place.name) for place in self._places[:SHOWN]), default=0)
        for place in self._places[:SHOWN]:
            close = " =" if place.is_close and place.rank > 1 else ""
            lines.append(
                f"  {place.rank:>3}  {place.name:<{width}}  {figures(place.mean, place.low, place.high)}  "
                f"{place.seconds:.2f} s{close}"
            )
        if len(self) > SHOWN:
            lines.append(f"  ... {len(self) - SHOWN} more")
        return "\n".join([*lines, ">"])

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "places": [place.to_json() for place in self],
        }


def figures(mean: float, low: float, high: float) -> str:
    """Format a mean and its interval: 0.9722 ± 0.0123; the mean alone if there is no interval."""
    return figure(mean) if isnan(low) else f"{figure(mean)} ± {figure((high - low) / 2)}"


def figure(value: float) -> str:
    """Format with four decimals, or with four digits if it is large."""
    return f"{value:.4f}" if not abs(value) >= LARGE else f"{value:.3e}"


@dataclass(frozen=True)
class Run:
    """The result of one network that is needed for a ranking.

    Attributes:
        value: the value of its weights that it is ranked by; NaN if there is none.
        seconds: training time.
        epochs: number of epochs.
        ended: why it ended before its last epoch; "" if it did not.
    """

    value: float
    seconds: float
    epochs: int
    ended: str = ""


def rank(
    runs: Sequence[Run],
    names: Sequence[str],
    metric: str,
    higher_is_better: bool,
    *,
    share: float = 0.0,
) -> Ranking:
    """Rank networks; those with the same name share a place.

    First come networks that were trained to their end, by mean value; then those stopped by selection, by epochs and
    mean value; last those without a value, such as after a NaN loss.

    Arguments:
        runs: one per network.
        names: name of each network.
        metric: name of the values.
        higher_is_better: whether higher values are better.
        share: ratio of held-out rows to training rows; see `interval_of_mean`.
    """
    members = grouped(names)
    sign = -1.0 if higher_is_better else 1.0

    def order(numbers: Sequence[int]) -> tuple[bool, bool, int, float]:
        mean = float(np.mean([runs[number].value for number in numbers]))
        left = any(runs[number].ended == HALVING for number in numbers)
        epochs = max(runs[number].epochs for number in numbers) if left else 0
        return isnan(mean), left, -epochs, inf if isnan(mean) else sign * mean

    in_order = sorted(members.items(), key=lambda member: order(member[1]))
    best = [runs[number].value for number in in_order[0][1]] if in_order else []
    places = []
    for place, (name, numbers) in enumerate(in_order, 1):
        own = [runs[number] for number in numbers]
        values = [run.value for run in own]
        found = interval_of_mean(values, share)
        is_complete = not any(run.ended == HALVING for run in own)
        places.append(
            Place(
                rank=place,
                name=name,
                networks=tuple(numbers),
                values=tuple(values),
                mean=found.mean,
                low=found.low,
                high=found.high,
                is_close=place == 1 or (is_complete and is_close(values, best, share)),
                seconds=float(np.mean([run.seconds for run in own])),
                epochs=max(run.epochs for run in own),
                ended=tuple(dict.fromkeys(run.ended for run in own if run.ended)),
            )
        )
    return Ranking(metric, higher_is_better, places)


def is_close(values: Sequence[float], best: Sequence[float], share: float) -> bool:
    """Return whether values do not differ significantly from the best, with the same folds or seeds in order."""
    if len(values) != len(best) or len(values) < 2 or not all(map(isfinite, (*values, *best))):
        return False
    return 0.0 in interval_of_mean(np.subtract(values, best).tolist(), share)


def grouped(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the indices of the networks with each name, in order of first occurrence."""
    members: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        members.setdefault(name, []).append(number)
    return members


def goes_up(net: Any, metric: str) -> bool:
    """Return whether higher values of a metric are better; an output's metric is recognized by its own name."""
    measured = named_metrics(net.graph.output_names, net.goals).get(metric.removeprefix("val_"))
    return is_better_higher(metric if measured is None else name_of(measured), net.metrics)


# -- for networks that were trained together --------------------------------------------------------------------------


def ranking_of(many: Trained, metric: str = "val_loss", *, share: float = 0.0) -> Ranking:
    """Rank networks by their values, best first; those with the same name share a place.

    Arguments:
        many: result of `fit_many`.
        metric: name in the histories.
        share: ratio of held-out rows to training rows, if networks share the latter; see `interval_of_mean`.

    Raises:
        ConfigurationError: no network has measured the metric.
    """
    require_measured(many, metric)
    runs = [
        Run(
            value_of(many, number, metric),
            float(sum(history.seconds)),
            len(history.epoch),
            "" if many.stopped[number] == "epochs" else many.stopped[number],
        )
        for number, history in enumerate(many.histories)
    ]
    return rank(runs, names_of(many.networks), metric, goes_up(many.networks[0], metric), share=share)


def require_measured(many: Trained, metric: str) -> None:
    """Raise `ConfigurationError` if no network has values with that name."""
    measured = list(dict.fromkeys(name for history in many.histories for name in history.history))
    if metric not in measured:
        near = did_you_mean(metric, measured)
        raise ConfigurationError(
            f"metric is {shown(metric)}, which is not measured: {near}what is: {', '.join(measured)}. "
            "For val_... pass validation_data, validation_split or rows to fit_many"
        )


def value_of(many: Trained, number: int, metric: str) -> float:
    """Return the value of the weights that a network has; NaN if it was not measured."""
    history, epoch = many.histories[number].history, kept_epoch(many, number)
    series = history.get(metric, [])
    return float(series[epoch]) if 0 <= epoch < len(series) else nan


def kept_epoch(many: Trained, number: int) -> int:
    """Return the index in a network's history of the epoch whose weights it has: the last, or the restored one."""
    best = many.best_epochs[number]
    return len(many.histories[number].epoch) - 1 if best is None else best


def names_of(networks: Sequence[Any]) -> list[str]:
    """Return the names of networks, or names made from their indices."""
    return [net.name or f"networks[{number}]" for number, net in enumerate(networks)]
