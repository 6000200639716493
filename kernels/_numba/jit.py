"""How Numba compiles our kernels: one set of options, and one cache on disk that is never stale.

Numba's own cache looks at the date of the file a function stands in, not at what that function calls. Here the cache
folder's name is a hash of every kernel source, of Numba's version and of the processor: whatever changes, old results
are not found.
"""

import errno
import hashlib
import importlib.util
import logging
import os
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite.binding
import numba
from numba.core import caching
from numba.core.types import unliteral

from dnnkit import files
from dnnkit.kernels._numba import whole_program

FASTMATH = {"contract", "nsz"}
"""Not "nnan" or "ninf": with them a NaN in training would go unseen. Not "reassoc" or "arcp": they undo what the stable
formulas are written for (docs/design/0008-fastmath.md)."""

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": FASTMATH}
"""With Python's error model every division tests for zero, and no loop with one is vectorised."""

ROOT = Path(__file__).parents[1]
NOT_COMPILED = {"gpu.py", "_reference", "_cuda"}
"""Files and folders that no compiled function reads: editing them keeps what is compiled. A `reference.py` is read: it
holds constants that its `cpu.py` takes from it."""

log = logging.getLogger("dnnkit")


INLINED: dict[str, Any] = {"forceinline": True}
"""A function that is called, not inlined, exists twice, optimised differently: by itself and in its caller's library.
Which copy runs depends on whether the caller was compiled or read from the cache, and so would the last bits."""


CALLED: dict[str, Any] = {"forceinline": False}
"""Said explicitly: an option that is left out is inherited from the caller."""


def inline(function: Callable[..., Any]) -> Any:
    """A function of numbers, compiled into each of its callers."""
    return _for_both(function, **INLINED)


def jit(function: Callable[..., Any]) -> Any:
    """A function of arrays, compiled for each kind of arguments it is called with, and cached on disk."""
    with _numba_cache():
        return _for_both(function, nogil=True, cache=True, **INLINED)


def jit_called(function: Callable[..., Any]) -> Any:
    """As `jit`, but not inlined into its callers: for what is large, and has no freedom in how it rounds."""
    with _numba_cache():
        return _for_both(function, nogil=True, cache=True, **CALLED)


def jit_optimized(function: Callable[..., Any]) -> Any:
    """As `jit`, but optimised by itself before it is inlined: which products are fused with a sum depends on it."""
    with _numba_cache():
        return _for_both(function, whole_program.CalleeOptimizedFirst, nogil=True, cache=True, **INLINED)


def _for_both(function: Callable[..., Any], callees: Any = whole_program.Callee, **options: Any) -> Any:
    """The function as Python calls it; compiled code that names it gets another version, without machine code."""
    compiled: Any = numba.njit(pipeline_class=whole_program.Entry, **OPTIONS, **options)(function)
    if compiled is not function:  # which it is if Numba is told to compile nothing
        options.pop("cache", None)
        callee: Any = numba.njit(pipeline_class=callees, **OPTIONS, **options)(function)

        def get_call_template(arguments: Any, keywords: Any) -> Any:
            # Numba would compile f(x, 0) and f(x, 1) apart; LLVM knows the numbers where the function is inlined.
            keywords = {name: unliteral(kind) for name, kind in keywords.items()}
            return callee.get_call_template([unliteral(kind) for kind in arguments], keywords)

        compiled.get_call_template, compiled.get_overload = get_call_template, callee.get_overload
    return compiled


def native(function: Callable[..., Any], signature: Any) -> Any:
    """A function of pointers and numbers, compiled now or read from the cache, to be called by its `address`."""
    with _numba_cache():
        return numba.cfunc(signature, cache=True, pipeline_class=whole_program.Entry, **OPTIONS)(function)


def native_address(function: Any) -> int:
    """The address of what `native` made, to be called in Numba's convention; keep the function as long as it is used.

    Numba's C wrapper, whose address is `function.address`, stands in front of it.
    """
    return int(function._library.get_pointer_to_function(function.native_name.removeprefix("cfunc.")))


def module_from_source(name: str, source: str) -> ModuleType:
    """The module of that source, from a file named by its content: Numba cannot cache what was never in a file."""
    path = cache_folder() / "generated" / f"{name}_{hashlib.sha256(source.encode()).hexdigest()[:16]}.py"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        temporary.write_text(source)
        os.replace(temporary, path)
    specification = importlib.util.spec_from_file_location(f"dnnkit_generated_{path.stem}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module  # what Numba reads from its cache refers to the module by name
    specification.loader.exec_module(module)
    return module


def announce(what: str) -> None:
    """Tell once for each cache that something takes seconds now and will not again."""
    marker = cache_folder() / f"compiled-{what}"
    if not marker.exists():
        log.warning(
            "dnnkit: compiling %s for this machine; it takes some seconds and is kept in %s", what, marker.parent
        )
        marker.touch()


@cache
def cache_folder() -> Path:
    """Where compiled kernels are kept: under the user's cache, or in the temporary folder if that cannot be written."""
    name = f"compiled-{fingerprint()}"
    for parent in (files.cache_folder(), Path(tempfile.gettempdir()) / f"dnnkit-{_user()}"):
        folder = parent / name
        try:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_owner(parent)
            folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as error:
            log.warning("dnnkit: compiled kernels cannot be kept in %s: %s", parent, error.strerror)
    return Path(tempfile.mkdtemp(prefix="dnnkit-"))


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")


def _check_owner(folder: Path) -> None:
    """Raise `OSError` if others may write there: what is read from the cache is run."""
    status = folder.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o002):
        raise PermissionError(errno.EPERM, "others may write there, and what is kept there would be run")


def fingerprint(root: Path = ROOT) -> str:
    """A hash of all that decides what a kernel compiles to: sources that Numba may read, Numba, processor."""
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        if file.name in NOT_COMPILED or not NOT_COMPILED.isdisjoint(file.relative_to(root).parts):
            continue
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    processor = (llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten())
    for part in (numba.__version__, llvmlite.__version__, *processor):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:16]


class _FilesApart(caching.IndexDataCacheFile):
    """A function's index and the files of its compilations, which no other process writes.

    Numba counts them: two processes that compile at once, for float32 and for float64, would both write file 1, and
    whoever then looks for float64 could be given, and run, what was compiled for float32.
    """

    def _data_name(self, number: int) -> str:
        return f"{uuid.uuid4().hex}.nbc"


@contextmanager
def _numba_cache() -> Iterator[None]:
    """Numba reads its setting where a function is declared; other users of Numba keep theirs."""
    settings: Any = numba.config
    used: Any = caching
    kept = settings.CACHE_DIR, used.IndexDataCacheFile
    settings.CACHE_DIR, used.IndexDataCacheFile = str(cache_folder()), _FilesApart
    try:
        yield
    finally:
        settings.CACHE_DIR, used.IndexDataCacheFile = kept
