"""Progress of training: a live bar on a terminal or in a notebook, one plain line an epoch elsewhere."""

import sys
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Literal, TypeAlias

from dnnkit.errors import ConfigurationError

Verbosity: TypeAlias = Literal["auto", 0, 1, 2]

REFRESH = 0.1
"""Seconds between two updates of a live bar."""


def make_progress(verbose: Verbosity, epochs: int, steps: int, samples: int) -> "Progress":
    """0: silent; 1: a live bar; 2: one line an epoch; "auto": 1 on a terminal or in a notebook, else 2."""
    if verbose not in ("auto", 0, 1, 2):
        raise ConfigurationError(f"verbose is {verbose!r}: expected 'auto', 0, 1 or 2")
    if verbose == "auto":
        interactive = sys.stdout.isatty() or "ipykernel" in sys.modules
        verbose = 1 if interactive else 2
    kind = {0: Progress, 1: LiveProgress, 2: LineProgress}[int(verbose)]
    return kind(epochs, steps, samples)


class Progress:
    """Silent; the base of the others."""

    wants_updates = False
    """Whether `advance` should be called several times an epoch."""

    def __init__(self, epochs: int, steps: int, samples: int) -> None:
        self.epochs, self.steps, self.samples = epochs, steps, samples

    def begin_epoch(self, epoch: int) -> None:
        """Epochs count from 0."""
        self._epoch, self._start = epoch, perf_counter()

    def advance(self, step: int, logs: Mapping[str, float]) -> None:
        """So many steps of the epoch are done; logs are means so far."""

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:
        """The epoch and its validation are done; the seconds are those of training."""

    def close(self) -> None:
        """Training is over, also by an exception."""


class LineProgress(Progress):
    """`Epoch 1/10 - 0.52 s - 9 µs/sample - loss: 0.3125 - accuracy: 0.9112`."""

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:  # noqa: D102
        parts = (f"Epoch {self._epoch + 1}/{self.epochs}", _speed(seconds, self.samples), _numbers(logs))
        print(" - ".join(parts), flush=True)


class LiveProgress(Progress):
    """While an epoch runs, a bar with steps, time left, time per sample, loss and metrics; then a line in its place."""

    wants_updates = True

    def __init__(self, epochs: int, steps: int, samples: int) -> None:
        from rich.console import Console

        super().__init__(epochs, steps, samples)
        self._console = Console(highlight=False)
        self._bar: Any = None

    def begin_epoch(self, epoch: int) -> None:  # noqa: D102
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        super().begin_epoch(epoch)
        self._console.print(f"Epoch {epoch + 1}/{self.epochs}")
        # The numbers are made here, not by rich's own columns: they must agree with the line that stays.
        columns = (TextColumn("{task.completed}/{task.total}"), BarColumn(20), TextColumn("{task.fields[text]}"))
        self._bar = Bar(*columns, console=self._console, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", total=self.steps, text="")
        self._bar.start()

    def advance(self, step: int, logs: Mapping[str, float]) -> None:  # noqa: D102
        elapsed = perf_counter() - self._start
        left = elapsed / step * (self.steps - step)
        speed = _per_sample(elapsed, self.samples * step / self.steps)
        self._bar.update(self._task, completed=step, text=f"ETA {_duration(left)} - {speed} - {_numbers(logs)}")
        self._bar.refresh()

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:  # noqa: D102
        self.close()
        self._console.print(
            f"{self.steps}/{self.steps} - {_speed(seconds, self.samples)} - {_numbers(logs)}", soft_wrap=True
        )

    def close(self) -> None:  # noqa: D102
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _numbers(logs: Mapping[str, float]) -> str:
    return " - ".join(f"{name}: {value:.4f}" for name, value in logs.items())


def _speed(seconds: float, samples: float) -> str:
    return f"{_duration(seconds)} - {_per_sample(seconds, samples)}"


def _per_sample(seconds: float, samples: float) -> str:
    microseconds = 1e6 * seconds / samples
    return f"{microseconds:.0f} µs/sample" if microseconds >= 10 else f"{microseconds:.1f} µs/sample"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
