"""A lock that Ctrl-C cannot leave acquired."""

import threading
from operator import attrgetter


class Mutex:
    """Mutual exclusion for `with` blocks, released whenever a signal arrives.

    Since Python 3.14, a `with` statement handles signals between the `__enter__` of Python's locks and its block: an
    exception raised there, such as KeyboardInterrupt, left the lock acquired forever.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        acquired: list[bool] = []
        try:
            # One call in C: no signal is handled between acquiring and recording it.
            acquired.extend(map(self._lock.acquire, (True,)))
        except BaseException:
            if acquired:
                self._lock.release()
            raise

    __exit__ = property(attrgetter("_lock.__exit__"))  # the method in C: a Python function handles signals at its start
