"""Progress of training: a live bar on a terminal or in a notebook, plain lines elsewhere.

By itself, a training of many fast epochs is told in a few lines: what a second holds is one of them.
"""

import sys
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from math import inf
from time import perf_counter
from typing import Any, Literal, TypeAlias

from dnnkit.backends.diagnosis import remark
from dnnkit.errors import ConfigurationError
from dnnkit.settings import plain
from dnnkit.training.notebook import Cell, in_notebook

Verbosity: TypeAlias = Literal["auto", 0, 1, 2]

REFRESH = 0.1
"""Seconds between two updates of a live bar."""

FEW = 20
"""Epochs that have a line each, whatever they take."""

LONGEST_SILENCE = 1.0
"""Seconds after which any epoch has a line."""

LINES = 40
"""Lines that a notebook's cell shows of a training of more epochs: the first and the last."""


def make_progress(
    verbose: Verbosity, epochs: int, estimated: Collection[str] = (), row_bytes: float = 0.0
) -> "Progress":
    """0: silent; 1: a live bar; 2: one line per epoch; "auto": 1 on a terminal or in a notebook, else 2.

    With "auto" and more than `FEW` epochs, those that are over within a second share a line.

    Names of metrics that are `estimated` while training are shown with "≈". Where rows of so many bytes are read from
    a disk, it is shown how many were.
    """
    verbose = check_verbosity(verbose)
    if (sys.stdout is None or getattr(sys.stdout, "closed", False)) and not in_notebook():  # as without a console
        verbose = 0
    is_sparse = verbose == "auto" and epochs > FEW and not in_notebook()
    if verbose == "auto":
        verbose = 1 if in_notebook() or sys.stdout.isatty() else 2
    kind = {0: Progress, 1: NotebookProgress if in_notebook() else LiveProgress, 2: LineProgress}[int(verbose)]
    if kind is LiveProgress and find_spec("rich") is None:  # NumPy is all that a training needs
        kind = LineProgress
    shown = SparseProgress(epochs, has_bar=kind is LiveProgress) if is_sparse else kind(epochs)
    shown.estimated, shown.row_bytes = estimated, row_bytes
    return Guarded(shown) if verbose else shown


def check_verbosity(verbose: Verbosity) -> Verbosity:
    """What is asked for, if it is one of the words."""
    verbose = plain(verbose)
    if not isinstance(verbose, str | int) or verbose not in ("auto", 0, 1, 2):
        raise ConfigurationError(f"verbose is {verbose!r}: expected 'auto', 0, 1 or 2")
    return verbose


class Progress:
    """Silent; the base of the others."""

    wants_updates = False
    """Whether `advance` should be called several times an epoch."""
    verbosity = 0
    """The `verbose` that it is."""

    estimated: Collection[str] = ()
    """Names of what is only estimated while training."""
    row_bytes = 0.0
    """Of a row that is read from a disk; 0 where data are in memory."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def begin_epoch(self, epoch: int, first: int, end: int, samples: int) -> None:
        """Epochs count from 0; this one runs steps first ... end - 1, and ends after so many samples."""
        self._epoch, self._first, self._end, self._start = epoch, first, end, perf_counter()
        self._samples_per_step = samples / end

    def advance(self, step: int, logs: Mapping[str, float]) -> None:
        """So many steps of the epoch are done; logs are means so far."""

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:
        """The epoch and its validation are done; the seconds are those of training."""

    def tell_epoch(self, epoch: int, samples: int, logs: Mapping[str, float], seconds: float) -> None:
        """The same of an epoch of one step that nobody saw begin."""
        Progress.begin_epoch(self, epoch, 0, 1, samples)
        self.end_epoch(logs, seconds)

    def say(self, text: str) -> None:
        """A line besides, after an epoch."""

    def close(self) -> None:
        """Training is over, also by an exception."""

    @property
    def _title(self) -> str:
        return f"Epoch {self._epoch + 1}/{self.epochs}"

    def _parts(self, logs: Mapping[str, float], seconds: float, end: int | None = None) -> tuple[str, ...]:
        samples = self._samples_per_step * ((end or self._end) - self._first)
        speed = (_per_sample(seconds, samples),) if samples else ()  # none where an epoch had only to be validated
        return _duration(seconds), *speed, *self._amount(end or self._end), self._numbers(logs)

    def _amount(self, end: int) -> tuple[str, ...]:
        """The rows and bytes of the epoch's steps before `end`, where they are read from a disk."""
        if not self.row_bytes:
            return ()
        rows, of = round(self._samples_per_step * end), round(self._samples_per_step * self._end)
        if end == self._end:
            return (f"{rows:,} rows, {_bytes(rows * self.row_bytes)}",)
        return (f"{rows:,}/{of:,} rows, {_bytes(rows * self.row_bytes)}/{_bytes(of * self.row_bytes)}",)

    def _numbers(self, logs: Mapping[str, float]) -> str:
        about = f" {_where_it_can_be_written('≈', '~')}"
        signs = (about if name in self.estimated else ":" for name in logs)
        numbers = (f"{value:,}" if isinstance(value, int) else f"{value:.4f}" for value in logs.values())
        return " - ".join(f"{name}{sign} {number}" for name, sign, number in zip(logs, signs, numbers, strict=True))

    def _parts_so_far(self, step: int, logs: Mapping[str, float]) -> tuple[str, ...]:
        elapsed = perf_counter() - self._start
        left = elapsed / (step - self._first) * (self._end - step)
        return f"ETA {_duration(left)}", *self._parts(logs, elapsed, step)[1:]


