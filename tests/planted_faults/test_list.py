"""The list of planted faults fits the code: each can still be planted, and its tests still exist."""

from collections import Counter
from pathlib import Path

import pytest

from tests.planted_faults.__main__ import CAUGHT, ERROR, MISSED, SOUND, judged, misfits, missing_tests
from tests.planted_faults.faults import FAULTS, KINDS, PLACES


def test_every_fault_can_be_planted_and_has_tests() -> None:
    assert misfits(FAULTS) == []


def test_every_fault_changes_one_line_once() -> None:
    for fault in FAULTS:
        assert fault.old != fault.new, fault.name
        assert "\n" not in fault.old + fault.new, fault.name
        assert fault.tests.startswith("tests/"), fault.name


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
    assert misfits([fault], tmp_path)[0] == f"{fault.name}: there is no {fault.file}"
    file = tmp_path / fault.file
    file.parent.mkdir(parents=True)
    for count in (0, 2):
        file.write_text(count * fault.old)
        assert f"occurs {count} times" in misfits([fault], tmp_path)[0]


TESTS = """
def of_a_parameter(): "A docstring of a renamed_test."

@pytest.mark.parametrize("kind", [of_a_parameter, "in_a_string"])
def test_that_is_there(kind): ...
"""


@pytest.mark.parametrize(
    ("expression", "unknown"),
    [
        ("'that_is and numba'", []),
        ("'(of_a_parameter or in_a_string) and not is_there'", []),
        ("values-of_the_package-relu", []),
        ("'renamed_test and of_a_parameter'", ["renamed_test"]),
        ("'a_parameter or the_package'", ["a_parameter", "the_package"]),
    ],
)
def test_a_selection_of_unknown_tests_is_reported(expression: str, unknown: list[str], tmp_path: Path) -> None:
    for file, text in {"tests/test_it.py": TESTS, "dnnkit/it.py": "def of_the_package(): ..."}.items():
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(text)
    found = missing_tests(f"tests/test_it.py -k {expression}", tmp_path)
    assert found == [f"no test or parameter of tests/test_it.py is named {word!r}" for word in unknown]
    assert missing_tests("tests/test_other.py -k numba", tmp_path) == ["there is no tests/test_other.py"]


FAILURE = "FAILED tests/test_it.py::test_one[a-b c] - assert 1 == 2\n1 failed in 0.1s\n"


@pytest.mark.parametrize(
    ("status", "said", "result", "words"),
    [
        (1, FAILURE, CAUGHT, "tests/test_it.py::test_one[a-b c]"),
        (0, "3 passed in 0.1s\n", MISSED, "3 passed in 0.1s"),
        (1, "ERROR tests/test_it.py - SyntaxError\n1 error in 0.1s\n", ERROR, "exit status 1: 1 error in 0.1s"),
        (2, "1 error in 0.1s\n", ERROR, "exit status 2: 1 error in 0.1s"),
        (4, "", ERROR, "exit status 4: no output"),
        (5, "no tests ran\n", ERROR, "exit status 5: no tests ran"),
        (-11, FAILURE, ERROR, "exit status -11: 1 failed in 0.1s"),
        (None, "...", ERROR, "timed out"),
    ],
)
def test_only_a_failing_test_catches_a_fault(status: int | None, said: str, result: str, words: str) -> None:
    assert judged(status, said, planted=True) == (result, words)


def test_without_a_fault_the_tests_must_pass() -> None:
    assert judged(0, "3 passed\n", planted=False)[0] == SOUND
    assert judged(1, FAILURE, planted=False)[0] == ERROR
