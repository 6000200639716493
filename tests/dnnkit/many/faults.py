"""Metrics that do harm, once, in the middle of a stretch; they are closures, as users write them."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def harmful(fuses: list[Path], harm: Callable[[], Any], after: int = 9) -> Callable[[Any, Any], Any]:
    """Return a metric that does harm in any process after a number of calls there, once per fuse.

    Arguments:
        fuses: files, which are created; each is removed when the harm is done.
        harm: called then.
        after: number of calls in a process without harm.
    """
    home, calls = os.getpid(), [0]
    for fuse in fuses:
        fuse.touch()

    def error(y_true, y_pred):
        calls[0] += 1
        if calls[0] >= after and os.getpid() != home:
            for fuse in fuses:
                try:
                    fuse.unlink()
                except FileNotFoundError:
                    continue
                harm()
                break
        return np.abs(y_pred - y_true).mean(axis=1)

    return error


def dies() -> None:
    """Kill this process, as the system kills one that uses too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def ends(pid: int, number: signal.Signals) -> Callable[[], None]:
    """Send another process a signal, and keep working for a while."""

    def harm() -> None:
        os.kill(pid, number)
        time.sleep(0.2)

    return harm
