"""Which of many networks are best, how sure that is, and what each took."""

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
"""Why a network ended that others were better than, as `ManyHistory.stopped` says it."""


class Trained(Protocol):
    """What is read of a `ManyHistory`, which imports this."""

    networks: list[Any]
    histories: list[History]
    stopped: list[str]
    best_epochs: list[int | None]


LARGE = 1e4
"""What is not written with decimals."""
SHOWN = 20
"""Places that a `repr` shows."""


@dataclass(frozen=True)
class Place:
    """One of a ranking: networks that are alike but for seed and rows, taken together.

    Attributes:
        rank: from 1.
        name: what the networks are called.
        networks: their numbers.
        values: of each, what they are ranked by.
        mean, low, high: of the values, with the 95 % interval of the mean; its ends are NaN of a single network.
        is_close: whether chance may be all that separates it from the first: the interval of the differences, network
            by network, contains 0. Always True of the first; False where a single network says nothing of chance.
        seconds: of training, the mean of the networks.
        epochs: of training, the most of any.
        ended: why those ended that did before their last epoch, each reason once.
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
        """As JSON values; null stands for NaN."""
        numbers = {name: number_to_json(getattr(self, name)) for name in ("mean", "low", "high", "seconds")}
        return {**vars(self), **numbers, "values": [number_to_json(value) for value in self.values]}


class Ranking(Sequence[Place]):
    """Places, the best first: `ranking[0].name`; `print` it for a table.

    Attributes:
        metric: what it is by.
        higher_is_better: whether more of it is better.
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
        """As JSON values."""
        return {
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "places": [place.to_json() for place in self],
        }


def figures(mean: float, low: float, high: float) -> str:
    """A mean and its interval: 0.9722 ± 0.0123; the mean alone where there is no interval."""
    return figure(mean) if isnan(low) else f"{figure(mean)} ± {figure((high - low) / 2)}"


def figure(value: float) -> str:
    """Four decimals, or four digits of what is large."""
    return f"{value:.4f}" if not abs(value) >= LARGE else f"{value:.3e}"


@dataclass(frozen=True)
class Run:
    """What is known of one network's training when a ranking is made.

    Attributes:
        value: what it is ranked by, of the weights that it has; NaN where there is none.
        seconds: of training.
        epochs: of training.
        ended: why it ended before its last epoch; "" where it did not.
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
    """Rank networks, those of one name together.

    First those that were trained to their end, by the mean of their values; then what selection stopped, by the epochs
    it had and by its mean; last what has no value, such as a loss that was NaN.

    Arguments:
        runs: one for each network.
        names: of each network; networks of the same name take one place.
        metric: what the values are.
        higher_is_better: whether more of it is better.
        share: rows that were held out ÷ rows that were trained on, as `interval_of_mean` has it.
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
    """Whether chance may be all that separates values from the best, of the same folds or seeds in the same order."""
    if len(values) != len(best) or len(values) < 2 or not all(map(isfinite, (*values, *best))):
        return False
    return 0.0 in interval_of_mean(np.subtract(values, best).tolist(), share)


def grouped(names: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of the networks of each name, in the order in which names come first."""
    members: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        members.setdefault(name, []).append(number)
    return members


def goes_up(net: Any, metric: str) -> bool:
    """Whether more of it is better: of a metric of one of several outputs, by the metric's own name."""
    measured = named_metrics(net.graph.output_names, net.goals).get(metric.removeprefix("val_"))
    return is_better_higher(metric if measured is None else name_of(measured), net.metrics)


# -- of networks that were trained together ---------------------------------------------------------------------------


def ranking_of(many: Trained, metric: str = "val_loss", *, share: float = 0.0) -> Ranking:
    """Rank networks by their last values, those of one name together; the best is first.

    Arguments:
        many: what `fit_many` gave.
        metric: as the histories call it.
        share: rows that were held out ÷ rows that were trained on, where networks share the latter; see
            `interval_of_mean`.

    Raises:
        ConfigurationError: no network has measured that.
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
    """Raise `ConfigurationError` where no network has a number of that name."""
    measured = list(dict.fromkeys(name for history in many.histories for name in history.history))
    if metric not in measured:
        near = did_you_mean(metric, measured)
        raise ConfigurationError(
            f"metric is {shown(metric)}, which is not measured: {near}what is: {', '.join(measured)}. "
            "For val_... pass validation_data, validation_split or rows to fit_many"
        )


def value_of(many: Trained, number: int, metric: str) -> float:
    """What a network with the weights that it has was measured to be; NaN where it was not, or its loss was none."""
    history, epoch = many.histories[number].history, kept_epoch(many, number)
    series = history.get(metric, [])
    return float(series[epoch]) if 0 <= epoch < len(series) else nan


def kept_epoch(many: Trained, number: int) -> int:
    """The place in a network's history of the epoch whose weights it has: the last, or the best that was put back."""
    best = many.best_epochs[number]
    return len(many.histories[number].epoch) - 1 if best is None else best


def names_of(networks: Sequence[Any]) -> list[str]:
    """What networks are called: by their names, or by their numbers."""
    return [net.name or f"networks[{number}]" for number, net in enumerate(networks)]
