"""The stopwatch: the order of runs, what is counted and what is not."""

import gc

import pytest

from dnnkit.backends import get_backend
from dnnkit.bench.progress import silent
from dnnkit.bench.results import Results
from dnnkit.bench.selection import Effort, Selection
from dnnkit.bench.timing import AGAIN, CONTROL, Case, guarded, identical, interleave, measure_group


class Clock:
    """A clock that advances only when a case says so."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.calls = []
        for name in ("perf_counter", "process_time"):
            monkeypatch.setattr(f"dnnkit.bench.timing.{name}", lambda: self.now)

    def case(self, name, seconds):
        def call():
            self.now += seconds
            self.calls.append(name)

        return Case(name, call)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_seconds_are_of_one_call_in_every_round(clock):
    timings = interleave([clock.case("quick", 0.001), clock.case("slow", 0.5)], Effort(4, 0.01))
    assert timings["quick"].seconds == pytest.approx([0.001] * 4)
    assert timings["slow"].seconds == pytest.approx([0.5] * 4)
    assert (timings["quick"].calls, timings["slow"].calls) == (10, 1)
    assert timings["slow"].processors == pytest.approx(1)


def test_cases_take_turns_and_do_not_always_follow_the_same_one(clock):
    interleave([clock.case(name, 1.0) for name in "abc"], Effort(6, 0.5))
    rounds = ["".join(clock.calls[-36:][start : start + 6 : 2]) for start in range(0, 36, 6)]
    assert all(sorted(turns) == list("abc") for turns in rounds)
    assert len({turns[0] for turns in rounds}) == 3
    assert len(set(rounds)) > 3


def test_work_that_is_only_begun_counts(clock):
    waiting = []

    def finish():
        clock.now += 2.0 * len(waiting)
        waiting.clear()

    found = interleave([Case("begun", lambda: waiting.append(1), finish)], Effort(3, 0.001))["begun"]
    assert found.seconds == pytest.approx([2.0] * 3)


def test_the_first_call_which_compiles_does_not_count(clock):
    costs = iter([100.0])

    def call():
        clock.now += next(costs, 1.0)

    assert interleave([Case("compiled", call)], Effort(3, 1.0))["compiled"].seconds == pytest.approx([1.0] * 3)


def test_the_collector_is_off_and_is_restored_also_after_an_error(clock):
    states = []

    def call():
        states.append(gc.isenabled())
        clock.now += 1
        if len(states) == 5:
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        interleave([Case("broken", call)], Effort(9, 1.0))
    assert states[-1] is False
    assert gc.isenabled()


def test_twins_are_the_same_code_under_another_name(clock):
    cases = guarded([clock.case(str(number), 1.0 + number) for number in range(20)])
    twins = [case for case in cases if case.name.startswith(AGAIN)]
    assert [case.name for case in twins] == [AGAIN + name for name in ("0", "4", "9", "14", "19")]
    found = identical(interleave(cases[:-1], Effort(2, 1.0)), "group")
    assert [name for name, _, _ in found] == ["0, group", "4, group", "9, group", "14, group", "19, group"]
    assert all(a == pytest.approx(b) for _, a, b in found)
    assert len(guarded(cases[:1])) == 3  # and the control
    assert cases[-1].name == CONTROL


def test_a_group_adds_its_twins_and_its_control_to_the_results():
    results, calls = Results("step", {}), []
    selection = Selection((get_backend("numpy"),), effort=Effort(2, 1e-4))
    cases = [Case(name, lambda: calls.append(1)) for name in ("a", "b")]
    timings = measure_group(cases, "small", selection, results, silent, "calls")
    assert {name: len(timings[name].seconds) for name in "ab"} == {"a": 2, "b": 2}
    assert [name for name, _, _ in results.identical] == ["a, small", "b, small"]
    assert list(results.controls) == [f"{CONTROL}, small"]
