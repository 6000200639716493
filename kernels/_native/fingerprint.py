"""Hash of everything that determines the machine code of kernels; it names the cache folder."""

import ast
import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from dnnkit.installed import version
from dnnkit.kernels._native import archive, machine_code

ROOT = Path(__file__).parents[1]
NOT_COMPILED = {"gpu.py", "write_archive.py", "_reference", "_cuda", "_native", "__pycache__"}
"""Files and folders that compiled code does not depend on, so editing them invalidates nothing. A `reference.py` is not
among them: its `cpu.py` takes constants from it.
"""

SETTINGS = ("NUMBA_BOUNDSCHECK", "NUMBA_DEBUGINFO")
"""Environment variables, used for debugging, that change what Numba compiles."""


@cache
def fingerprint() -> str:
    """Return a hash of the kernels' code, the compilers' versions and the target."""
    meaning = archive.meaning() if is_archived() else meaning_of(ROOT)
    ours = meaning_of_source(Path(machine_code.__file__).read_bytes())
    makers = [f"Numba {version('numba')}", machine_code.target(), *(os.environ.get(name, "") for name in SETTINGS)]
    return _hash([meaning.encode(), ours, "\n".join(makers).encode()])[:16]


@cache
def is_archived() -> bool:
    """Whether the archive was made from these sources and matches what Numba would compile now."""
    return archive.sources() == sources_of(ROOT) and not any(os.environ.get(name) for name in SETTINGS)


def sources_of(root: Path) -> str:
    """Return a hash of the sources that compiled code may depend on."""
    return _hash(part for name, content in _sources(root) for part in (name.encode(), content))


def meaning_of(root: Path) -> str:
    """Return a hash of the same sources without comments and docstrings; parsing takes a fifth of a second."""
    return _hash(part for name, content in _sources(root) for part in (name.encode(), meaning_of_source(content)))


def meaning_of_source(source: bytes) -> bytes:
    """Return the program without comments, docstrings and line numbers."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for body in (getattr(node, "body", None), getattr(node, "orelse", None)):
            if isinstance(body, list):
                body[:] = [statement for statement in body if not _is_text(statement)]
    return _text_of(tree).encode()


def _text_of(node: object) -> str:
    """Return a syntax tree as text that is the same in all versions of Python.

    `ast.dump` is not: Python 3.12 added a field `type_params`, and 3.13 omits empty fields.
    """
    if isinstance(node, list):
        return f"[{', '.join(map(_text_of, node))}]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    is_value = isinstance(node, ast.Constant | ast.MatchSingleton)  # None is a value there
    fields = [(name, value) for name, value in ast.iter_fields(node) if is_value or value not in (None, [])]
    return f"{type(node).__name__}({', '.join(f'{name}={_text_of(value)}' for name, value in fields)})"


def _hash(parts: "Iterator[bytes] | list[bytes]") -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d\0%s" % (len(part), part))
    return digest.hexdigest()


def _sources(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(_files(str(root))):
        with open(path, "rb", buffering=0) as file:
            yield os.path.relpath(path, root).replace(os.sep, "/"), file.read().replace(b"\r\n", b"\n")


def _files(folder: str) -> Iterator[str]:
    """Yield all source files. `os.scandir`, because `Path.rglob` would take longer than everything else here."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in NOT_COMPILED:
                continue
            if entry.name.endswith(".py"):
                yield entry.path
            elif entry.is_dir():
                yield from _files(entry.path)


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
