"""The archive: LLVM bitcode of all kernels of ours, made when they are changed, so that nobody's first training waits.

A file for each dtype and level of processors, in a folder beside this file:

    python -m dnnkit.kernels._numba.write_archive

makes it anew. It is read only if it was made from the very sources that lie beside it: see `fingerprint.is_archived`.
"""

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding

from dnnkit.kernels._target import processor
from dnnkit.kernels._target.llvm import triple

FOLDER = Path(__file__).parent / "archive"
ABOUT, SUFFIX = FOLDER / "about.json", ".xz"


class Bitcode(NamedTuple):
    """A function as LLVM bitcode, the function's symbol in it, and what it calls that must be known."""

    symbol: str
    needs: tuple[str, ...]
    content: bytes


@cache
def about() -> dict[str, Any]:
    """What the archive was made from: `sources` and `meaning` are hashes; `names` of functions; `triple` of the system
    that it is for; by which `makers`, and by which major version of `llvm`."""
    try:
        found: dict[str, Any] = json.loads(ABOUT.read_text())
    except (OSError, ValueError):  # somebody did without it
        return {}
    return found


def sources() -> str:
    """A hash of the sources that it was made from."""
    return str(about().get("sources", ""))


def meaning() -> str:
    """The same without comments and docstrings."""
    return str(about()["meaning"])


def is_for_here() -> bool:
    """Whether it has kernels for this system, and this level of processors, and LLVM is not older than who made it.

    LLVM reads the bitcode of earlier versions, not of later ones.
    """
    is_readable = about().get("llvm", 0) <= llvmlite.binding.llvm_version_info[0]
    return about().get("triple") == triple() and processor.LEVEL in processor.LEVELS and is_readable


def find(name: str, dtype: str) -> Bitcode | None:
    """A function's bitcode for this level of processors; None if it is not there."""
    return _read(dtype, processor.LEVEL).get(name) if is_for_here() else None


def has(name: str) -> bool:
    """Whether it has a function of that name."""
    return name in about().get("names", ())


@cache
def _read(dtype: str, level: str) -> dict[str, Bitcode]:
    """By name; it takes some 20 ms."""
    try:
        content = lzma.decompress(path(dtype, level).read_bytes())
    except (OSError, lzma.LZMAError):  # there is none for that level, or no whole one
        return {}
    head, _, rest = content.partition(b"\n")
    found, start = {}, 0
    for name, symbol, needs, size in json.loads(head):
        found[name] = Bitcode(symbol, tuple(needs), rest[start : start + size])
        start += size
    return found


def write(dtype: str, level: str, functions: dict[str, Bitcode]) -> None:
    """Make one of its files."""
    head = [[name, code.symbol, code.needs, len(code.content)] for name, code in functions.items()]
    content = json.dumps(head).encode() + b"\n" + b"".join(code.content for code in functions.values())
    FOLDER.mkdir(exist_ok=True)
    path(dtype, level).write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


def path(dtype: str, level: str) -> Path:
    """Where that file is."""
    return FOLDER / f"{dtype}-{level}{SUFFIX}"
