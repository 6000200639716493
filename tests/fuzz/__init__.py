"""Fuzzers of everything that reads untrusted input: it has to give an answer or a `DnnkitError`, within limits.

    python -m pytest tests/fuzz                                  a few seconds of each reader
    python -m tests.fuzz --minutes 30                            all of them, one after the other
    python -m tests.fuzz --minutes 5 --reader state --seed 7     one

`saves`, `data`, `tables`, `formulas` and `commands` have the readers; `mutations` the changes of good files; `outcomes`
the allowed results: an answer, a `DnnkitError` with a message, an exit status of 0 or 2, within 5 s of computing and
1 GiB. `corpus` keeps cases that once failed.
"""
