"""Count instructions, bytes in flight and traffic in the machine code of the CUDA kernels."""

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from io import BytesIO
from math import ceil, log2
from pathlib import Path

from benchmarks.gpu_sass.cases import CASES, Part, Pass
from benchmarks.gpu_sass.loops import Kernel, Loop, kernels
from dnnkit.errors import BackendUnavailable, DataError
from dnnkit.kernels._cuda import source
from tests.cuda_compile import nvrtc
from tests.cuda_compile.resources import read

BEFORE = "6774765"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Count:
    """Counts per element of one thread; summed over launches, except bytes in flight, which are their minimum."""

    instructions: float
    bytes_asked_for: float
    bytes_in_flight: int
    registers: int
    launches: int


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit status 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_sass", description=__doc__)
    parser.add_argument("--before", default=BEFORE, metavar="COMMIT", help=f"commit to compare with; default: {BEFORE}")
    parser.add_argument("--architecture", default="sm_90", help="default: sm_90")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the counts")
    options = parser.parse_args(arguments)
    now = {case.name: counted(case.after, options.architecture) for case in CASES}
    with kernels_of(options.before):
        before = {case.name: counted(case.before, options.architecture) for case in CASES}
    print("\n".join(table(before, now)))
    if options.json is not None:
        found = {
            "architecture": options.architecture,
            "nvrtc": nvrtc.version(),
            "before": {"commit": options.before} | {name: asdict(count) for name, count in before.items()},
            "now": {name: asdict(count) for name, count in now.items()},
        }
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def table(before: dict[str, Count], now: dict[str, Count]) -> Iterator[str]:
    """Yield the lines of a Markdown table; cells show before → now."""
    heads = "launches", "instructions per element", "bytes in flight per thread", "bytes asked for per element"
    yield f"| kernel | {' | '.join(heads)} | registers |"
    yield f"| --- |{' ---: |' * (len(heads) + 1)}"
    for name, was in before.items():
        pairs = list(zip(asdict(was).values(), asdict(now[name]).values(), strict=True))
        words = [f"{old:.3g} → {new:.3g}" if old < 1000 else f"{old:.0f} → {new:.3g}" for old, new in pairs]
        instructions, asked, flight, registers, launches = words
        yield f"| {name} | {launches} | {instructions} | {flight} | {asked} | {registers} |"


def counted(parts: tuple[Part, ...], architecture: str) -> Count:
    """Count the parts of a case."""
    each = [_counted(part, architecture) for part in parts]
    return Count(
        instructions=round(sum(count.instructions for count in each), 2),
        bytes_asked_for=round(sum(count.bytes_asked_for for count in each), 2),
        bytes_in_flight=min(count.bytes_in_flight for count in each if count.bytes_in_flight or len(each) == 1),
        registers=max(count.registers for count in each),
        launches=len(each),
    )


def _counted(part: Part, architecture: str) -> Count:
    found, registers = compiled(source.Source.of(part.file, "float32", **part.macros), architecture)
    loops = list(found[part.kernel].loops(part.without))
    around = _around(loops, part)
    fitting = [_fitting(loops, each, around) for each in part.passes]
    elements = part.columns / part.threads if part.columns else float(fitting[0][0][1])
    turns = [turn for each in fitting for turn in _turns(each, elements)]
    asked = sum(_asked(each[0][0]) / each[0][1] for each in fitting) + part.tile
    if around is not None:
        turns.append((around, 1.0))
        asked += sum(width * count for name, width, count in around.accesses if name == "LDG" and width < 16) / elements
    if part.columns:
        within = around.blocks if around is not None else fitting[0][0][0].blocks
        exchanges = [loop for loop in loops if loop.blocks < within and any("SHFL" in each for each in loop.opcodes)]
        turns += [(loop, log2(part.threads)) for loop in exchanges]
    return Count(
        sum(loop.instructions * count for loop, count in turns) / elements,
        asked,
        max(loop.in_flight for loop, _ in turns),
        registers[part.kernel],
        1,
    )


