"""Thread safety of a network: turns for changes, consistent snapshots for readers.

Everything that changes a network takes a turn, one thread at a time; a fit takes one per stretch of steps and ends the
stretch early if another thread is waiting. Reads need no turn while nothing changes: a reader checks before and after
whether something did, and if so, reads again from a private copy (docs/design/0021-threads.md).
"""

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

from dnnkit.backends.acting import acting
from dnnkit.backends.executable import Executable
from dnnkit.backends.mutex import Mutex
from dnnkit.backends.stagewise.giant_step import GIANT
from dnnkit.deferred import dataclass
from dnnkit.errors import ConcurrentUse
from dnnkit.network.fair_lock import FairLock
from dnnkit.network.shared_layers import SharedLayers
from dnnkit.training.interrupts import undivided

FRESH = 0.1
"""Maximum age in seconds of the copy of the parameters that readers share during a fit."""

LONG = 1 << 26
"""Step size (rows times parameters) of roughly 5 ms on a fast machine and 0.1 s on a slow one: longer than readers
should wait for a step to end."""

Result = TypeVar("Result")


class Settled:
    """Parameters that may be read while this object is current: every change first withdraws it."""

    __slots__ = "executable", "parameters"

    def __init__(self, executable: Executable, parameters: Any) -> None:
        self.executable, self.parameters = executable, parameters

    def is_of(self, executable: Executable) -> bool:
        """Whether several threads may read this executable with these parameters."""
        return self.executable is executable and executable.reads_in_parallel


@dataclass(frozen=True)
class _Copy:
    """Parameters as of a completed step."""

    executable: Executable
    parameters: Any
    made: float
    is_newest: bool
    """Whether no step has completed since, regardless of age."""

    @property
    def is_old(self) -> bool:
        """Whether readers need a newer copy."""
        return not self.is_newest and monotonic() - self.made >= FRESH


