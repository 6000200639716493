"""Functions in threads of their own, and what they raised."""

import threading
from collections.abc import Callable


def together(*functions: Callable[[], object]) -> list[BaseException]:
    """Run each in a thread; the exceptions that they raised. A thread that does not end fails the test."""
    failures: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a thread waits for ever"
    return failures
