"""Cache folders of compiled kernels: folders to read from, the last of which is also written to.

A folder is named by the fingerprint, so after any change old results are not found. A read-only folder, as in a
container image, comes before the user's own.
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
"""Suffix of the files of compiled functions."""

log = logging.getLogger("dnnkit")


@cache
def places() -> tuple[Path, ...]:
    """Return the folders to search, in order; the last one is written to."""
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
            elif not found or isinstance(error, Distrusted):  # else the earlier folder may have everything
                given = "DNNKIT_CACHE_DIR is " if os.environ.get("DNNKIT_CACHE_DIR") and root == roots[0] else ""
                log.warning("dnnkit: %s%s: no compiled kernels are stored there: %s", given, root, error.strerror)
    return (*found, Path(tempfile.mkdtemp(prefix="dnnkit-")))


class Distrusted(PermissionError):
    """The folder is writable by other users."""


def _roots() -> list[Path]:
    """Return the configured folder, the user's cache folder, and a temporary one as a fallback."""
    return list(dict.fromkeys((files.cache_folder(), files.user_cache_folder(), files.temporary_cache_folder())))


def _make_own(folder: Path, root: Path) -> None:
    """Raise `OSError` if the folder cannot be written to, or other users could write to it."""
    files.make_private(root)
    if reason := distrust(folder, root):
        raise Distrusted(errno.EPERM, reason)
    folder.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
