"""Every CUDA source that ships compiles with NVRTC for every architecture, without a warning."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dnnkit.kernels._cuda.source import ROOT, Source, shipped
from tests import processes
from tests.cuda_compile import nvrtc
from tests.cuda_compile.report import named, table
from tests.cuda_compile.resources import (
    ARCHITECTURES,
    OLDEST_AND_NEWEST,
    REPORTED,
    VIRTUAL,
    Resources,
    compile_for,
    read,
)

pytestmark = pytest.mark.cuda_compile
PROJECT = Path(__file__).parents[2]

MANY = 4
"""Variants of a source that differ in few words."""


def compilations() -> Iterator[Any]:
    """Compile every source for the oldest and the newest architecture, but a variant of it for one of the two; other
    pairs are slow tests.

    Kernels do not depend on the architecture, so whatever the ones between reject, one of the two rejects, too. Most of
    many variants become no machine code, alternately of float and of double: they differ in `REAL`.
    """
    count = Counter(source.file for source in shipped())
    number: Counter[str] = Counter()
    for source in shipped():
        pair, second = divmod(number[source.file], 2)
        turn = (pair + second) % 2  # both for float, and both for double
        has_few, is_of_a_fourth = count[source.file] <= MANY, number[source.file] // MANY % 4 == 0
        number[source.file] += 1
        ends = OLDEST_AND_NEWEST if count[source.file] == 1 else (OLDEST_AND_NEWEST[turn],)
        if not has_few and not is_of_a_fourth:
            ends = (OLDEST_AND_NEWEST[pair // 2 % 2].replace("sm_", VIRTUAL),) if turn == 0 else ()
        for name in dict.fromkeys([*ARCHITECTURES, *ends]):
            marks = [] if name in ends else pytest.mark.slow
            yield pytest.param(source, name, id=f"{named(source)}-{name}", marks=marks)


KERNEL = 'extern "C" __global__ void kernel(float* x, int n) {{ {} if (threadIdx.x < n) x[threadIdx.x] = 1; }}'


@pytest.mark.parametrize(("source", "architecture"), [*compilations()])
def test_compiles(
    source: Source, architecture: str, report_compiled: Callable[[Source, list[Resources]], None]
) -> None:
    found = compile_for(source, architecture)
    assert {each.kernel for each in found} == set(source.signatures())
    assert {each.architecture for each in found} == {architecture}
    assert architecture.startswith(VIRTUAL) or all(0 < each.registers <= 255 for each in found)
    report_compiled(source, found)


def test_every_gpu_version_is_in_the_list() -> None:
    """A `gpu.cu` that no launcher names would not be compiled."""
    texts = [source.text() for source in shipped()]
    for file in ROOT.rglob("*.cu"):
        lines = [line for line in file.read_text().splitlines() if line.strip() and "#include" not in line]
        assert any(all(line in text for line in lines) for text in texts), file


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("planted", "message"),
    [
        ("int unused = 3;", "was declared but never referenced"),
        ("return", "expected a"),
        ("y = 1;", '"y" is undefined'),
    ],
)
def test_a_planted_warning_or_error_is_caught(planted: str, message: str, architecture: str) -> None:
    options = ("-std=c++17", f"-arch={architecture}", *REPORTED)
    with pytest.raises(nvrtc.CompileError, match=message):
        nvrtc.compile_source(KERNEL.format(planted), "kernel.cu", options)
    cubin, _ = nvrtc.compile_source(KERNEL.format(""), "kernel.cu", options)
    assert cubin.startswith(b"\x7fELF")


BUILTINS = """
from pathlib import Path
from tests.cuda_compile import nvrtc
nvrtc.version()
there = Path(nvrtc.find()).parent.glob("libnvrtc-builtins.so.*")
loaded = Path("/proc/self/maps").read_text()
assert [file for file in there if str(file.resolve()) in loaded]
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="lists loaded libraries from /proc")
def test_its_builtins_are_loaded_from_beside_it() -> None:
    """Loads it before NVRTC searches for it, which with the pip package of 13.0 it does in the wrong place."""
    found = nvrtc.find()
    if found is None or not list(Path(found).parent.glob("libnvrtc-builtins.so.*")):
        pytest.skip("of an installed toolkit, which the system's loader knows")
    result = processes.run([sys.executable, "-c", BUILTINS], cwd=PROJECT)
    assert result.returncode == 0, result.stderr


def test_registers_spills_and_memory_are_read() -> None:
    """A kernel with shared memory, limited to few registers, so that it has to spill."""
    code = """
    extern "C" __global__ void small(float* x) { __shared__ float part[64]; part[threadIdx.x] = x[threadIdx.x];
        __syncthreads(); x[threadIdx.x] = part[63 - threadIdx.x]; }
    extern "C" __global__ void __launch_bounds__(1024, 2) large(float* x) {
        float v[64];
        #pragma unroll
        for (int i = 0; i < 64; ++i) v[i] = x[i * 1024 + threadIdx.x];
        __syncthreads();
        #pragma unroll
        for (int i = 0; i < 64; ++i) x[i * 1024 + threadIdx.x] = v[i] * v[63 - i];
    }"""
    small, large = sorted(
        read(nvrtc.compile_source(code, "two.cu", ("-arch=sm_90", *REPORTED))[1]),
        key=lambda each: each.shared,
        reverse=True,
    )
    assert (small.kernel, small.architecture, small.shared, small.spilled) == ("small", "sm_90", 256, 0)
    assert large.kernel == "large"
    assert large.registers <= 32
    assert large.spilled > 0
    assert large.stack > 0


def test_the_table_has_the_most_of_the_variants() -> None:
    compiled = {
        f"a.cu REAL={real}": [Resources("kernel", each, registers, 0, 0, 128) for each in ARCHITECTURES]
        for real, registers in [("float", 16), ("double", 40)]
    }
    _, row = table(compiled, variants=False)
    assert row.split() == ["a.cu", "kernel", "40", "40", "40", "40", "0", "0", "128"]
    assert len(list(table(compiled, variants=True))) == 3
