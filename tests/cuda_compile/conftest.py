"""At the end of a run: what each kernel takes of a GPU, and how many were compiled and run on the CPU."""

import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from dnnkit.kernels.cuda import Source, modules
from tests.cuda_compile.resources import ARCHITECTURES, Resources, compile_for
from tests.cuda_on_cpu.compiling import kernels_run

COMPILED = pytest.StashKey[dict[str, list[Resources]]]()


@pytest.fixture
def compiled(request: pytest.FixtureRequest) -> dict[str, list[Resources]]:
    """By source and macros, what was compiled in this run."""
    return request.config.stash.setdefault(COMPILED, {})


@pytest.fixture(scope="session")
def compilations(request: pytest.FixtureRequest) -> Iterator[dict[tuple[Source, str], Future[list[Resources]]]]:
    """By source and architecture, what the chosen tests compile: on every processor, ahead of them."""
    pool = ThreadPoolExecutor(os.cpu_count())
    yield {key: pool.submit(compile_for, *key) for key in _chosen(request.session)}
    pool.shutdown(cancel_futures=True)


def _chosen(session: pytest.Session) -> Iterator[tuple[Source, str]]:
    for item in session.items:
        if isinstance(item, pytest.Function) and "compilations" in item.fixturenames:
            source, architecture = (item.callspec.params[name] for name in ("source", "architecture"))
            assert isinstance(source, Source)
            assert isinstance(architecture, str)
            yield source, architecture


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, a row for each kernel (with -v for each variant), and the counts."""
    compiled = config.stash.get(COMPILED, {})
    if not compiled:
        return
    terminalreporter.section("CUDA kernels, compiled; not run on a GPU")
    for line in table(compiled, variants=config.get_verbosity() > 0):
        terminalreporter.write_line(line)
    kernels = {(source, each.kernel) for source, found in compiled.items() for each in found}
    architectures = {each.architecture for found in compiled.values() for each in found}
    shipped = [(source.text(), frozenset(source.macros), name) for source in modules() for name in source.signatures()]
    run = sum(each in kernels_run for each in shipped)
    terminalreporter.write_line(
        f"kernels compiled: {len(kernels)} × {len(architectures)} architectures; "
        f"kernels run on the CPU: {run} of {len(shipped)}"
    )


def table(compiled: dict[str, list[Resources]], variants: bool) -> Iterator[str]:
    """Registers a thread by architecture, the most of a kernel's variants; bytes spilled; shared bytes a block."""
    rows: dict[str, list[Resources]] = defaultdict(list)
    for source, kernels in compiled.items():
        for each in kernels:
            rows[f"{source if variants else source.split()[0]} {each.kernel}"].append(each)
    yield f"{'registers of':{max(map(len, rows), default=0)}}" + "".join(
        f"{head:>9}" for head in (*ARCHITECTURES, "spilled", "stack", "shared")
    )
    for name, found in sorted(rows.items()):
        registers = [
            max((each.registers for each in found if each.architecture == wanted), default=0)
            for wanted in ARCHITECTURES
        ]
        rest = [max(getattr(each, column) for each in found) for column in ("spilled", "stack", "shared")]
        yield f"{name:{max(map(len, rows))}}" + "".join(f"{number:9}" for number in (*registers, *rest))
