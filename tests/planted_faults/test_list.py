"""The list of planted faults fits the code: each can still be planted, and its tests still exist."""

import shlex
from collections import Counter
from pathlib import Path

import pytest

from tests.planted_faults.__main__ import CAUGHT, ERROR, MISSED, ROOT, SOUND, judged, misfits
from tests.planted_faults.faults import FAULTS, KINDS, PLACES


def test_every_fault_can_be_planted() -> None:
    assert misfits(FAULTS) == []


def test_every_fault_changes_one_line_once_and_names_existing_tests() -> None:
    for fault in FAULTS:
        assert fault.old != fault.new, fault.name
        assert "\n" not in fault.old + fault.new, fault.name
        files = [part for part in shlex.split(fault.tests) if part.startswith("tests/")]
        assert files, fault.name
        assert all((ROOT / file).exists() for file in files), fault.name


def test_there_are_enough_of_every_kind_everywhere() -> None:
    assert len(FAULTS) >= 64
    assert max(Counter(fault.name for fault in FAULTS).values()) == 1
    kinds, places = (Counter(getattr(fault, name) for fault in FAULTS) for name in ("kind", "place"))
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 5
    assert set(places) == set(PLACES)
    assert min(places.values()) >= 8


def test_a_text_that_does_not_occur_once_is_reported(tmp_path: Path) -> None:
    fault = FAULTS[0]
    assert misfits([fault], tmp_path) == [f"{fault.name}: there is no {fault.file}"]
    file = tmp_path / fault.file
    file.parent.mkdir(parents=True)
    for count in (0, 2):
        file.write_text(count * fault.old)
        assert f"occurs {count} times" in misfits([fault], tmp_path)[0]


FAILURE = "FAILED tests/test_it.py::test_one[a-b c] - assert 1 == 2\n1 failed in 0.1s\n"


@pytest.mark.parametrize(
    ("status", "said", "result", "words"),
    [
        (1, FAILURE, CAUGHT, "tests/test_it.py::test_one[a-b c]"),
        (0, "3 passed in 0.1s\n", MISSED, "3 passed in 0.1s"),
        (1, "ERROR tests/test_it.py - SyntaxError\n1 error in 0.1s\n", ERROR, "exit status 1: 1 error in 0.1s"),
        (2, "1 error in 0.1s\n", ERROR, "exit status 2: 1 error in 0.1s"),
        (4, "", ERROR, "exit status 4: nothing said"),
        (5, "no tests ran\n", ERROR, "exit status 5: no tests ran"),
        (-11, FAILURE, ERROR, "exit status -11: 1 failed in 0.1s"),
        (None, "...", ERROR, "no end"),
    ],
)
def test_only_a_failing_test_catches_a_fault(status: int | None, said: str, result: str, words: str) -> None:
    assert judged(status, said, planted=True) == (result, words)


def test_without_a_fault_the_tests_must_pass() -> None:
    assert judged(0, "3 passed\n", planted=False)[0] == SOUND
    assert judged(1, FAILURE, planted=False)[0] == ERROR
