"""Compile a CUDA source with g++ and run its kernels on the CPU, called like CuPy's.

`compile_for_cpu(text, macros).get_function(name)(grid, block, arguments, shared_mem=…)`: arguments are NumPy arrays and
NumPy scalars of exactly the kernel's types. Every fault that the machine finds (see `include/cuda_on_cpu.h`, and the
beginning of each of `PARTS`) is a `KernelError` that names kernel, block and thread. With `sanitize` every access is
checked before it happens; without it kernels run faster, and a wild access may end the process.
"""

import ctypes
import hashlib
import math
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from dnnkit.kernels._cuda.source import signatures
from tests.cuda_on_cpu.arguments import Argument, Region, given
from tests.requirements import gnu_compiler

FOLDER = Path(__file__).resolve().parent
PARTS = ("machine.cpp", "waiting.cpp", "between_blocks.cpp", "memory.cpp", "shared_memory.cpp")
COMPILER = gnu_compiler()
COMMON = ["-std=c++20", "-fPIC", f"-I{FOLDER / 'include'}"]
# No fused multiply-adds: x86-64 processors differ in them. Aliasing as with nvcc: a float* read as float4*. Local
# arrays have to fit the machine's stacks of 64 KiB.
KERNEL_FLAGS = [
    *COMMON,
    *("-fno-strict-aliasing", "-ffp-contract=off", "-fno-math-errno"),
    *("-Wno-unknown-pragmas", "-Werror=frame-larger-than=32768"),
]
MACHINE_FLAGS = [*COMMON, "-O2"]
FAST = ["-O0"]
"""Most kernels run once or twice, in less time than g++ takes to optimize them."""
CHECKED = [
    *FAST,
    "-fsanitize=kernel-address",
    *("--param", "asan-instrumentation-with-call-threshold=0", "--param", "asan-stack=0", "--param", "asan-globals=0"),
    "-fsanitize=bounds-strict,signed-integer-overflow,integer-divide-by-zero,shift",
]
LINKER = ["-fuse-ld=gold"] if shutil.which("ld.gold") else []
"""It links in half the time; otherwise linking is a quarter of the work."""
LIBRARY, OBJECT, HEADER = ".so", ".o", ".gch"
MAKES = {LIBRARY: ["-shared", "-Wl,-Bsymbolic", *LINKER], OBJECT: ["-c"], HEADER: ["-x", "c++-header"]}
"""Products of the compiler by suffix, with the options that make them."""

MONTH = 30 * 24 * 3600

ORDERS = {"forwards": 0, "backwards": 1, "shuffled": 20261122, "ahead": -1}
"""The order in which blocks, and threads between two barriers, run: no result may depend on it.

Blocks that are alive together take turns; with "ahead", a block runs until it has to wait for another.
"""

KIB = 1 << 10
SHARED_BYTES, MOST_SHARED_BYTES = 48 * KIB, 227 * KIB
"""Default and maximal shared memory of a block (compute capability 9.0)."""

PORTABLE_CLUSTER, MOST_CLUSTER = 8, 16
"""Blocks per cluster: what every GPU with clusters accepts, and what can be requested."""

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)
SHARED = re.compile(r"(\bextern\s+)?\b__shared__\s+([^;]+);")
DECLARATOR = re.compile(r"(.*[\w*>)]\s+|.*[*>])(\w+)\s*((?:\[[^;]*\])*)\s*", re.DOTALL)
KERNEL = re.compile(r"\bvoid\s+((?:__\w+__\s*\([^()]*\)\s*)+)(\w+)\s*\(")
BOUND = re.compile(r"__launch_bounds__\s*\(([^(),]+)")
CLUSTER = re.compile(r"__cluster_dims__\s*\(([^()]+)\)")

kernels_run: set[tuple[str, frozenset[tuple[str, str]], str]] = set()
"""(source, macros, name) of every kernel that ran in this process."""

