"""Long work in a thread, so that Ctrl-C is heard meanwhile."""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def in_background(work: Callable[[], Result]) -> Result:
    """The result of work that changes nothing: whoever is interrupted meanwhile leaves it to end by itself."""
    results: list[Result] = []
    failures: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed to the thread that waits
            failures.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True).start()
    while not ended.wait(0.1):  # a signal that another thread was given does not wake this one
        pass
    if failures:
        raise failures[0]
    return results[0]
