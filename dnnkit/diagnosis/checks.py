"""What dnnkit warns of: a registry of checks, each one function of what can be seen at its moment.

A check yields a text for each thing that it finds: what was seen, with numbers, why it matters, and the cure. The user
gets a `TrainingWarning` that begins with the check's name, so that a filter of the standard library silences it:

    warnings.filterwarnings("ignore", "unscaled inputs")
"""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.errors import TrainingWarning
from dnnkit.registry import Registry

Moment: TypeAlias = Literal["compile", "fit", "epoch", "diagnose"]
"""When a check looks, and at what: `compile` at a `network.agreement.Parts`, `fit` at a `first_look.FirstLook`, the end
of an epoch at a `course.Course`, the end of a `fit(diagnose=True)` at a `layers.Diagnosis`."""

PACKAGE = f"{Path(__file__).parents[1]}/"


@dataclass(frozen=True)
class Check:
    """A function of what can be seen at a moment, which yields a text for each thing that it finds."""

    name: str
    moment: Moment
    look: Callable[[Any], Iterable[str]]

    @property
    def about(self) -> str:
        """What it looks for, in a line."""
        return (self.look.__doc__ or "").partition("\n")[0]


CHECKS: Registry[Check] = Registry("warning", "a dnnkit.diagnosis.checks.Check", lambda thing: isinstance(thing, Check))

Look: TypeAlias = Callable[[Any], Iterable[str]]


def check(name: str, moment: Moment) -> Callable[[Look], Look]:
    """Make the function below a check of that name."""

    def add(look: Look) -> Look:
        CHECKS.add(name, Check(name, moment, look))
        return look

    return add


_KEPT: dict[Moment, tuple[tuple[Any, ...], list[Check]]] = {}


def checks_at(moment: Moment) -> list[Check]:
    """The checks of a moment, kept as long as none is added: to go through the registry takes some 10 µs."""
    added, kept = CHECKS.added(), _KEPT.get(moment)
    if kept is None or kept[0] != added:
        found = [each for each in CHECKS.usable() if each.moment == moment]
        kept = _KEPT[moment] = CHECKS.added(), found
    return kept[1]


def found(checks: Iterable[Check], seen: Any) -> Iterator[tuple[str, str]]:
    """What the checks find: the name of each, and its text."""
    for each in checks:
        for text in each.look(seen):
            yield each.name, text


_IS_UNSAID: ContextVar[bool] = ContextVar("nothing is said", default=False)


@contextmanager
def unsaid() -> Iterator[None]:
    """Within, in this thread, nothing is looked for: whoever handed out the work looks, and can be heard."""
    token = _IS_UNSAID.set(True)
    try:
        yield
    finally:
        _IS_UNSAID.reset(token)


def warn(checks: Iterable[Check], seen: Any, said: set[str] | None = None, whose: str = "") -> None:
    """Warn of what the checks find, in a network that is called `whose` where it is one of several.

    Of those whose names were `said`, which grows, nothing is said again.
    """
    if _IS_UNSAID.get():
        return
    with np.errstate(all="ignore"):  # numbers of any size are looked at
        texts = list(found(checks, seen))
    of = f" ({whose})" if whose else ""
    for name, text in texts:
        if said is None or name not in said:
            warnings.warn(f"{name}{of}: {text}", TrainingWarning, stacklevel=_frames_of_ours())
    if said is not None:
        said.update(name for name, _ in texts)


def _frames_of_ours() -> int:
    """The `stacklevel` for `warn` at which the user's line is told, not one of dnnkit's."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
