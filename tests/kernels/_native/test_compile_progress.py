"""Messages while something compiles: a live line on a terminal, elsewhere one line for a series."""

import io
import json
import logging
import sys
from types import SimpleNamespace

import pytest

from dnnkit.kernels._native import compile_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch, tmp_path):
    """A clock that only the test moves, an empty cache, and nothing compiled before."""
    clock = Clock()
    (tmp_path / "compiled").mkdir()
    monkeypatch.setattr(compile_progress, "monotonic", clock)
    monkeypatch.setattr(compile_progress, "PATIENCE", 1.0)
    monkeypatch.setattr(compile_progress, "places", lambda: (tmp_path / "compiled",))
    monkeypatch.setattr(compile_progress, "_series", compile_progress._Series(0.0, ended=-compile_progress.GAP))
    return clock


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(compile_progress, "sys", SimpleNamespace(stderr=terminal))  # pytest has its own in sys
    return terminal


def drawn(terminal):
    """Return each state of the line, without the spaces that cover the last one."""
    return [line.strip() for line in terminal.getvalue().split("\r")[1:]]


def compile_for(seconds, clock, what="relu.forward", dtype="float32", **more):
    with compile_progress.ProgressLine() as watch, compile_progress.in_progress(what, dtype, **more):
        for _ in range(round(seconds * 16)):
            clock.now += 1 / 16
            watch.look()


def test_a_terminal_shows_a_line_that_is_redrawn_and_removed(clock, terminal, caplog):
    compile_for(3.0, clock)
    *lines, empty, end = drawn(terminal)
    assert empty == end == ""
    assert lines[0] == "dnnkit: compiling, 1 s of about 3 s (a guess): relu.forward in float32"
    assert len(lines) == 9  # of two seconds, from the first that is reported
    assert terminal.getvalue().endswith("\r")
    assert caplog.records == []
    width = max(map(len, lines))
    assert terminal.getvalue().split("\r")[-2] == " " * width  # covered


@pytest.mark.parametrize("is_terminal", [True, False])
def test_less_than_a_second_in_all_is_not_told(is_terminal, clock, request, caplog):
    terminal = request.getfixturevalue("terminal") if is_terminal else None
    for _ in range(4):
        compile_for(0.1875, clock)
    assert caplog.records == []
    assert terminal is None or terminal.getvalue() == ""
    clock.now += 2 * compile_progress.GAP
    for _ in range(4):
        compile_for(0.1875, clock)
    assert caplog.records == []


def test_elsewhere_a_series_is_one_line_and_the_next_another(clock, caplog, tmp_path):
    for _ in range(3):
        compile_for(2.0, clock)
        clock.now += compile_progress.GAP / 2
    assert caplog.messages == [
        "dnnkit: compiling for float32, which takes about 3 s (a guess), once for this machine; stored in "
        f"{tmp_path / 'compiled'}"
    ]
    assert caplog.records[0].name == "dnnkit"
    clock.now += compile_progress.GAP + 1
    compile_for(2.0, clock)
    assert len(caplog.records) == 2


def test_many_short_ones_are_told_together(clock, terminal):
    for number in range(5):
        compile_for(0.4375, clock, f"kernel.{number}")
    lines = [line for line in drawn(terminal) if line]
    assert "kernel.2" in lines[0]
    assert "2 s of" in lines[-1]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_who_silences_the_log_hears_nothing(is_terminal, clock, request, caplog):
    terminal = request.getfixturevalue("terminal") if is_terminal else None
    caplog.set_level(logging.ERROR, "dnnkit")
    compile_for(3.0, clock)
    assert caplog.records == []
    assert terminal is None or terminal.getvalue() == ""


def test_another_process_that_compiles_is_told(clock, terminal):
    compile_for(2.0, clock, is_awaited=True)
    assert drawn(terminal)[0] == "dnnkit: another process is compiling, 1 s: relu.forward in float32"


def test_usual_times_are_recorded_per_dtype(clock, terminal, tmp_path):
    record = tmp_path / "seconds.json"
    for _ in range(3):
        compile_for(4.0, clock)
        clock.now += 1.0
    assert json.loads(record.read_text()) == {"float32": 12.0}
    assert record.stat().st_mode & 0o777 == 0o600
    clock.now += 2 * compile_progress.GAP
    compile_for(2.0, clock)  # of a new version: nothing of it is cached
    assert drawn(terminal)[-3].startswith("dnnkit: compiling, 2 s of about 12 s: ")
    assert json.loads(record.read_text()) == {"float32": 6.0}  # it seems quicker, or was interrupted
    clock.now += 2 * compile_progress.GAP
    (tmp_path / "compiled" / f"relu.forward.float32-0{compile_progress.SUFFIX}").touch()
    compile_for(2.0, clock)
    assert drawn(terminal)[-3].startswith("dnnkit: compiling, 2 s of at most about 6 s: ")
    assert json.loads(record.read_text()) == {"float32": 6.0}  # one more kernel is not all of them
    clock.now += 2 * compile_progress.GAP
    compile_for(30.0, clock, dtype="float64")
    assert json.loads(record.read_text()) == {"float32": 6.0, "float64": 30.0}


@pytest.mark.parametrize("content", ["", "[]", '{"float32": "long"}', "\0", '{"float32": null}'])
def test_a_record_that_is_damaged_is_replaced(content, clock, terminal, tmp_path):
    (tmp_path / "seconds.json").write_text(content)
    compile_for(4.0, clock)
    assert "a guess" in drawn(terminal)[0]
    assert json.loads((tmp_path / "seconds.json").read_text()) == {"float32": 4.0}


def test_a_line_that_cannot_be_written_ends_nothing(clock, monkeypatch, terminal):
    monkeypatch.setattr(terminal, "write", lambda text: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    compile_for(3.0, clock)
    for stream in (None, io.StringIO()):
        monkeypatch.setattr(compile_progress, "sys", SimpleNamespace(stderr=stream))
        clock.now += 2 * compile_progress.GAP
        compile_for(3.0, clock)


def test_a_line_fits_the_terminal(clock, monkeypatch, terminal):
    monkeypatch.setenv("COLUMNS", "30")
    compile_for(3.0, clock)
    assert max(map(len, terminal.getvalue().split("\r"))) == 29


def test_it_is_drawn_behind_a_bar_of_progress(clock, terminal, monkeypatch):
    from rich.console import Console
    from rich.live import Live

    monkeypatch.setattr(compile_progress, "sys", sys)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Live("", console=Console(file=terminal, force_terminal=True), auto_refresh=False, redirect_stderr=True):
        assert sys.stderr is not terminal
        compile_for(3.0, clock)
    assert "\rdnnkit: compiling, 3 s of" in terminal.getvalue()
