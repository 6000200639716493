"""Progress of training: a live bar in a terminal or notebook, plain lines elsewhere.

With verbose="auto", a training of many fast epochs prints few lines, about one per second.
"""

import shutil
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
"""Seconds between updates of a live bar."""

FEW = 20
"""Maximum number of epochs that get one line each, however fast."""

LONGEST_SILENCE = 1.0
"""Seconds after which the next epoch gets a line."""

LINES = 40
"""Maximum number of lines in a notebook cell; of more epochs, the first and last are shown."""


def make_progress(
    verbose: Verbosity, epochs: int, estimated: Collection[str] = (), row_bytes: float = 0.0
) -> "Progress":
    """Return the progress display: 0 silent, 1 a live bar, 2 a line per epoch, "auto" 1 if interactive, else 2.

    With "auto" and more than `FEW` epochs, those that end within a second share a line. Metrics in `estimated` are
    shown with "≈". If `row_bytes` is not 0, the amount of data read is shown.
    """
    verbose = check_verbosity(verbose)
    if (sys.stdout is None or getattr(sys.stdout, "closed", False)) and not in_notebook():  # no console
        verbose = 0
    is_sparse = verbose == "auto" and epochs > FEW and not in_notebook()
    if verbose == "auto":
        verbose = 1 if in_notebook() or sys.stdout.isatty() else 2
    kind = {0: Progress, 1: NotebookProgress if in_notebook() else LiveProgress, 2: LineProgress}[int(verbose)]
    if kind is LiveProgress and find_spec("rich") is None:  # rich is optional
        kind = LineProgress
    shown = SparseProgress(epochs, has_bar=kind is LiveProgress) if is_sparse else kind(epochs)
    shown.estimated, shown.row_bytes = estimated, row_bytes
    return Guarded(shown) if verbose else shown


def check_verbosity(verbose: Verbosity) -> Verbosity:
    """Return the argument if it is a valid verbosity."""
    verbose = plain(verbose)
    if not isinstance(verbose, str | int) or verbose not in ("auto", 0, 1, 2):
        raise ConfigurationError(f"verbose is {verbose!r}: expected 'auto', 0, 1 or 2")
    return verbose


class Progress:
    """Silent progress; base of the others."""

    wants_updates = False
    """Whether `advance` should be called several times per epoch."""
    verbosity = 0
    """The corresponding value of `verbose`."""

    estimated: Collection[str] = ()
    """Names of metrics that are only estimated during training."""
    row_bytes = 0.0
    """Bytes per row read from disk; 0 for data in memory."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def begin_epoch(self, epoch: int, first: int, end: int, samples: int) -> None:
        """Begin an epoch (counted from 0) of steps first ... end - 1 that ends after `samples` samples."""
        self._epoch, self._first, self._end, self._start = epoch, first, end, perf_counter()
        self._samples_per_step = samples / end

    def advance(self, step: int, logs: Mapping[str, float]) -> None:
        """Report that `step` steps of the epoch are done; logs are means so far."""

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:
        """Report the end of an epoch and its validation; `seconds` is the training time."""

    def show_epoch(self, epoch: int, steps: int, samples: int, logs: Mapping[str, float], seconds: float) -> None:
        """Report an epoch that has already ended."""
        Progress.begin_epoch(self, epoch, 0, steps, samples)
        self.show_title()
        self.end_epoch(logs, seconds)

    def show_title(self) -> None:
        """Show which epoch begins, if that has a line of its own."""

    def print_line(self, text: str) -> None:
        """Print an additional line after an epoch."""

    def close(self) -> None:
        """End the display, also after an exception."""

    @property
    def _title(self) -> str:
        return f"Epoch {self._epoch + 1}/{self.epochs}"

    def _parts(self, logs: Mapping[str, float], seconds: float, end: int | None = None) -> tuple[str, ...]:
        samples = self._samples_per_step * ((end or self._end) - self._first)
        speed = (_per_sample(seconds, samples),) if samples else ()  # a resumed epoch may only need validation
        return _duration(seconds), *speed, *self._amount(end or self._end), self._numbers(logs)

    def _amount(self, end: int) -> tuple[str, ...]:
        """Rows and bytes of the epoch's steps before `end`, for data read from disk."""
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
    """A progress display that is dropped once it cannot be written (full disk, closed pipe); training continues."""

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

    def show_epoch(  # noqa: D102
        self, epoch: int, steps: int, samples: int, logs: Mapping[str, float], seconds: float
    ) -> None:
        self._try("show_epoch", epoch, steps, samples, logs, seconds)

    def print_line(self, text: str) -> None:  # noqa: D102
        self._try("print_line", text)

    def close(self) -> None:  # noqa: D102
        self._try("close")

    def _try(self, method: str, *arguments: Any) -> None:
        try:
            getattr(self._shown or _SILENT, method)(*arguments)
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            self._shown, self.wants_updates = None, False
            remark(f"progress is no longer shown, training continues: {error}")


