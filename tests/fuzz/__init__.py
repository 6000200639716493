"""Readers of what strangers may send, each given what a stranger would send: an answer or a `DnnkitError`, and soon.

    python -m pytest tests/fuzz                                  a few seconds of each reader
    python -m tests.fuzz --minutes 30                            all of them, one after the other
    python -m tests.fuzz --minutes 5 --reader state --seed 7     one

`saves`, `data`, `tables`, `formulas` and `commands` have the readers; `mutations` what is done to good files;
`outcomes` what may come of it: an answer, a `DnnkitError` with a message, an exit status of 0 or 2, within 5 s of
computing and 1 GiB.
`corpus` keeps what once went wrong.
"""