class Guarded(Progress):
    """Another, until it cannot be written (a full disk, a pipe that nobody reads): training goes on without it."""

    def __init__(self, shown: Progress) -> None:
        super().__init__(shown.epochs)
        self._shown: Progress | None = shown
        self.wants_updates, self.verbosity = shown.wants_updates, shown.verbosity

    def begin_epoch(self, epoch: int, first: int, end: int, samples: int) -> None:  # noqa: D102
        self._try("begin_epoch", epoch, first, end, samples)

    def advance(self, step: int, logs: Mapping[str, float]) -> None:  # noqa: D102
        self._try("advance", step, logs)

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:  # noqa: D102
        self._try("end_epoch", logs, seconds)

    def tell_epoch(self, epoch: int, samples: int, logs: Mapping[str, float], seconds: float) -> None:  # noqa: D102
        self._try("tell_epoch", epoch, samples, logs, seconds)

    def say(self, text: str) -> None:  # noqa: D102
        self._try("say", text)

    def close(self) -> None:  # noqa: D102
        self._try("close")

    def _try(self, method: str, *arguments: Any) -> None:
        try:
            getattr(self._shown or _SILENT, method)(*arguments)
        except (OSError, ValueError) as error:  # ValueError: it was closed
            self._shown, self.wants_updates = None, False
            remark(f"progress is not shown any more, training goes on: {error}")


class LineProgress(Progress):
    """`Epoch 1/10 - 0.52 s - 9 µs/sample - loss: 0.3125 - accuracy: 0.9112`."""

    verbosity = 2

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:  # noqa: D102
        print(" - ".join((self._title, *self._parts(logs, seconds))), flush=True)

    def say(self, text: str) -> None:  # noqa: D102
        print(text, flush=True)


