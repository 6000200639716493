"""How many processors there are for this process, and how many threads a program may therefore have."""

import os
from functools import cache
from pathlib import Path


def processors() -> int:
    """How many this process may use: by affinity, and by a container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _quota() or count)


@cache
def _quota() -> int | None:
    """A container's quota, read once: it is asked for before each step of a user's own loop."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):  # no such file, or no quota
        return None


def usable(num_threads: int | None) -> int:
    """So many threads as were asked for, None for all, but no more than there are processors.

    More would wait for each other at every step, fifty times as long as the work takes; a network may come from a
    larger machine.
    """
    here = processors()
    return here if num_threads is None else min(num_threads, here)
