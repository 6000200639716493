"""The exercises: made from the solutions, right with the right answers, clear about wrong ones."""

import importlib
import re
from functools import cache

import pytest

from tests.notes.notebooks import NAMES, answers_and_mistakes, exercise, maker, marks, skip_without_data, solution

pytestmark = pytest.mark.usefixtures("one_blas_thread")
MISTAKES = {name: importlib.import_module(f"tests.notes.mistakes.{name[2:]}").MISTAKES for name in NAMES}


@cache
def results(name: str) -> dict[tuple[str, str], str]:
    return {(blank, body): printed for blank, body, printed in answers_and_mistakes(name, MISTAKES[name])}


@pytest.mark.parametrize("name", NAMES)
def test_the_exercise_is_the_solution_with_blanks(name):
    made = maker().make_exercise(solution(name))
    assert [cell["source"] for cell in made["cells"]] == [cell["source"] for cell in exercise(name)["cells"]]
    assert not any(cell.get("outputs") for cell in exercise(name)["cells"])
    blanks = maker().answers(exercise(name))
    assert len(blanks) >= 4
    assert all("..." in body for body in blanks.values())


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_are_right(name):
    skip_without_data(name)
    for blank, body in maker().answers(solution(name)).items():
        said = marks(results(name)[blank, body])
        assert said, blank
        assert all(line.startswith("✓") for line in said), (blank, said)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_answer_is_distinguished_from_a_wrong_one(name):
    skip_without_data(name)
    for blank, body in maker().answers(exercise(name)).items():
        assert "not answered yet" in results(name)[blank, body], blank


@pytest.mark.parametrize(
    ("name", "blank", "body", "said"), [(name, *mistake) for name, mistakes in MISTAKES.items() for mistake in mistakes]
)
def test_a_typical_mistake_is_named(name, blank, body, said):
    skip_without_data(name)
    wrong = [line for line in marks(results(name)[blank, body]) if line.startswith("✗")]
    assert any(re.search(said, line) for line in wrong), wrong
