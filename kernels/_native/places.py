"""Where compiled kernels are kept: folders to read from, the last of them the process's own, to write to.

A folder's name is the fingerprint of what decides what a kernel compiles to: whatever changes, old results are not
found. A folder that may only be read, as in a container's image, comes before the user's own.
"""

import errno
import logging
import os
import tempfile
from functools import cache
from pathlib import Path

import dnnkit.files as files
from dnnkit.kernels._native.fingerprint import fingerprint
from dnnkit.kernels._native.trust import distrust

SUFFIX = ".kernel"
"""Of the files that hold what a function was compiled to."""

log = logging.getLogger("dnnkit")


@cache
def places() -> tuple[Path, ...]:
    """The folders to look in, in that order; compiled kernels go to the last."""
    roots, name = _roots(), f"compiled-{fingerprint()}"
    found: list[Path] = []
    for root in roots:
        folder = root / name
        try:
            _make_own(folder, root)
            return (*found, folder)
        except OSError as error:
            if distrust(folder, root) is None and any(folder.glob(f"*{SUFFIX}")):
                found.append(folder)
            elif not found or isinstance(error, Distrusted):  # else it does not matter: all may be in what was found
                given = "DNNKIT_CACHE_DIR is " if os.environ.get("DNNKIT_CACHE_DIR") and root == roots[0] else ""
                log.warning("dnnkit: %s%s: no compiled kernels are kept there: %s", given, root, error.strerror)
    return (*found, Path(tempfile.mkdtemp(prefix="dnnkit-")))


class Distrusted(PermissionError):
    """Others could write there."""


def _roots() -> list[Path]:
    """What was asked for, the user's cache, and what remains where that cannot be written to."""
    return list(dict.fromkeys((files.cache_folder(), files.user_cache_folder(), files.temporary_cache_folder())))


def _make_own(folder: Path, root: Path) -> None:
    """Raise `OSError` if it cannot be written to, or others could."""
    files.make_private(root)
    if reason := distrust(folder, root):
        raise Distrusted(errno.EPERM, reason)
    folder.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
