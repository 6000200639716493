"""Run functions in threads and collect their exceptions."""

import sys
import threading
import traceback
from collections.abc import Callable


def together(*functions: Callable[[], object]) -> list[BaseException]:
    """Run each in a thread; return their exceptions. A thread that does not end fails the test."""
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
        thread.join(300)
    stacks = [_stack(thread) for thread in threads if thread.is_alive()]
    assert not stacks, "\n".join(["threads wait for ever:", *stacks])
    return failures


def _stack(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return f"{thread.name}:\n{''.join(traceback.format_stack(frame))}"
