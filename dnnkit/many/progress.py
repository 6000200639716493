"""Lines on how all networks stand."""

from math import isfinite, nan
from time import perf_counter

from dnnkit.callbacks.base import say
from dnnkit.many.history import ManyHistory
from dnnkit.training.progress import Verbosity

EVERY = 1.0
"""Seconds between two lines."""


class Progress:
    """Silent; base of the others."""

    def tell(self) -> None:
        """An epoch has ended."""


class Lines(Progress):
    """`epoch 12/100 - 3.2 s - 60 of 64 networks run - val_loss 0.1234 (networks[7])`; one per second at most."""

    def __init__(self, epochs: int, many: ManyHistory) -> None:
        self._epochs, self._many, self._told = epochs, many, perf_counter()

    def tell(self) -> None:  # noqa: D102
        now, many = perf_counter(), self._many
        running = many.running
        if running and now - self._told < EVERY:
            return
        self._told = now
        epoch = min((len(many.histories[number].epoch) for number in running), default=0)
        at = f"epoch {epoch}/{self._epochs}" if running else "all ended"
        say(f"{at} - {many.seconds:.1f} s - {len(running)} of {len(many)} networks run{_best(many)}")


def _best(many: ManyHistory) -> str:
    name = "val_loss" if any("val_loss" in each.history for each in many.histories) else "loss"
    found = many.values(name)
    known = [number for number, value in enumerate(found) if isfinite(value)]
    if not known:
        return ""
    best = min(known, key=lambda number: found[number] if found[number] == found[number] else nan)
    return f" - {name} {found[best]:.4f} (networks[{best}])"


def make_progress(verbose: Verbosity, epochs: int, many: ManyHistory) -> Progress:
    """0: silent; else lines."""
    return Progress() if verbose == 0 else Lines(epochs, many)
