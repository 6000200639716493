"""What a check of this machine found: for `dnnkit doctor`."""

from dataclasses import dataclass
from typing import Literal


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
