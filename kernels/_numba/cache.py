"""What functions were compiled to, kept on disk: one file for each function and kind of arguments, whole or not there.

Numba's own cache looks at the date and the lines of the file that a function stands in, not at what the function calls,
and trusts whatever it finds. Here the folder says what all sources were (`places.py`), and a file says whose it is.
"""

import hashlib
import logging
import os
import pickle
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from dnnkit.files import replace
from dnnkit.kernels._numba.places import SUFFIX, places
from dnnkit.kernels._numba.private import caching, compiler, serialize, sigutils
from dnnkit.kernels._numba.trust import distrust_status

MAGIC = b"dnnkit kernel 1\n"
GENERATED = "dnnkit_generated_"
"""Begins the names of modules that are made from sources here; they end with the source's hash."""

log = logging.getLogger("dnnkit")


class Kept(caching.NullCache):
    """What one function was compiled to, for each kind of arguments; in the place of Numba's cache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @property
    def cache_path(self) -> str:
        """The folder."""
        return str(places()[-1])

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """What was compiled for that signature, or None.

        Numba would first look through all that it and others declare, which takes longer than to read everything that
        a training needs: it does so before it compiles anyway.
        """
        identity = self._identity(signature, target_context.codegen())
        for folder in places():
            payload = _read(folder / self._name(signature, identity), identity)
            if payload is None:
                continue
            try:
                return compiler.CompileResult._rebuild(target_context, *pickle.loads(payload))
            except Exception as error:  # whatever is wrong with it, it can be compiled
                log.debug("dnnkit: %s in %s cannot be read: %r", self._name(signature, identity), folder, error)
        return None

    def save(self, signature: Any, compiled: Any) -> None:
        """Keep what was compiled; a disk that is full costs the next process time, this one nothing."""
        if compiled.library.has_dynamic_globals:
            log.warning("dnnkit: %s holds an address, and is compiled anew by each process", self._function)
            return
        identity = self._identity(signature, compiled.codegen)
        payload = serialize.dumps(compiled._reduce())
        content = b"".join((MAGIC, _seal(identity, payload), payload))
        folder = places()[-1]
        try:
            replace(folder / self._name(signature, identity), content, durable=False, private=True)
        except OSError as error:
            _tell_once(f"compiled kernels cannot be kept in {folder}, training goes on: {error.strerror}")

    def title(self, signature: Any) -> tuple[str, str]:
        """What it is, for people, and its dtype."""
        module = self._function.__module__.removesuffix(".cpu").rpartition(".")[2]
        module = re.sub(rf"^{GENERATED}(.*)_[0-9a-f]+$", r"\1", module)
        dtype = "float32" if "float32" in repr(signature) else "float64"  # the former has some numbers of the latter
        return f"{module}.{self._function.__name__}", dtype

    def place(self, signature: Any, target_context: Any) -> Path:
        """The file in which it will be kept."""
        return places()[-1] / self._name(signature, self._identity(signature, target_context.codegen()))

    def _identity(self, signature: Any, codegen: Any) -> bytes:
        whose = self._function.__module__, self._function.__qualname__, _stamp(self._function)
        return repr((*whose, sigutils.normalize_signature(signature), codegen.magic_tuple())).encode()

    def _name(self, signature: Any, identity: bytes) -> str:
        """Of the file: for people, and unique."""
        return f"{'.'.join(self.title(signature))}-{hashlib.sha256(identity).hexdigest()[:24]}{SUFFIX}"


@cache
def _stamp(function: Callable[..., Any]) -> str:
    """The source of a function for which the folder's name does not stand: one of another package."""
    path = function.__code__.co_filename
    if function.__module__.startswith(("dnnkit.kernels.", GENERATED)) or not os.path.isfile(path):
        return ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _read(path: Path, identity: bytes) -> bytes | None:
    """The content of a file that is whole, of that identity, and written by somebody who may."""
    try:
        with path.open("rb", buffering=0) as file:
            if distrust_status(os.fstat(file.fileno())):
                return None
            content = file.read()
    except OSError:
        return None
    start = len(MAGIC) + hashlib.sha256().digest_size
    sealed, payload = content[:start], content[start:]
    return payload if sealed == MAGIC + _seal(identity, payload) else None


def _seal(identity: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(b"%d %s%s" % (len(identity), identity, payload)).digest()


@cache
def _tell_once(text: str) -> None:
    log.warning("dnnkit: %s", text)
