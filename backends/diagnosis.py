"""Reports of backends: findings for `dnnkit doctor`, and log messages."""

from functools import cache
from typing import Literal

from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class Finding:
    """A finding of a check. `advice` says what to do; empty if nothing needs to be done.

    `state` is "good", "note" (works, but could be better or is merely absent) or "problem" (something requested cannot
    work).
    """

    subject: str
    state: Literal["good", "note", "problem"]
    message: str
    advice: str = ""


def remark(text: str) -> None:
    """Log a warning."""
    import logging  # imported late: rarely needed

    logging.getLogger("dnnkit").warning("dnnkit: %s", text)


@cache
def warn_once(text: str) -> None:
    """Log a warning once per process."""
    remark(text)


def in_words(size: int) -> str:
    """Format a number of bytes: 1.5 GiB, 20 MiB, 300 KiB, 7 bytes."""
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= one:
            return f"{size / one:.3g} {unit}" if size < 1000 * one else f"{size / one:.0f} {unit}"
    return f"{size} bytes"