_order = ["shuffled"]
_lock = threading.Lock()


class KernelError(RuntimeError):
    """A kernel did something invalid, or was asked to."""


@contextmanager
def order(name: str) -> Iterator[None]:
    """Run kernels in that one of `ORDERS` inside the `with`; shuffled otherwise."""
    before, _order[0] = _order[0], name
    try:
        yield
    finally:
        _order[0] = before


class Launch(ctypes.Structure):
    """As in `machine_state.h`."""

    _fields_ = (
        ("kernel", ctypes.c_char_p),
        ("call", ctypes.c_void_p),
        ("arguments", ctypes.POINTER(ctypes.c_void_p)),
        ("regions", ctypes.POINTER(Region)),
        ("region_count", ctypes.c_int),
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("cluster", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_size_t),
        ("shared_limit", ctypes.c_size_t),
        ("order", ctypes.c_int),
        ("cooperative", ctypes.c_int),
        ("flushes", ctypes.c_int),
    )


class Function:
    """One kernel, called like `cupy.RawKernel`. Attributes beyond the defaults have to be requested, as in CUDA."""

    def __init__(self, module: "Module", name: str):
        library = module.library
        self.module, self.name = module, name
        self._names = [parameter for _, parameter in module.signatures[name]]
        self._call = ctypes.cast(getattr(library, f"cuda_on_cpu_call_{name}"), ctypes.c_void_p)
        self._bound = getattr(library, f"cuda_on_cpu_bound_{name}")()
        self._cluster = tuple((ctypes.c_uint * 3).in_dll(library, f"cuda_on_cpu_cluster_{name}"))
        self.max_dynamic_shared_size_bytes = SHARED_BYTES
        self.non_portable_cluster_size_allowed = False
        parameters = getattr(library, f"cuda_on_cpu_parameters_{name}")
        parameters.restype = ctypes.c_char_p
        self.parameters = tuple(parameters().decode().split())
        """Descriptions of the parameters, such as i4, *f4, *cu1."""
        assert len(self.parameters) == len(self._names), f"{name}: the parser and g++ count its parameters differently"

    def __call__(self, grid: Sequence[int], block: Sequence[int], args: Sequence[Any], *, shared_mem: int = 0) -> None:
        """Run the kernel on all threads of the grid; arrays are written in place."""
        sizes = self._sizes(grid, block)
        limit = self._shared_limit(shared_mem)
        if len(args) != len(self._names):
            raise KernelError(f"{self.name} takes {len(self._names)} arguments {self._names}, was given {len(args)}")
        arguments = [Argument(self.name, *each) for each in zip(self._names, self.parameters, args, strict=True)]
        with _lock, given(arguments, apart=self.module.sanitize) as (pointers, regions):
            launch = Launch(
                self.name.encode(),
                self._call,
                pointers,
                regions,
                len(regions),
                (ctypes.c_uint * 3)(*sizes[:3]),
                (ctypes.c_uint * 3)(*sizes[3:]),
                (ctypes.c_uint * 3)(*self._cluster),
                shared_mem,
                limit,
                ORDERS[_order[0]],
                self.module.cooperative,
                self.module.flushes,
            )
            failure = self.module.library.cuda_on_cpu_launch(ctypes.byref(launch))
        if failure:
            raise KernelError(failure.decode())
        kernels_run.add((*self.module.source, self.name))

    def _sizes(self, grid: Sequence[int], block: Sequence[int]) -> list[int]:
        """Check three sizes of the grid, three of the block; what CUDA rejects is rejected."""
        sizes = [*grid, *[1] * (3 - len(grid)), *block, *[1] * (3 - len(block))]
        limits = [2**31 - 1, 65535, 65535, 1024, 1024, 64]
        if len(sizes) != 6 or not all(1 <= size <= limit for size, limit in zip(sizes, limits, strict=True)):
            raise KernelError(f"{self.name}: invalid configuration, grid {tuple(grid)}, block {tuple(block)}")
        threads = sizes[3] * sizes[4] * sizes[5]
        if threads > self._bound:
            raise KernelError(f"{self.name}: {threads} threads per block, at most {self._bound}")
        if any(size % blocks for size, blocks in zip(sizes[:3], self._cluster, strict=True)):
            raise KernelError(f"{self.name}: a grid {tuple(grid)} of clusters of {self._cluster} blocks")
        most = MOST_CLUSTER if self.non_portable_cluster_size_allowed else PORTABLE_CLUSTER
        if math.prod(self._cluster) > most:
            raise KernelError(f"{self.name}: clusters of {math.prod(self._cluster)} blocks, at most {most}")
        return sizes

    def _shared_limit(self, dynamic: int) -> int:
        """Check a block's shared memory, static and dynamic; more than was requested is rejected."""
        asked = self.max_dynamic_shared_size_bytes
        if not dynamic <= asked <= MOST_SHARED_BYTES:
            raise KernelError(f"{self.name}: {dynamic} bytes of dynamic shared memory, asked for {asked} at most")
        return SHARED_BYTES if dynamic <= SHARED_BYTES and asked <= SHARED_BYTES else MOST_SHARED_BYTES


