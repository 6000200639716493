"""Plausible faults in kernels and backends, each with the tests that have to detect it.

`faults.py` is the list; `python -m tests.planted_faults` plants them one by one in a copy of the checkout and reports
which are caught. That takes half an hour; `test_list.py`, an ordinary test, only checks that the list still fits the
code.
"""
