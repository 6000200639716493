"""What backends say: findings for `dnnkit doctor`, and remarks in the log."""

from functools import cache
from typing import Literal

from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` says what to do; empty where nothing needs to be done.

    `state` is "good", "note" (works, but could be better or is merely absent) or "problem" (something asked for cannot
    work).
    """

    subject: str
    state: Literal["good", "note", "problem"]
    message: str
    advice: str = ""


def remark(text: str) -> None:
    """Write a line to the log."""
    import logging  # only what remarks something needs it

    logging.getLogger("dnnkit").warning("dnnkit: %s", text)


@cache
def say_once(text: str) -> None:
    """Write a line to the log, once per process."""
    remark(text)


def in_words(size: int) -> str:
    """A number of bytes for people: 1.5 GiB, 20 MiB, 300 KiB, 7 bytes."""
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= one:
            return f"{size / one:.3g} {unit}" if size < 1000 * one else f"{size / one:.0f} {unit}"
    return f"{size} bytes"