class Module:
    """A compiled source; stands in for `cupy.RawModule`."""

    def __init__(
        self,
        library: Path,
        code: str,
        macros: Mapping[str, str],
        sanitize: bool = False,
        cooperative: bool = False,
        flushes: bool = False,
    ):
        self.library = ctypes.CDLL(str(library))
        self.library.cuda_on_cpu_launch.restype = ctypes.c_char_p
        self.signatures = signatures(code, macros)
        self.source = code, frozenset(macros.items())
        self.sanitize, self.cooperative, self.flushes = sanitize, cooperative, flushes
        self._functions: dict[str, Function] = {}

    def get_function(self, name: str) -> Function:
        """Return the kernel of that name."""
        if name not in self.signatures:
            raise KernelError(f"no kernel {name} in this module, which has {sorted(self.signatures)}")
        if name not in self._functions:
            self._functions[name] = Function(self, name)
        return self._functions[name]


def compile_for_cpu(
    code: str,
    macros: Mapping[str, str] | None = None,
    sanitize: bool = False,
    cooperative: bool = False,
    flushes: bool = False,
) -> Module:
    """Compile a self-contained CUDA source, cached on disk by content.

    `cooperative` launches may synchronize the grid; with `flushes`, denormals are zero, in double as in float.
    """
    macros = dict(macros or {})
    defines = [f"-D{name}={value}" for name, value in macros.items()]
    flags = [*KERNEL_FLAGS, *(CHECKED if sanitize else FAST)]
    parts = [_header(*flags), *(machine_part(file) for file in PARTS)]
    library = _built(_translated(code, list(signatures(code, macros))), [*flags, *defines], parts)
    return Module(library, code, macros, sanitize, cooperative, flushes)


