"""ManyHistory: the results of networks that were trained together."""

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.many.ranking import Ranking, ranking_of
from dnnkit.settings import plain, shown
from dnnkit.training.history import History


@dataclass(repr=False)
class ManyHistory:
    """Results of `fit_many`: network `n` is `networks[n]`, its History `histories[n]`.

    Attributes:
        networks: the given networks, trained.
        histories: the History of each, as its own `fit` would have returned it.
        stopped: why each ended: "epochs" if it reached the last one, "early stopping", "loss is NaN in step 3 of
            epoch 2", "interrupted", or the reason given by a callback; empty while it is running.
        seconds: time of the whole call.
        best_epochs: for each, the index in its History of the epoch whose weights were restored at the end; None if
            it has those of its last epoch.
    """

    networks: list[Any]
    histories: list[History]
    stopped: list[str]
    seconds: float = 0.0
    best_epochs: list[int | None] = field(default_factory=list)
    _stop: Callable[[int, str], None] | None = None

    def __len__(self) -> int:
        return len(self.networks)

    @property
    def running(self) -> list[int]:
        """Indices of the networks that have not ended."""
        return [number for number, why in enumerate(self.stopped) if not why]

    def stop(self, number: int, why: str = "stopped by a callback") -> None:
        """End the training of a network after the current epoch; for callbacks.

        Arguments:
            number: index of the network; nothing changes if it has ended already.
            why: the reason, recorded in `stopped`.

        Raises:
            ConfigurationError: there is no such network, or training is not running.
        """
        number = plain(number)
        if not isinstance(number, int) or not 0 <= number < len(self.networks):
            raise ConfigurationError(
                f"stop({shown(number)}): expected a network number from 0 to {len(self.networks) - 1}"
            )
        if self._stop is None:
            raise ConfigurationError("stop: these networks are not being trained; call it from a callback of fit_many")
        if not self.stopped[number]:
            self._stop(number, why)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_stop": None}

    def __repr__(self) -> str:
        ended = dict[str, int]()
        for why in self.stopped:
            ended[why or "running"] = ended.get(why or "running", 0) + 1
        reasons = ", ".join(f"{count} {why}" for why, count in ended.items())
        return f"<ManyHistory of {len(self)} networks in {self.seconds:.2f} s: {reasons}>"

    def ranking(self, metric: str = "val_loss", *, share: float = 0.0) -> Ranking:
        """Rank the networks; those with the same name (`dk.Sequential(..., name="wide")`) share a place.

        A network's value belongs to the weights that it has: if early stopping restored the best ones, to their
        epoch.

        Arguments:
            metric: name in the histories, default "val_loss".
            share: ratio of held-out rows to training rows, if networks with the same name hold out different rows, as
                folds do (1/4 for 5 folds). Intervals are then wider, because training rows overlap.

        Returns:
            A `Ranking`: places, best first, each with its mean, the 95 % interval of the mean, and seconds.

        Raises:
            ConfigurationError: the metric was not measured.
        """
        return ranking_of(self, metric, share=share)

    def values(self, metric: str, epoch: int = -1) -> list[float]:
        """Return a value of each network in its last epoch, or in another one; NaN if it has none.

        Arguments:
            metric: name in the histories, such as "val_loss".
            epoch: index in the History; negative indices count from the end.
        """
        return [_value(history.history.get(metric, ()), epoch) for history in self.histories]


def _value(series: Sequence[float], place: int) -> float:
    try:
        return float(series[place])
    except IndexError:
        return float("nan")