def _around(loops: list[Loop], part: Part) -> Loop | None:
    """Return the loop over rows, if the passes are loops inside it: the smallest that contains one for each pass."""
    if not part.columns or part.whole:
        return None
    fits = [
        loop
        for loop in loops
        if all(any(inner.blocks < loop.blocks and _units(inner, each) for inner in loops) for each in part.passes)
    ]
    return min(fits, key=lambda loop: len(loop.blocks))


def _fitting(loops: list[Loop], wanted: Pass, around: Loop | None) -> list[tuple[Loop, int]]:
    """Return the loops that match a pass, with the elements of one iteration of each; the most elements first."""
    found = [
        (loop, _units(loop, wanted) * (wanted.elements or wanted.width // 4))
        for loop in loops
        if _units(loop, wanted) and (around is None or loop.blocks < around.blocks)
    ]
    if not found:
        raise DataError(f"no loop matches {wanted}: the kernel has changed; update cases.py")
    return sorted(found, key=lambda each: -each[1])


def _units(loop: Loop, wanted: Pass) -> int:
    """Return how many times the accesses of the pass one iteration does; 0 if it is another pass."""
    pairs = [
        (loop.count("LDG", wanted.width), wanted.loads),
        (loop.count("STG", wanted.width), wanted.stores),
        (loop.count("LDS", 4), wanted.shared_loads),
        (loop.count("STS", 4), wanted.shared_stores),
    ]
    units = {count // each for count, each in pairs if each}
    other = any(count and not each for count, each in pairs) or any(count % each for count, each in pairs if each)
    has_all = all(any(each in opcode for opcode in loop.opcodes) for each in [wanted.has] if each)
    has_all = has_all and not any(wanted.has_not and wanted.has_not in opcode for opcode in loop.opcodes)
    return units.pop() if len(units) == 1 and has_all and not other else 0


def _turns(fitting: list[tuple[Loop, int]], elements: float) -> Iterator[tuple[Loop, float]]:
    """Yield the iterations for this many elements per thread: of the widest loop, then of others for the rest."""
    left = elements
    for place, (loop, each) in enumerate(fitting):
        last = place == len(fitting) - 1 or fitting[place + 1][1] == each
        turns = ceil(left / each) if last else left // each
        if turns:
            yield loop, turns
        left -= turns * each
        if left <= 0:
            return


def _asked(loop: Loop) -> int:
    return sum(width * count for name, width, count in loop.accesses if name in ("LDG", "STG"))


def compiled(of: source.Source, architecture: str) -> tuple[dict[str, Kernel], dict[str, int]]:
    """Return a source's kernels and the number of registers of each."""
    options = (*of.options(), *nvrtc.CUPY_ADDS, f"-arch={architecture}", "-Xptxas", "-v")
    cubin, log = nvrtc.compile_source(of.text(), of.file, options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([disassembler(), "-c", file.name], capture_output=True, text=True, check=True).stdout
    return kernels(text), {each.kernel: each.registers for each in read(log)}


@cache
def disassembler() -> str:
    """Return the path of nvdisasm, from a toolkit or the pip package."""
    spec = importlib.util.find_spec("nvidia")
    places = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    packaged = (str(each) for place in places for each in place.glob("*/bin/nvdisasm"))
    found = shutil.which("nvdisasm") or next(packaged, "")
    if not found:
        raise BackendUnavailable("nvdisasm, NVIDIA's disassembler, was not found: pip install nvidia-cuda-nvdisasm")
    return found


@contextmanager
def kernels_of(commit: str) -> Iterator[None]:
    """Context manager in which CUDA sources are those of a commit of this checkout."""
    command = [shutil.which("git") or "git", "archive", commit, "kernels"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    now = source.ROOT
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(archive)) as packed:
            packed.extractall(folder, filter="data")
        source.ROOT = Path(folder) / "kernels"
        source._text.cache_clear()
        try:
            yield
        finally:
            source.ROOT = now
            source._text.cache_clear()


if __name__ == "__main__":
    sys.exit(main())
