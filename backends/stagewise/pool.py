"""Things that one thread at a time may use, such as the buffers of a prediction."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any


class Pool:
    """What callers have given back, by its key, for the next.

    At most `keep` are kept: of other keys, the first that was given goes. There is no lock, only single operations of a
    dictionary and of lists: a fork could leave a lock held for ever.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._idle: dict[Hashable, list[Any]] = {}

    @contextmanager
    def borrowed(self, key: Hashable, make: Callable[[], Any]) -> Iterator[Any]:
        """A thing of that key for this caller alone: an idle one, else a new one."""
        try:
            thing = self._idle[key].pop()
        except (KeyError, IndexError):
            thing = make()
        yield thing  # not given back if this fails: nobody knows what state it is in
        self._idle.setdefault(key, []).append(thing)
        kept = list(self._idle.items())
        if sum(len(things) for _, things in kept) > self._keep:
            oldest, things = next(((other, things) for other, things in kept if other != key), kept[0])
            del things[:1]
            if not things and oldest != key:
                self._idle.pop(oldest, None)

    def release(self) -> None:
        """Forget what is idle."""
        self._idle.clear()
