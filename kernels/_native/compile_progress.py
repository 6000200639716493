"""Progress messages while kernels compile: a live line on a terminal, otherwise one line per series of compilations.

Nothing is shown for less than a second in total.
"""

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import field
from time import monotonic
from typing import Any, TextIO

from dnnkit.deferred import dataclass
from dnnkit.files import replace
from dnnkit.kernels._native.places import SUFFIX, places

PATIENCE = 1.0
"""Seconds of compilation before anything is shown."""

GAP = 5.0
"""Seconds between two compilations that still belong to one series."""

REDRAW = 0.25

GUESS = 3.0
"""Seconds of all compilations of a first training on an ordinary machine, used until this machine's are known."""

RECORD = "seconds.json"

log = logging.getLogger("dnnkit")


@dataclass
class _Series:
    """Compilations in quick succession, which appear as one to the user."""

    began: float
    ended: float = 0.0
    known: dict[str, float] = field(default_factory=dict)
    """Seconds of all compilations by dtype, from earlier processes."""
    compiled: float = 0.0
    """Seconds that this process has compiled in the series."""
    is_first: bool = False
    """Whether the cache had nothing of the dtype: only such a series is representative of a first one."""
    is_logged: bool = False


@dataclass
class _Work:
    what: str
    dtype: str
    began: float
    is_awaited: bool
    """Whether another process does the work."""


_series = _Series(0.0, ended=-GAP)
_under_way: list[_Work] = []


@contextmanager
def in_progress(what: str, dtype: str, *, is_awaited: bool = False) -> Iterator[None]:
    """Mark that this thread compiles, or waits for another process that does; `ProgressLine` shows it."""
    global _series
    now = monotonic()
    if not _under_way and now - _series.ended > GAP:
        _series = _Series(now, known=_records(), is_first=not has_cached(dtype))
    work = _Work(what, dtype, now, is_awaited)
    _under_way.append(work)
    try:
        yield
    finally:
        _under_way.remove(work)
        _series.ended = monotonic()
        if is_awaited:
            _series.is_first = False
        elif not _under_way:
            _series.compiled += _series.ended - now
            if _series.is_first:
                _record(dtype, _series.compiled)


class ProgressLine:
    """Shows the work in progress whenever `look` is called, and clears the line on exit."""

    def __init__(self) -> None:
        self._drawn = ""
        self._at = 0.0

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: Any) -> None:
        self._draw("")

    def look(self) -> None:
        """Update what is shown."""
        now, work = monotonic(), next(iter(_under_way[-1:]), None)
        if work is None or now - _series.began < PATIENCE or not log.isEnabledFor(logging.WARNING):
            return
        if _terminal() is not None:
            if now - self._at >= REDRAW:
                self._at = now
                self._draw(_live_line(work, now - _series.began))
        elif not _series.is_logged:
            _series.is_logged = True
            log.warning("%s", _message(work))

    def _draw(self, line: str) -> None:
        if not line and not self._drawn:
            return
        terminal = _terminal()
        if terminal is not None:
            line = line[: max(1, shutil.get_terminal_size().columns - 1)]
            with suppress(OSError, ValueError):  # the output is closed; compilation continues
                terminal.write("\r" + line.ljust(len(self._drawn)) + ("" if line else "\r"))
                terminal.flush()
        self._drawn = line


def _live_line(work: _Work, elapsed: float) -> str:
    if work.is_awaited:
        return f"dnnkit: another process is compiling, {elapsed:.0f} s: {work.what} in {work.dtype}"
    return f"dnnkit: compiling, {elapsed:.0f} s of {_usual_duration(work.dtype)}: {work.what} in {work.dtype}"


def _message(work: _Work) -> str:
    if work.is_awaited:
        return f"dnnkit: waiting for another process that is compiling for {work.dtype}"
    return (
        f"dnnkit: compiling for {work.dtype}, which takes {_usual_duration(work.dtype)}, once for this machine; "
        f"stored in {places()[-1]}"
    )


def _usual_duration(dtype: str) -> str:
    """Return how long the compilations of a first training took on this machine, or an estimate."""
    known = _series.known.get(dtype)
    seconds, source = (GUESS, " (a guess)") if known is None else (known, "")
    return f"{'about' if _series.is_first else 'at most about'} {max(1.0, seconds):.0f} s{source}"


def _terminal() -> TextIO | None:
    """Return standard error if lines can be redrawn there, unwrapped from a progress bar's proxy."""
    stream: Any = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
    try:
        return stream if stream.isatty() and os.environ.get("TERM") != "dumb" else None
    except (AttributeError, ValueError):  # missing or closed
        return None


def has_cached(title: str) -> bool:
    """Whether the cache has a file whose title ends like this."""
    return any(next(folder.glob(f"*.{title}-*{SUFFIX}"), None) is not None for folder in places())


def _records() -> dict[str, float]:
    try:
        found = json.loads((places()[-1].parent / RECORD).read_text())
        return {str(dtype): float(seconds) for dtype, seconds in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _record(dtype: str, seconds: float) -> None:
    """Record the seconds, but at least half of the known ones: a series that is interrupted would seem fast."""
    seconds = max(seconds, _series.known.get(dtype, 0.0) / 2)
    known = {**_records(), dtype: round(seconds, 1)}
    with suppress(OSError):
        replace(places()[-1].parent / RECORD, json.dumps(known).encode(), durable=False, private=True)
