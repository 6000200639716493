"""What decides what a kernel compiles to, as one hash: it names the folder in which compiled kernels are kept."""

import ast
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np

ROOT = Path(__file__).parents[1]
NOT_COMPILED = {"gpu.py", "_reference", "_cuda", "__pycache__"}
"""Files and folders that no compiled function reads: editing them keeps what is compiled. A `reference.py` is read: it
holds constants that its `cpu.py` takes from it."""

SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "CPU_NAME", "CPU_FEATURES")
"""Of Numba's, those that change what it makes."""


def fingerprint(root: Path = ROOT) -> str:
    """A hash of sources that Numba may read, without comments and docstrings, and of who compiles them for what.

    Parsing all sources takes a fifth of a second, so a process computes this only where nobody has: see `quick`.
    """
    return _hash((name, _meaning(source)) for name, source in _sources(root))


def quick(root: Path = ROOT) -> str:
    """The same of the sources as they are, in some milliseconds: the same hash, the same fingerprint."""
    return _hash(_sources(root))


def _hash(sources: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in sources:
        digest.update(b"%s\0%d\0%s" % (name.encode(), len(content), content))
    for part in _compiler():
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:16]


def _compiler() -> Iterator[str]:
    yield f"{sys.implementation.cache_tag} {numba.__version__} {llvmlite.__version__} {np.__version__}"
    yield from (f"{name}={getattr(numba.config, name, None)}" for name in SETTINGS)
    yield llvmlite.binding.get_host_cpu_name()
    yield llvmlite.binding.get_host_cpu_features().flatten()


def _sources(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(_files(str(root))):
        with open(path, "rb", buffering=0) as file:
            yield os.path.relpath(path, root), file.read()


def _files(folder: str) -> Iterator[str]:
    """By the system's calls: `Path.rglob` takes longer than all the rest."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in NOT_COMPILED:
                continue
            if entry.name.endswith(".py"):
                yield entry.path
            elif entry.is_dir():
                yield from _files(entry.path)


def _meaning(source: bytes) -> bytes:
    """The program without what stands in it for people, and without places."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for body in (getattr(node, "body", None), getattr(node, "orelse", None)):
            if isinstance(body, list):
                body[:] = [statement for statement in body if not _is_text(statement)]
    return ast.dump(tree).encode()


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
