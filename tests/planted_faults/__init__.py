"""Faults that somebody could make in kernels and backends, each with the tests that must notice it.

`faults.py` is the list; `python -m tests.planted_faults` plants them one by one in a copy of the checkout and says
which are caught. That takes half an hour; `test_list.py`, an ordinary test, only sees that the list still fits the
code.
"""
