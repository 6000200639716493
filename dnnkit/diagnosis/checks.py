"""A registry of checks that issue warnings; each is a function of what is known at its moment.

A check yields a text per problem: what was observed, with numbers, why it matters, and what to do. Users get a
`TrainingWarning` that begins with the check's name, by which a filter of the standard library can silence it:

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
"""When a check runs, and its argument: `compile` with a `network.agreement.Parts`, `fit` with a `first_look.FirstLook`,
`epoch` (the end of one) with a `course.Course`, `diagnose` (the end of `fit(diagnose=True)`) with a
`layers.Diagnosis`."""

PACKAGE = f"{Path(__file__).parents[1]}/"


@dataclass(frozen=True)
class Check:
    """A function of what is known at a moment, which yields a text per problem."""

    name: str
    moment: Moment
    look: Callable[[Any], Iterable[str]]

    @property
    def about(self) -> str:
        """Summary of what it looks for, on one line."""
        return (self.look.__doc__ or "").partition("\n")[0]


CHECKS: Registry[Check] = Registry("warning", "a dnnkit.diagnosis.checks.Check", lambda thing: isinstance(thing, Check))

Look: TypeAlias = Callable[[Any], Iterable[str]]


def check(name: str, moment: Moment) -> Callable[[Look], Look]:
    """Return a decorator that registers a function as a check."""

    def add(look: Look) -> Look:
        CHECKS.add(name, Check(name, moment, look))
        return look

    return add


_KEPT: dict[Moment, tuple[tuple[Any, ...], list[Check]]] = {}


def checks_at(moment: Moment) -> list[Check]:
    """Return the checks of a moment; cached until one is added, because a registry look-up takes about 10 µs."""
    added, kept = CHECKS.added(), _KEPT.get(moment)
    if kept is None or kept[0] != added:
        found = [each for each in CHECKS.usable() if each.moment == moment]
        kept = _KEPT[moment] = CHECKS.added(), found
    return kept[1]


def found(checks: Iterable[Check], seen: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, text) for each problem that the checks find."""
    for each in checks:
        for text in each.look(seen):
            yield each.name, text


_IS_UNSAID: ContextVar[bool] = ContextVar("nothing is said", default=False)


@contextmanager
def unsaid() -> Iterator[None]:
    """Suppress all checks in this thread; used where the code that distributed the work runs them itself."""
    token = _IS_UNSAID.set(True)
    try:
        yield
    finally:
        _IS_UNSAID.reset(token)


def warn(checks: Iterable[Check], seen: Any, said: set[str] | None = None, whose: str = "") -> None:
    """Issue warnings for what the checks find; `whose` names the network if it is one of several.

    Checks whose names are in `said` are not repeated; the names of new ones are added to it.
    """
    if _IS_UNSAID.get():
        return
    with np.errstate(all="ignore"):  # checks may encounter numbers of any size
        texts = list(found(checks, seen))
    of = f" ({whose})" if whose else ""
    for name, text in texts:
        if said is None or name not in said:
            warnings.warn(f"{name}{of}: {text}", TrainingWarning, stacklevel=_frames_of_ours())
    if said is not None:
        said.update(name for name, _ in texts)


def _frames_of_ours() -> int:
    """Return the `stacklevel` at which `warn` reports the user's line rather than one of dnnkit."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
