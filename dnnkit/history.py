"""History: what training measured, epoch by epoch, and how it was run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnnkit.backends.program import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class History:
    """`history["loss"]` is the list of training losses, one an epoch; so are `accuracy`, `val_loss`, ...

    `epoch` numbers the epochs, `seconds` is the time each took without validation, `seed` repeats the run, `plan`
    says which backend ran it and how.
    """

    seed: int
    plan: Plan
    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def __getitem__(self, name: str) -> list[float]:
        return self.history[name]

    def add(self, epoch: int, logs: Mapping[str, float], seconds: float) -> None:
        """Append an epoch."""
        self.epoch.append(epoch)
        self.seconds.append(seconds)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Loss and metrics by epoch, training and validation; written to `path` if given."""
        from dnnkit.plots import plot_history

        return plot_history(self, path)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "History":
        """What `to_json` gave."""
        return cls(**{**values, "plan": Plan(**values["plan"])})
