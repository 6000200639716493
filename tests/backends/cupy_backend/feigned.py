"""Shared libraries under the names of NVIDIA's, with the few answers they need: nothing behind them computes."""

import subprocess
from pathlib import Path

from tests.requirements import gnu_compiler


def library(folder: Path, name: str, major: str, code: str) -> None:
    """Build a shared library of that name and version."""
    folder.mkdir(parents=True, exist_ok=True)
    full = f"{name}.so.{major}"
    script = folder / f"{name}.map"
    script.write_text(f"{full} {{ global: *; }};")
    command = [str(gnu_compiler()), "-shared", "-fPIC", "-xc", "-", "-o", str(folder / full)]
    linker = [f"-Wl,-soname,{full}", f"-Wl,--version-script={script}"]
    subprocess.run([*command, *linker], input=code, text=True, check=True)


DRIVER = """
int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int* version) { *version = 13020; return 0; }
int cuDeviceGetCount(int* count) { *count = 2; return 0; }
int cuDeviceGet(int* device, int number) { *device = 40 + number; return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int device) {
    if (attribute != 75 && attribute != 76) return 1;
    *value = attribute == 76 ? device == 41 ? 3 : 0 : device == 41 ? 10 : 9;
    return 0;
}
"""
"""Two GPUs, of compute capability 9.0 and 10.3; a device handle is not its number."""


LAUNCHES = """
#include <stdio.h>
int cuLaunchKernel(
    void* f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
    void* stream, void** arguments, void** extra
) {
    printf("%ld, (%u, %u, %u), (%u, %u, %u), %u, in %ld: ", (long)f, gx, gy, gz, bx, by, bz, shared, (long)stream);
    printf("%g %lld %#lx\\n", *(float*)arguments[0], *(long long*)arguments[1], *(unsigned long*)arguments[2]);
    fflush(stdout);
    return (long)f == 78 ? 700 : 0;
}
int cuGetErrorName(int error, const char** name) { *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; return 0; }
int cuGetErrorString(int error, const char** text) { *text = "an illegal memory access"; return 0; }
"""
"""Prints the arguments of a launch: three numbers, a float, a long long and an address."""


def driver(folder: Path, code: str = DRIVER) -> None:
    """A driver for the system's loader, if it is pointed to the folder."""
    library(folder, "libcuda", "1", code)
