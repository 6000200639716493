"""ManyHistory: what became of networks that were trained together."""

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
    """What `fit_many` measured: network `n` is `networks[n]`, its History `histories[n]`.

    Attributes:
        networks: the networks, as they were given, trained.
        histories: of each, as its own `fit` would have returned it.
        stopped: why each ended: "epochs" where it ran to the last, "early stopping", "loss is NaN in step 3 of epoch
            2", "interrupted", or what a callback said; empty as long as it runs.
        seconds: of the whole call.
        best_epochs: of each, the place in its History of the epoch whose weights were put back at its end; None where
            it has those of its last.
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
        """The numbers of the networks that have not ended."""
        return [number for number, why in enumerate(self.stopped) if not why]

    def stop(self, number: int, why: str = "stopped by a callback") -> None:
        """End the training of a network after the epoch that it has just ended; for callbacks.

        Arguments:
            number: of the network, counted from 0; one that has ended stays as it is.
            why: what `stopped` says of it.

        Raises:
            ConfigurationError: there is no such network, or nothing is running.
        """
        number = plain(number)
        if not isinstance(number, int) or not 0 <= number < len(self.networks):
            raise ConfigurationError(
                f"stop({shown(number)}): expected the number of a network, from 0 to {len(self.networks) - 1}"
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
        told = ", ".join(f"{count} {why}" for why, count in ended.items())
        return f"<ManyHistory of {len(self)} networks in {self.seconds:.2f} s: {told}>"

    def ranking(self, metric: str = "val_loss", *, share: float = 0.0) -> Ranking:
        """Which networks are best, those of one name (`dk.Sequential(..., name="wide")`) together.

        A network counts with the weights that it has: where early stopping put the best ones back, with their epoch.

        Arguments:
            metric: as the histories call it.
            share: rows that are held out ÷ rows that are trained on, where networks of one name hold out others each,
                as folds do (1/4 for 5 folds): intervals are wider then, for what they learn from is mostly the same.

        Returns:
            Places, the best first, each with its mean, the 95 % interval of the mean, and seconds.

        Raises:
            ConfigurationError: nothing of that name was measured.
        """
        return ranking_of(self, metric, share=share)

    def values(self, metric: str, epoch: int = -1) -> list[float]:
        """A number of each network in its last epoch, or in another; NaN where it has none.

        Arguments:
            metric: the name in the histories, such as "val_loss".
            epoch: the place in the History, counted from 0, or from the end below 0.
        """
        return [_value(history.history.get(metric, ()), epoch) for history in self.histories]


def _value(series: Sequence[float], place: int) -> float:
    try:
        return float(series[place])
    except IndexError:
        return float("nan")
