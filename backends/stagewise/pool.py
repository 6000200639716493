"""Pool of objects that one thread at a time may use, such as prediction buffers."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any


class Pool:
    """Objects that callers have returned, by key, for reuse.

    At most `keep` are kept; beyond that the oldest of another key is dropped. There is no lock, only atomic operations
    on a dictionary and lists: a fork could leave a lock held forever.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._idle: dict[Hashable, list[Any]] = {}

    @contextmanager
    def borrowed(self, key: Hashable, make: Callable[[], Any]) -> Iterator[Any]:
        """Borrow an object with this key for this caller alone: an idle one, or a new one."""
        try:
            thing = self._idle[key].pop()
        except (KeyError, IndexError):
            thing = make()
        yield thing  # not returned on failure, when its state is unknown
        self._idle.setdefault(key, []).append(thing)
        kept = list(self._idle.items())
        if sum(len(things) for _, things in kept) > self._keep:
            oldest, things = next(((other, things) for other, things in kept if other != key), kept[0])
            del things[:1]
            if not things and oldest != key:
                self._idle.pop(oldest, None)

    def release(self) -> None:
        """Drop all idle objects."""
        self._idle.clear()
