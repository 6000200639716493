"""The table at the end of a run is complete, however many processes ran the tests."""

import re
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.cuda_compile.report import kernels_shipped

ROOT = Path(__file__).parents[2]
TESTS = [
    "tests/cuda_compile/test_compile.py::test_compiles",
    "tests/kernels/gather/test_gpu.py::test_row_numbers_of_other_dtypes_are_converted",
]
FEW = "clip_norm or row_numbers"
"""Enough for both processes to compile some."""


@pytest.mark.slow
@pytest.mark.cuda_compile
@pytest.mark.cuda_on_cpu
def test_the_table_from_two_processes_is_that_from_one() -> None:
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", FEW, *TESTS]
    one, two = (
        processes.run([*command, *options], cwd=ROOT).stdout for options in ([], ["--numprocesses=2", "--dist=load"])
    )
    assert set(re.findall(r"\[(gw\d)\].* PASSED .*::test_compiles", two)) == {"gw0", "gw1"}, two
    tables = [re.search(r"^registers of.*^kernels compiled: .*?$", text, re.M | re.S) for text in (one, two)]
    assert tables[0] is not None, one
    assert tables[1] is not None, two
    assert tables[0][0] == tables[1][0]
    assert tables[0][0].endswith(f"run on the CPU: 1 of {len(kernels_shipped())}")
