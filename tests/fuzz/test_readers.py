"""A few seconds of every reader; `python -m tests.fuzz` runs for as long as requested."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.outcomes import is_allowed, outcome_of
from tests.fuzz.reader import Reader
from tests.fuzz.readers import READERS


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_an_answer_or_a_clear_error(reader: Reader, tmp_path: Path) -> None:
    # The same cases every time: a change elsewhere should not be the one to find a new fault here.
    @settings(max_examples=reader.few, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(reader.cases)
    def try_one(case: object) -> None:
        outcome = outcome_of(lambda: reader.read(case, tmp_path))
        assert is_allowed(outcome), outcome

    reader.prepare()
    try_one()
