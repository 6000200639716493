"""Processor model that kernels are written for: the level of the instruction set, nothing finer.

The archive therefore needs few versions of a kernel; LLVM compiles each to machine code for the exact processor.
"""

import platform

import llvmlite.binding

WITH_AVX512 = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
WITH_AVX2 = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")


def _level() -> str:
    """Return LLVM's name of the level; on x86 those of the psABI, https://gitlab.com/x86-psABIs/x86-64-ABI."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return "generic"
    has = llvmlite.binding.get_host_cpu_features()
    if not all(has.get(feature) for feature in WITH_AVX2):
        return "x86-64"
    return "x86-64-v4" if all(has.get(feature) for feature in WITH_AVX512) else "x86-64-v3"


MODELS = {"x86-64-v3": "znver3", "x86-64-v4": "znver4"}
"""Processor whose cost model LLVM uses for a level: those that kernels were measured on.

For x86-64-v4 alone LLVM prefers vectors of 32 bytes: tanh in float32 took 0.68 ns per element for 0.37.
"""

LEVELS = "x86-64-v3", "x86-64-v4"
"""Levels for which the archive has kernels."""


def assume(level: str) -> None:
    """Set the level that kernels are written for. Call this before any kernel is imported."""
    global LEVEL, REGISTER_BYTES, FUSED, MANY_REGISTERS
    LEVEL = level
    REGISTER_BYTES = {"x86-64-v4": 64, "x86-64-v3": 32}.get(level, 16)
    FUSED = level != "x86-64"
    MANY_REGISTERS = REGISTER_BYTES != 32


LEVEL: str

REGISTER_BYTES: int
"""Bytes per vector register."""

FUSED: bool
"""Whether the processor has fused multiply-add; without it, each would be a function call."""

MANY_REGISTERS: bool
"""Whether there are 32 vector registers (AVX-512, ARM) rather than 16. (SSE has 16, too, but its speed does not
matter.)
"""

assume(_level())
