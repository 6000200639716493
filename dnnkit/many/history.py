"""ManyHistory: what became of networks that were trained together."""

from collections.abc import Callable, Sequence
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
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
    """

    networks: list[Any]
    histories: list[History]
    stopped: list[str]
    seconds: float = 0.0
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
