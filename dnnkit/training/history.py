"""History: what training measured, epoch by epoch, and how it was run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnnkit.backends.program import Plan
from dnnkit.saves.kinds import HISTORY
from dnnkit.saves.schema import taken
from dnnkit.saves.serialization import number_to_json, without_nan

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class History:
    """`history["loss"]` is the list of training losses, one per epoch; so are `accuracy`, `val_loss`, ...

    All lists are as long as `epoch`, NaN where something was not measured. `epoch` numbers the epochs from 0,
    `seconds` is the time each took without validation, `seed` repeats the run, `plan` says which backend ran it and
    how.
    """

    seed: int
    plan: Plan
    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def __getitem__(self, name: str) -> list[float]:
        return self.history[name]

    def add(self, epoch: int, logs: Mapping[str, float], seconds: float) -> None:
        """Append an epoch; one that was there, as far as it had come, is replaced."""
        if self.epoch[-1:] == [epoch]:
            seconds += self.seconds.pop()
            del self.epoch[-1]
            for values in self.history.values():
                del values[-1]
        for name in logs:
            self.history.setdefault(name, [nan] * len(self.epoch))
        for name, values in self.history.items():
            values.append(logs.get(name, nan))
        self.epoch.append(epoch)
        self.seconds.append(seconds)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Loss and metrics by epoch, training and validation; written to `path` if given."""
        from dnnkit.plots import plot_epochs

        return plot_epochs(self.epoch, self.history, path)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; null stands for what is not a number, "inf" and "-inf" for what is infinite."""
        history = {name: [number_to_json(value) for value in series] for name, series in self.history.items()}
        return {**without_nan(asdict(self)), "history": history}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, is_checked: bool = False) -> "History":
        """What `to_json` gave; raises `CheckpointError` where it is not, unless `HISTORY` took it already."""
        checked = values if is_checked else taken(values, HISTORY, "the history")
        return cls(**{**checked, "plan": Plan(**checked["plan"])})