@cache
def cache_folder() -> Path:
    """Return the cache of compiled kernels: `cuda_on_cpu` in dnnkit's cache folder; entries unused for a month are
    removed."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "dnnkit" / "cuda_on_cpu"
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.is_file() and file.stat().st_mtime < time.time() - MONTH:
            file.unlink(missing_ok=True)
    return folder


@cache
def _headers() -> str:
    files = [*sorted((FOLDER / "include").iterdir()), *sorted(FOLDER.glob("*.h"))]
    return "".join(file.read_text() for file in files) + subprocess.check_output(
        [str(COMPILER), "--version"], text=True
    )


@cache
def machine_part(file: str) -> Path:
    """A part of the machine, as an object file."""
    return _built((FOLDER / file).read_text(), [*MACHINE_FLAGS, f"-I{FOLDER}"], [], OBJECT)


@cache
def _header(*flags: str) -> Path:
    """The header precompiled by g++ with these flags: parsing takes longer than compiling most kernels."""
    return _built('#include "cuda_on_cpu.h"\n', list(flags), [], HEADER)


def _built(code: str, flags: list[str], parts: list[Path], kind: str = LIBRARY) -> Path:
    """Run g++ on the code; make an object, a precompiled header, or a library of it and such parts."""
    if COMPILER is None:
        raise KernelError("running CUDA kernels on the CPU needs g++")
    content = "\0".join([code, _headers(), *flags, *(part.name for part in parts)])
    built = cache_folder() / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}{kind}"
    if built.exists():
        built.touch()
    else:
        with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            source, target = Path(folder, "source.cpp"), Path(folder, "built")
            source.write_text(code)
            objects = [str(part) for part in parts if part.suffix == OBJECT]
            headers = [f"-include{part.with_suffix('')}" for part in parts if part.suffix == HEADER]
            command = [COMPILER, *flags, *headers, *MAKES[kind], str(source), *objects, "-o", str(target)]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode != 0:
                raise KernelError(f"g++ cannot compile it:\n{result.stderr}")
            target.replace(built)
    return built


def _translated(code: str, kernels: list[str]) -> str:
    """Return the code with its shared memory in the machine, and a function to call each kernel."""
    plain = COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]) if match[0][0] == "/" else match[0], code)
    said = {match[2]: match[1] for match in KERNEL.finditer(plain)}
    entries = "".join(_entry(name, said.get(name, "")) for name in kernels)
    return f'#include "cuda_on_cpu.h"\n#line 1 "kernel.cu"\n{SHARED.sub(_shared, plain)}\n#include "entry.h"\n{entries}'


def _entry(name: str, said: str) -> str:
    """Return a function to call the kernel; its launch bounds and clusters are parsed from the text before its name."""
    bound, cluster = BOUND.search(said), CLUSTER.search(said)
    sizes = [*(cluster[1].split(",") if cluster else []), "1", "1", "1"][:3]
    return f"CUDA_ON_CPU_KERNEL({name}, {bound[1] if bound else 1024}, {', '.join(sizes)})\n"


def _shared(match: re.Match[str]) -> str:
    """Rewrite a declaration of shared memory as a reference (for `extern` a pointer) into the block's."""
    extern, declaration = match.groups()
    if (parts := DECLARATOR.fullmatch(declaration)) is None or "," in re.sub(r"<[^<>]*>|\[[^\[\]]*\]", "", declaration):
        raise KernelError(f"write one plain declaration for each shared array, not: {match[0]}")
    kind, name, sizes = parts.groups()
    lines = "\n" * match[0].count("\n")
    alignment = re.search(r"(?:__align__|alignas)\s*\(([^()]*)\)", kind)
    kind = re.sub(r"(?:__align__|alignas)\s*\([^()]*\)", "", kind)
    aligned = f"alignof(cuda_on_cpu_{name})" + (
        f" > {alignment[1]} ? alignof(cuda_on_cpu_{name}) : {alignment[1]}" if alignment else ""
    )
    grain = f"cuda_on_cpu::grain<cuda_on_cpu_{name}>()"
    if extern:
        return (
            f"typedef {kind} cuda_on_cpu_{name}; cuda_on_cpu_{name}* const {name} = static_cast<cuda_on_cpu_{name}*>("
            f'cuda_on_cpu::dynamic_shared_array({aligned}, {grain}, "{name}"));{lines}'
        )
    return (
        f"typedef {kind} cuda_on_cpu_{name}{sizes}; static const char cuda_on_cpu_key_{name} = 0; "
        f"cuda_on_cpu_{name}& {name} = *static_cast<cuda_on_cpu_{name}*>(cuda_on_cpu::shared_array("
        f'&cuda_on_cpu_key_{name}, sizeof(cuda_on_cpu_{name}), {aligned}, {grain}, "{name}"));{lines}'
    )
