"""History: measurements of training per epoch, and how it was run."""

from collections.abc import Mapping
from dataclasses import asdict, field
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnnkit.backends.state import Plan
from dnnkit.deferred import dataclass
from dnnkit.instead import no_attribute
from dnnkit.saves.kinds import HISTORY
from dnnkit.saves.schema import taken
from dnnkit.saves.serialization import number_to_json, without_nan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dnnkit.diagnosis.layers import Diagnosis


FEW = 3
"""Number of epochs at the beginning and at the end that a `repr` shows."""


@dataclass(repr=False)
class History:
    """Measurements per epoch: `history["loss"]` is the list of training losses; likewise `accuracy`, `val_loss`, ...

    All lists have the length of `epoch`, with NaN for what was not measured.

    Attributes:
        seed: reproduces the run.
        plan: which backend ran it, and how.
        epoch: numbers of the epochs, counted from 0.
        history: the lists by name.
        seconds: training time of each epoch, without validation.
        ended: why the optimizer ended training early; empty if it did not.
        diagnosis: results of `fit(diagnose=True)`; not saved.
    """

    seed: int
    plan: Plan
    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    ended: str = ""
    diagnosis: "Diagnosis | None" = field(default=None, repr=False, compare=False)

    def __getitem__(self, name: str) -> list[float]:
        return self.history[name]

    def __getattr__(self, name: str) -> Any:
        raise no_attribute("a History", name, "history", self.__dir__)

    def __repr__(self) -> str:
        if not self.epoch:
            return "<History of no epochs>"
        heads, *lines = self._table()
        widths = [max(len(row[column]) for row in (heads, *lines)) for column in range(len(heads))]
        shown = [
            "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in (heads, *lines)
        ]
        return "\n".join([f"<History of {self._about()}", *(f"  {line}" for line in shown), ">"])

    def _repr_html_(self) -> str:
        from html import escape  # only notebooks need it

        if not self.epoch:
            return "<p>History of no epochs</p>"
        heads, *lines = self._table()
        head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<div><b>History</b> of {escape(self._about())}{table}</div>"

    def _about(self) -> str:
        """Number of epochs, time and backend."""
        count = len(self.epoch)
        seconds = sum(second for second in self.seconds if second == second)
        took = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e3:.0f} ms"
        return f"{count:,} epoch{'s' * (count != 1)} in {took} on {self.plan.backend}, seed {self.seed}"

    def _table(self) -> list[list[str]]:
        """Return a header row, then the first, last and best epochs (by validation loss, or else training loss)."""
        count = len(self.epoch)
        by = self.history.get("val_loss") or self.history.get("loss") or [nan]
        best = min(range(count), key=lambda place: by[place] if by[place] == by[place] else inf)
        places = sorted({*range(min(FEW, count)), *range(max(0, count - FEW), count), best})
        rows = [["epoch", *self.history]]
        for before, place in zip([-1, *places], places, strict=False):
            if place > before + 1:
                rows.append(["...", *[""] * len(self.history)])
            mark = " best" if place == best and count > 1 else ""
            rows.append(
                [f"{self.epoch[place] + 1}{mark}", *(_shown(values[place]) for values in self.history.values())]
            )
        return rows

    def add(self, epoch: int, logs: Mapping[str, float], seconds: float) -> None:
        """Append an epoch, replacing an incomplete entry of the same epoch."""
        if self.epoch[-1:] == [epoch]:
            seconds += self.seconds.pop()
            del self.epoch[-1]
            for values in self.history.values():
                del values[-1]
        for name in logs:
            if name not in self.history:
                self.history[name] = [nan] * len(self.epoch)
        for name, values in self.history.items():
            values.append(logs.get(name, nan))
        self.epoch.append(epoch)
        self.seconds.append(seconds)

    def extend(self, first: int, logs: Mapping[str, list[float]], seconds: float) -> None:
        """Append epochs from `first` on; `logs` has one number per epoch by name, `seconds` is the total time."""
        count = len(next(iter(logs.values())))
        if self.epoch[-1:] == [first]:
            for place in range(count):
                self.add(first + place, {name: values[place] for name, values in logs.items()}, seconds / count)
            return
        for name in logs:
            self.history.setdefault(name, [nan] * len(self.epoch))
        for name, values in self.history.items():
            values += logs.get(name, [nan] * count)
        self.epoch += range(first, first + count)
        self.seconds += [seconds / count] * count

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Plot loss and metrics by epoch, for training and validation.

        Arguments:
            path: image file to write; None writes none.

        Returns:
            A matplotlib `Figure`.

        Raises:
            DataError: there are no epochs.
        """
        from dnnkit.plots import plot_epochs

        return plot_epochs(self.epoch, self.history, path)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, with null for NaN, and "inf" and "-inf" for infinite numbers."""
        history = {name: [number_to_json(value) for value in series] for name, series in self.history.items()}
        values = {**vars(self), "plan": asdict(self.plan), "history": history}
        del values["diagnosis"]
        if not self.ended:
            del values["ended"]
        return dict(without_nan(values))

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, is_checked: bool = False) -> "History":
        """Invert `to_json`; raise `CheckpointError` for invalid values, unless they have been checked by `HISTORY`."""
        checked = values if is_checked else taken(values, HISTORY, "the history")
        return cls(**{**checked, "plan": Plan(**checked["plan"])})


def _shown(value: float) -> str:
    """Format with four digits; empty for NaN."""
    return f"{value:.4g}" if value == value else ""
