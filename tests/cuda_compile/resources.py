"""The resources of each kernel on a GPU as ptxas reports them: registers, spills, local and shared memory; cached by
content."""

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from dnnkit.kernels._cuda.source import Source
from tests.cuda_compile import nvrtc

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100")
OLDEST_AND_NEWEST = (ARCHITECTURES[0], ARCHITECTURES[-1])
REPORTED = ("-Xptxas", "-v")

VIRTUAL = "compute_"
"""Prefix of architectures for which a source becomes PTX: that finds everything that NVRTC itself rejects or warns
about, without ptxas, which takes as long again."""

KERNEL = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
ENTRY = re.compile(r"\.entry (\w+)")
NUMBERS = {
    "stack": re.compile(r"(\d+) bytes stack frame"),
    "spilled": re.compile(r"(\d+) bytes spill stores"),
    "registers": re.compile(r"Used (\d+) registers"),
    "shared": re.compile(r"(\d+) bytes smem"),
}


@dataclass(frozen=True)
class Resources:
    """Resources of one kernel on one architecture, in bytes per thread; of shared memory in bytes per block."""

    kernel: str
    architecture: str
    registers: int
    spilled: int
    stack: int
    shared: int


def compile_for(source: Source, architecture: str) -> list[Resources]:
    """Return the resources of each of the source's kernels; warnings are errors. A source that compiled once is not
    compiled again.

    For a virtual architecture the resources are unknown.
    """
    is_virtual = architecture.startswith(VIRTUAL)
    reported = () if is_virtual else REPORTED
    code, options = source.text(), (*source.options(), *nvrtc.CUPY_ADDS, f"-arch={architecture}", *reported)
    kept = _kept("\0".join([nvrtc.version(), code, *options]))
    if kept.exists():
        return [Resources(**each) for each in json.loads(kept.read_text())]
    made, log = nvrtc.compile_source(code, source.file, options, "PTX" if is_virtual else "CUBIN")
    if is_virtual:
        found = [Resources(name, architecture, 0, 0, 0, 0) for name in ENTRY.findall(made.decode())]
    elif made.startswith(b"\x7fELF"):
        found = read(log)
    else:
        raise nvrtc.CompileError(log)
    temporary = kept.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps([asdict(each) for each in found]))
    temporary.replace(kept)
    return found


def read(log: str) -> list[Resources]:
    """Parse the kernels of ptxas's report."""
    parts = KERNEL.split(log)[1:]
    return [
        Resources(kernel, architecture, **{name: _number(pattern, text) for name, pattern in NUMBERS.items()})
        for kernel, architecture, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


def _number(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.search(text)
    return int(match[1]) if match else 0


def _kept(content: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "dnnkit" / "cuda_compile"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