class LiveProgress(Progress):
    """While an epoch runs, a bar with steps, time left, time per sample, loss and metrics; then a line in its place."""

    wants_updates, verbosity = True, 1

    def __init__(self, epochs: int) -> None:
        from rich.console import Console

        super().__init__(epochs)
        self._console = Console(highlight=False)
        self._bar: Any = None

    def begin_epoch(self, epoch: int, first: int, end: int, samples: int) -> None:  # noqa: D102
        super().begin_epoch(epoch, first, end, samples)
        self._console.print(self._title)
        self._bar, self._task = _bar(end, first, self._console)

    def advance(self, step: int, logs: Mapping[str, float]) -> None:  # noqa: D102
        self._bar.update(self._task, completed=step, text=" - ".join(self._parts_so_far(step, logs)))
        self._bar.refresh()

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:  # noqa: D102
        self.close()
        line = " - ".join((f"{self._end}/{self._end}", *self._parts(logs, seconds)))
        self._console.print(line, soft_wrap=True)

    def say(self, text: str) -> None:  # noqa: D102
        self._console.print(text, soft_wrap=True)

    def close(self) -> None:  # noqa: D102
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class SparseProgress(LineProgress):
    """Lines of some epochs: the first, the last, each tenth or so, and whatever comes a second after the last line.

    On a terminal there is also a bar while an epoch runs that takes long enough to see it.
    """

    def __init__(self, epochs: int, has_bar: bool) -> None:
        super().__init__(epochs)
        self.wants_updates, self.verbosity = has_bar, 1 if has_bar else 2
        self._stride = stride(epochs)
        self._bar: Any = None
        self._untold: tuple[Mapping[str, float], float] | None = None
        self._told = -inf

    def advance(self, step: int, logs: Mapping[str, float]) -> None:  # noqa: D102
        if self._bar is None:
            if perf_counter() - self._start < REFRESH:
                return
            self._bar, self._task = _bar(self._end)
        text = " - ".join((self._title, *self._parts_so_far(step, logs)))
        self._bar.update(self._task, completed=step, text=text)
        self._bar.refresh()

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:  # noqa: D102
        self._stop_bar()
        self._untold = dict(logs), seconds
        number = self._epoch + 1
        if number == self.epochs or number % self._stride == 0 or perf_counter() - self._told > LONGEST_SILENCE:
            self._tell()

    def say(self, text: str) -> None:  # noqa: D102
        self._tell()
        super().say(text)

    def close(self) -> None:  # noqa: D102
        self._stop_bar()
        self._tell()

    def _tell(self) -> None:
        if self._untold is not None:
            untold, self._untold, self._told = self._untold, None, perf_counter()
            super().end_epoch(*untold)

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class NotebookProgress(Progress):
    """One output of a notebook's cell: the lines of the epochs so far, the last of them while it runs."""

    wants_updates, verbosity = True, 1

    def __init__(self, epochs: int) -> None:
        super().__init__(epochs)
        self._cell = Cell()
        self._lines: list[str] = []
        self._shown = 0.0

    def advance(self, step: int, logs: Mapping[str, float]) -> None:  # noqa: D102
        if step < self._end and perf_counter() - self._shown > REFRESH:
            parts = (self._title, f"{step}/{self._end}", *self._parts_so_far(step, logs))
            self._show([*self._lines, " - ".join(parts)])

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:  # noqa: D102
        self._lines.append(" - ".join((self._title, *self._parts(logs, seconds))))
        if perf_counter() - self._shown > REFRESH:
            self._show(self._lines)

    def say(self, text: str) -> None:  # noqa: D102
        self._lines.append(text)

    def close(self) -> None:  # noqa: D102
        self._show(self._lines)

    def _show(self, lines: list[str]) -> None:
        if len(lines) > LINES:
            lines = [*lines[: LINES // 2], f"... {len(lines) - LINES} epochs ...", *lines[-LINES // 2 :]]
        self._cell.show_text("\n".join(lines))
        self._shown = perf_counter()


_SILENT = Progress(0)


def stride(epochs: int) -> int:
    """The epochs between two lines: 1, 2 or 5 times a power of ten, so that there are 10 lines at most."""
    step = 1
    while 10 * step < epochs:
        step *= 10
    return next(step // part for part in (5, 2, 1) if 10 * (step // part) >= epochs)


def _bar(total: int, completed: int = 0, console: Any = None) -> tuple[Any, Any]:
    """A bar that has begun, and its task; it leaves nothing behind."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    # The numbers are the caller's, not those of rich's own columns: they must agree with the line that stays.
    columns = (TextColumn("{task.completed}/{task.total}"), BarColumn(20), TextColumn("{task.fields[text]}"))
    bar = Progress(*columns, console=console or Console(highlight=False), auto_refresh=False, transient=True)
    task = bar.add_task("", total=total, completed=completed, text="")
    bar.start()
    return bar, task


def _per_sample(seconds: float, samples: float) -> str:
    microseconds, unit = 1e6 * seconds / samples, _where_it_can_be_written("µs", "us")
    return f"{microseconds:.0f} {unit}/sample" if microseconds >= 10 else f"{microseconds:.1f} {unit}/sample"


def _bytes(count: float) -> str:
    """Bytes with a unit, three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def _where_it_can_be_written(text: str, plain_text: str) -> str:
    """The text, or another where standard output has no such letters, as in GBK."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return plain_text
    return text


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
