"""What kernels know of the processor they are written for: the level of its instruction set, nothing finer.

So the archive needs few versions of a kernel. LLVM, which knows the very processor, makes the machine code of each.
"""

import platform

import llvmlite.binding

WITH_AVX512 = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
WITH_AVX2 = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")


def _level() -> str:
    """LLVM's name of it; of x86 those of the psABI, https://gitlab.com/x86-psABIs/x86-64-ABI."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return "generic"
    has = llvmlite.binding.get_host_cpu_features()
    if not all(has.get(feature) for feature in WITH_AVX2):
        return "x86-64"
    return "x86-64-v4" if all(has.get(feature) for feature in WITH_AVX512) else "x86-64-v3"


MODELS = {"x86-64-v3": "znver3", "x86-64-v4": "znver4"}
"""A processor of a level that stands for all, where LLVM weighs what is faster: the one that all was measured on."""

LEVELS = "x86-64-v3", "x86-64-v4"
"""Those that the archive has kernels for."""


def assume(level: str) -> None:
    """Write kernels for that level; called before any is imported."""
    global LEVEL, REGISTER_BYTES, FUSED, MANY_REGISTERS
    LEVEL = level
    REGISTER_BYTES = {"x86-64-v4": 64, "x86-64-v3": 32}.get(level, 16)
    FUSED = level != "x86-64"
    MANY_REGISTERS = REGISTER_BYTES != 32


LEVEL: str

REGISTER_BYTES: int
"""Of a vector."""

FUSED: bool
"""Whether there is a fused multiply-add; without, each would be a call of a function."""

MANY_REGISTERS: bool
"""32 of them, with AVX-512 and on ARM; else 16. (With SSE alone there are 16, too, and speed is not the point.)"""

assume(_level())
