"""The table at the end of a run: resources of each kernel on a GPU, and how many were compiled and run on the CPU.

Tests may run in several processes. Only the tests' reports travel from them to the process that prints, so the data of
the table travel in the reports, as properties.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import astuple
from functools import cache
from typing import Any

import pytest

from dnnkit.kernels._cuda.source import Source, shipped
from tests.cuda_compile.resources import ARCHITECTURES, VIRTUAL, Resources
from tests.cuda_on_cpu.compiling import kernels_run

COMPILED, RUN = "CUDA kernels compiled", "CUDA kernels run on the CPU"

_reported: set[Any] = set()
"""Members of `kernels_run` that a report of this process already has."""


def named(source: Source) -> str:
    """The file and its macros."""
    return " ".join([source.file, *(f"{name}={value}" for name, value in source.macros)])


@cache
def kernels_shipped() -> dict[Any, str]:
    """Return every kernel that ships, in the form of `kernels_run`, with its name."""
    return {
        (source.text(), frozenset(source.macros), name): f"{named(source)} {name}"
        for source in shipped()
        for name in source.signatures()
    }


@pytest.fixture
def report_compiled(record_property: Callable[[str, object], None]) -> Callable[[Source, list[Resources]], None]:
    """Call this with the resources of a source's kernels."""
    return lambda source, found: record_property(COMPILED, (named(source), [astuple(each) for each in found]))


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """The first test after which a kernel has run reports it."""
    if new := kernels_run - _reported:
        _reported.update(new)
        item.user_properties.append((RUN, [kernels_shipped()[each] for each in new if each in kernels_shipped()]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, a row per kernel (with -v per variant), and the counts."""
    reports = [each for found in terminalreporter.stats.values() for each in found]
    properties = [each for report in reports for each in getattr(report, "user_properties", ())]
    compiled: dict[str, set[Resources]] = defaultdict(set)
    for source, found in (value for name, value in properties if name == COMPILED):
        compiled[source].update(Resources(*each) for each in found)
    if not compiled:
        return
    terminalreporter.section("CUDA kernels, compiled; not run on a GPU")
    for line in table(compiled, variants=config.get_verbosity() > 0):
        terminalreporter.write_line(line)
    kernels = {(source, each.kernel) for source, found in compiled.items() for each in found}
    architectures = {each.architecture.replace(VIRTUAL, "sm_") for found in compiled.values() for each in found}
    run = {kernel for name, value in properties if name == RUN for kernel in value}
    terminalreporter.write_line(
        f"kernels compiled: {len(kernels)} × {len(architectures)} architectures; "
        f"kernels run on the CPU: {len(run)} of {len(kernels_shipped())}"
    )


def table(compiled: Mapping[str, Collection[Resources]], variants: bool) -> Iterator[str]:
    """Yield rows: registers per thread by architecture, the maximum over the variants; bytes spilled; shared bytes
    per block."""
    rows: dict[str, list[Resources]] = defaultdict(list)
    for source, kernels in compiled.items():
        for each in kernels:
            rows[f"{source if variants else source.split()[0]} {each.kernel}"].append(each)
    present = {each.architecture for found in rows.values() for each in found}
    architectures = [name for name in ARCHITECTURES if name in present]
    yield f"{'registers of':{max(map(len, rows), default=0)}}" + "".join(
        f"{head:>9}" for head in (*architectures, "spilled", "stack", "shared")
    )
    for name, found in sorted(rows.items()):
        registers = [
            max((each.registers for each in found if each.architecture == wanted), default="-")
            for wanted in architectures
        ]
        rest = [max(getattr(each, column) for each in found) for column in ("spilled", "stack", "shared")]
        yield f"{name:{max(map(len, rows))}}" + "".join(f"{number:>9}" for number in (*registers, *rest))