class Turns:
    """The turns of one network; `with turns:` takes one."""

    def __init__(self) -> None:
        self.shared_layers: SharedLayers | None = None
        """The layers that the network shares with others; None if it shares none."""
        self._forget_threads()
        _ALL.add(self)

    def _forget_threads(self) -> None:
        """Reset all state that concerns other threads."""
        self.settled: Settled | None = None
        self._averages: tuple[Settled, Any] | None = None
        self._lock, self._mutex = FairLock(), Mutex()
        self._pause: Callable[[], None] | None = None
        self._fitting: int | None = None
        self._has_begun = False
        self.has_readers = False
        """Whether another thread has read the network during this fit."""
        self._copy: _Copy | None = None

    # -- changing ----------------------------------------------------------------------------------------------------

    @undivided
    def __enter__(self) -> None:
        """Begin a turn: no other thread changes the network until it ends. Turns nest without waiting."""
        shared_layers = None if self.shared_layers is None or self._lock.is_mine else self.shared_layers
        if shared_layers is not None:
            shared_layers.update_stale()
        self._lock.acquire(self._ask)
        self.settled = self._copy = None
        if shared_layers is not None:
            shared_layers.begin_turn()

    @undivided
    def __exit__(self, *_: object) -> None:
        try:
            if self.shared_layers is not None and self._lock.is_outermost:
                self.shared_layers.end_turn()
        finally:
            self._lock.release()

    @property
    def is_wanted(self) -> bool:
        """Whether a thread waits for its turn."""
        return self._lock.is_wanted

    def _ask(self) -> None:
        if (pause := self._pause) is not None:
            pause()

    @contextmanager
    def rebuilding(self, what: str) -> Iterator[None]:
        """Take a turn for a change that is not possible during a fit; raise `ConcurrentUse` then, in any thread."""
        self._refuse_during_fit(what)
        with self:
            self._refuse_during_fit(what)
            yield

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Held for the duration of a fit; raises `ConcurrentUse` if one is already running."""
        with self._mutex:
            if self._fitting is not None:
                raise self._concurrent("fit")
            self._fitting = acting()
        try:
            yield
        finally:
            self._fitting, self._has_begun, self.has_readers, self._copy = None, False, False, None

    def begin_training(self) -> None:
        """Refuse rebuilding from now on, also by this fit itself."""
        self._has_begun = True

    def stretch(self, executable: Executable, step_size: int) -> "Stretch":
        """Return a fit's turn: if `may_pause`, the executable is asked to stop once another thread waits for its turn.

        `step_size` is rows times parameters. A step that takes seconds begins with a copy of the parameters for
        readers. One that takes milliseconds does so only after a thread has read during this fit, because the copy may
        take as long as the step.
        """
        return Stretch(self, executable, step_size)

    def _refuse_during_fit(self, what: str) -> None:
        if self._fitting is not None and (self._has_begun or self._fitting != acting()):
            raise self._concurrent(what)

    def _concurrent(self, what: str) -> ConcurrentUse:
        where = "and this call is made within it, by a callback"
        if self._fitting != acting():
            names = [thread.name for thread in threading.enumerate() if thread.ident == self._fitting]
            where = f"in thread {names[0]}" if names else "in another thread"
        return ConcurrentUse(
            f"{what}: a fit of this network is running, {where}. Wait for it to end, stop it with "
            "net.stop_training = True, or use another network"
        )

    # -- reading -----------------------------------------------------------------------------------------------------

    def read(self, executable: Executable, compute: Callable[[Any], Result], *, averages: bool = False) -> Result:
        """Return compute(parameters) on a consistent snapshot; the parameters are as `predict` takes them.

        With `averages`, these are the moving averages. If the executable does not support parallel reads, the
        computation takes a turn.
        """
        if averages:
            return compute(self._read_averages(executable))
        if not executable.reads_in_parallel:
            with self:
                return compute(None)
        if self.shared_layers is not None and not self._lock.is_mine:
            self.shared_layers.update_stale()
        if self._lock.is_mine:  # within a turn, which continues
            return compute(executable.settle())
        for _ in range(2):
            if self._fitting is not None and self._fitting != acting():
                break  # the fit writes nearly all the time, so an optimistic read would fail
            settled = self.settled
            if settled is None or settled.executable is not executable:
                settled = self._settle(executable)
            result = compute(settled.parameters)
            if self.settled is settled:
                return result
        return compute(self._copied(executable))

    def read_once(self, executable: Executable, compute: Callable[[Any], Result], *, averages: bool = False) -> Result:
        """`read` for computations with side effects: runs `compute` exactly once, on a private copy."""
        if averages:
            return compute(self._read_averages(executable))
        with self:
            if not executable.reads_in_parallel:
                return compute(None)
            parameters = executable.copy_parameters()
        return compute(parameters)

    def _read_averages(self, executable: Executable) -> Any:
        """Return a copy of the moving averages, cached until something changes."""
        if self._lock.is_mine:  # within a turn, which may change them
            return executable.averages()
        settled, kept = self.settled, self._averages
        if settled is None or kept is None or kept[0] is not settled or settled.executable is not executable:
            with self:
                self.settled = settled = Settled(executable, executable.settle())
                self._averages = kept = settled, executable.averages()
        return kept[1]

    def settle(self, executable: Executable) -> Settled:
        """Let readers read the parameters until the next turn; called at the end of a turn."""
        self.settled = settled = Settled(executable, executable.settle())
        return settled

    def _settle(self, executable: Executable) -> Settled:
        with self:
            return self.settle(executable)

    def _copied(self, executable: Executable) -> Any:
        self.has_readers = self._fitting is not None
        copy = self._copy
        if copy is None or copy.executable is not executable or copy.is_old:
            with self:
                self._copy = copy = _Copy(executable, executable.copy_parameters(), monotonic(), False)
        return copy.parameters


class Stretch:
    """See `Turns.stretch`; entered once per step if a callback monitors steps."""

    __slots__ = ("_copies", "_executable", "_step_size", "_turns", "may_pause")

    def __init__(self, turns: Turns, executable: Executable, step_size: int) -> None:
        self._turns, self._executable, self._step_size = turns, executable, step_size
        self.may_pause, self._copies = True, False

    def end(self, first: int, last: int) -> int:
        """Return the end of the next turn: `last`, or one step after `first` if it begins with a copy."""
        self._copies = self._step_size > (LONG if self._turns.has_readers else GIANT)
        return first + 1 if self._copies else last

    @undivided
    def __enter__(self) -> None:
        turns = self._turns
        if turns.shared_layers is not None:
            turns.shared_layers.update_stale()
        turns._lock.acquire(turns._ask)
        if turns.shared_layers is not None:
            turns.shared_layers.begin_turn()
        turns.settled = None  # the copy stays valid: readers decide how old it may be
        if self._copies:
            turns._copy = _Copy(self._executable, self._executable.copy_parameters(), monotonic(), True)
        if self.may_pause:
            turns._pause = self._executable.request_stop

    @undivided
    def __exit__(self, *_: object) -> None:
        turns = self._turns
        turns._pause = None
        if self._copies:
            turns._copy = None
        try:
            if turns.shared_layers is not None:
                turns.shared_layers.end_turn()
        finally:
            turns._lock.release()


_ALL: "weakref.WeakSet[Turns]" = weakref.WeakSet()


def _after_fork() -> None:
    """Reset the turns in a child process, which does not inherit the other threads."""
    for turns in list(_ALL):
        turns._forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