class LineProgress(Progress):
    """A line per epoch: `Epoch 1/10 - 0.52 s - 9 µs/sample - loss: 0.3125 - accuracy: 0.9112`."""

    verbosity = 2

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:  # noqa: D102
        print(_fitted(" - ".join((self._title, *self._parts(logs, seconds)))), flush=True)

    def print_line(self, text: str) -> None:  # noqa: D102
        print(text, flush=True)


class LiveProgress(Progress):
    """A bar with steps, remaining time, time per sample, loss and metrics, replaced by a line after the epoch."""

    wants_updates, verbosity = True, 1

    def __init__(self, epochs: int) -> None:
        from rich.console import Console

        super().__init__(epochs)
        self._console = Console(highlight=False)
        self._bar: Any = None

    def begin_epoch(self, epoch: int, first: int, end: int, samples: int) -> None:  # noqa: D102
        super().begin_epoch(epoch, first, end, samples)
        self.show_title()
        self._bar, self._task = _bar(end, first, self._console)

    def show_title(self) -> None:  # noqa: D102
        self._console.print(self._title)

    def advance(self, step: int, logs: Mapping[str, float]) -> None:  # noqa: D102
        self._bar.update(self._task, completed=step, text=" - ".join(self._parts_so_far(step, logs)))
        self._bar.refresh()

    def end_epoch(self, logs: Mapping[str, float], seconds: float) -> None:  # noqa: D102
        self.close()
        line = " - ".join((f"{self._end}/{self._end}", *self._parts(logs, seconds)))
        self._console.print(_fitted(line), soft_wrap=True)

    def print_line(self, text: str) -> None:  # noqa: D102
        self._console.print(text, soft_wrap=True)

    def close(self) -> None:  # noqa: D102
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class SparseProgress(LineProgress):
    """Lines for some epochs: the first, the last, about every tenth, and any that ends a second after the last line.

    In a terminal, also a bar during epochs that take long enough to see it.
    """

    def __init__(self, epochs: int, has_bar: bool) -> None:
        super().__init__(epochs)
        self.wants_updates, self.verbosity = has_bar, 1 if has_bar else 2
        self._stride = stride(epochs)
        self._bar: Any = None
        self._pending: tuple[Mapping[str, float], float] | None = None
        self._shown_at = -inf

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
        self._pending = dict(logs), seconds
        number = self._epoch + 1
        if number == self.epochs or number % self._stride == 0 or perf_counter() - self._shown_at > LONGEST_SILENCE:
            self._show_pending()

    def print_line(self, text: str) -> None:  # noqa: D102
        self._show_pending()
        super().print_line(text)

    def close(self) -> None:  # noqa: D102
        self._stop_bar()
        self._show_pending()

    def _show_pending(self) -> None:
        if self._pending is not None:
            pending, self._pending, self._shown_at = self._pending, None, perf_counter()
            super().end_epoch(*pending)

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class NotebookProgress(Progress):
    """One output of a notebook cell: lines of completed epochs, and the running one."""

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

    def print_line(self, text: str) -> None:  # noqa: D102
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
    """Return the number of epochs between lines: 1, 2 or 5 times a power of ten, for at most 10 lines."""
    step = 1
    while 10 * step < epochs:
        step *= 10
    return next(step // part for part in (5, 2, 1) if 10 * (step // part) >= epochs)


def _bar(total: int, completed: int = 0, console: Any = None) -> tuple[Any, Any]:
    """Return a started transient bar and its task."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    # The numbers come from the caller rather than rich's columns, to agree with the final line.
    columns = (TextColumn("{task.completed}/{task.total}"), BarColumn(20), TextColumn("{task.fields[text]}"))
    bar = Progress(*columns, console=console or Console(highlight=False), auto_refresh=False, transient=True)
    task = bar.add_task("", total=total, completed=completed, text="")
    bar.start()
    return bar, task


def _fitted(line: str) -> str:
    """Return the line, broken between its parts if standard output is a terminal that is narrower."""
    if not sys.stdout.isatty():
        return line
    width, lines = shutil.get_terminal_size().columns, [""]
    for part in line.split(" - "):
        longer = f"{lines[-1]} - {part}" if lines[-1] else part
        if len(longer) > width and lines[-1]:
            lines.append(f"  {part}")
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _per_sample(seconds: float, samples: float) -> str:
    microseconds, unit = 1e6 * seconds / samples, _where_it_can_be_written("µs", "us")
    return f"{microseconds:.0f} {unit}/sample" if microseconds >= 10 else f"{microseconds:.1f} {unit}/sample"


def _bytes(count: float) -> str:
    """Format bytes with a unit and three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def _where_it_can_be_written(text: str, plain_text: str) -> str:
    """Return the text, or `plain_text` if standard output's encoding (such as GBK) lacks its characters."""
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
