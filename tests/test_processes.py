"""Processes that hang are reported, and tests leave none behind."""

import signal
import subprocess
import sys
import threading
import warnings

import pytest

from tests.processes import run, started

WAITS = """
import threading
def waits_for_ever():
    print("begun", flush=True)
    threading.Event().wait()
threading.Thread(target=waits_for_ever).start()
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def hang() -> None:
    with started(python(WAITS)) as process:
        process.line("begun")
        process._ask_where()  # as its watchdog does after a while
        process.end()


def test_a_hanging_process_reports_its_output_and_stacks() -> None:
    with pytest.raises(AssertionError) as failure:
        hang()
    for part in ("hung for 300 s", "its output:\nbegun\n", "in waits_for_ever", "Current thread"):
        assert part in str(failure.value)


def test_reading_from_a_hanging_process_ends() -> None:
    with pytest.raises(AssertionError, match="hung for 1 s"), started(python(WAITS), patience=1) as process:
        process.line("never")


def test_one_that_ends_too_early_says_why() -> None:
    code = "import sys; print('one'); print('oh', file=sys.stderr); sys.exit(3)"
    with pytest.raises(AssertionError) as failure, started(python(code)) as process:
        process.line("two")
    for part in ("ended with 3 before a line 'two'", "its output:\none\n", "its errors:\noh\n"):
        assert part in str(failure.value)


def test_a_failing_test_leaves_no_process_pipe_or_thread() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ZeroDivisionError), started(python(WAITS), stdin=subprocess.PIPE) as process:
            1 / len(process.line("begun")[6:])
    assert process.returncode == -signal.SIGKILL
    assert [pipe.closed for pipe in (process.stdin, process.stdout, process.stderr) if pipe] == [True] * 3
    process._watchdog.join(60)
    assert not any(isinstance(thread, threading.Timer) for thread in threading.enumerate())


def test_input_and_output_of_a_process() -> None:
    done = run(python("import sys; print(input()); print('no', file=sys.stderr); sys.exit(4)"), given="yes\n")
    assert (done.returncode, done.stdout, done.stderr) == (4, "yes\n", "no\n")
