"""Archive of LLVM bitcode of all built-in kernels, shipped so that a first training does not wait for Numba.

There is one file per dtype and processor level, in a folder next to this file. After a change of a kernel,

    python -m dnnkit.kernels._numba.write_archive

rebuilds them. The archive is used only if it was made from exactly the installed sources: see
`fingerprint.is_archived`.
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
    """Bitcode of a function, the function's symbol in it, and the symbols it needs."""

    symbol: str
    needs: tuple[str, ...]
    content: bytes


@cache
def about() -> dict[str, Any]:
    """Return what the archive was made from.

    Hashes `sources` and `meaning`, the functions' `names`, the system's `triple`, the versions of its `makers` and the
    major version of `llvm`.
    """
    try:
        found: dict[str, Any] = json.loads(ABOUT.read_text())
    except (OSError, ValueError):  # a distribution without the archive
        return {}
    return found


def sources() -> str:
    """Return the hash of the sources the archive was made from."""
    return str(about().get("sources", ""))


def meaning() -> str:
    """Return the hash of the same sources without comments and docstrings."""
    return str(about()["meaning"])


def is_for_here() -> bool:
    """Whether the archive suits this system, processor level and LLVM version.

    LLVM reads bitcode of earlier versions, not of later ones.
    """
    is_readable = about().get("llvm", 0) <= llvmlite.binding.llvm_version_info[0]
    return about().get("triple") == triple() and processor.LEVEL in processor.LEVELS and is_readable


def find(name: str, dtype: str) -> Bitcode | None:
    """Return a function's bitcode for this processor level, or None."""
    return _read(dtype, processor.LEVEL).get(name) if is_for_here() else None


def has(name: str) -> bool:
    """Whether the archive has a function of this name."""
    return name in about().get("names", ())


@cache
def _read(dtype: str, level: str) -> dict[str, Bitcode]:
    """Read a file of the archive, which takes about 20 ms; return its functions by name."""
    try:
        content = lzma.decompress(path(dtype, level).read_bytes())
    except (OSError, lzma.LZMAError):  # missing for that level, or damaged
        return {}
    head, _, rest = content.partition(b"\n")
    found, start = {}, 0
    for name, symbol, needs, size in json.loads(head):
        found[name] = Bitcode(symbol, tuple(needs), rest[start : start + size])
        start += size
    return found


def write(dtype: str, level: str, functions: dict[str, Bitcode]) -> None:
    """Write one file of the archive."""
    head = [[name, code.symbol, code.needs, len(code.content)] for name, code in functions.items()]
    content = json.dumps(head).encode() + b"\n" + b"".join(code.content for code in functions.values())
    FOLDER.mkdir(exist_ok=True)
    path(dtype, level).write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


def path(dtype: str, level: str) -> Path:
    """Return the path of a file of the archive."""
    return FOLDER / f"{dtype}-{level}{SUFFIX}"
