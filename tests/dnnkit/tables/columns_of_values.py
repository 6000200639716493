"""Tables as hypothesis draws them: dictionaries of columns, lists of Python values and None."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

FIRST, LAST = date(1700, 1, 2), date(2200, 1, 1)
MOMENTS = st.datetimes(datetime.combine(FIRST, datetime.min.time()), datetime.combine(LAST, datetime.min.time()))
LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "numbers": st.floats(allow_nan=False, allow_infinity=False),
    "small numbers": st.integers(-9, 9).map(float) | st.floats(-9, 9),
    "whole numbers": st.integers(-(2**60), 2**60),
    "booleans": st.booleans(),
    "text": st.sampled_from(["a", "b", "", "ü", "two words", "2026-01-31"]) | st.text(LETTERS, max_size=3),
    "moments": MOMENTS,
    "moments in UTC": MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC)),
    "days": st.dates(FIRST, LAST),
    "days as text": st.dates(FIRST, LAST).map(str),
    "durations": st.timedeltas(timedelta(-99), timedelta(99)),
    "times of day": st.times(),
}


def columns(rows: int) -> st.SearchStrategy[list[Any]]:
    """Draw columns with this number of rows, each with values of one kind."""
    return st.sampled_from(sorted(VALUES)).flatmap(
        lambda kind: st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows)
    )


TABLES = st.integers(1, 12).flatmap(
    lambda rows: st.dictionaries(st.sampled_from("abcd"), columns(rows), min_size=1, max_size=4)
)
