"""Trust in cached files: they are executed, so they must belong to the user or root."""

import os
import stat
from pathlib import Path

OTHERS = stat.S_IWGRP | stat.S_IWOTH


def distrust(folder: Path, root: Path) -> str | None:
    """Return why nothing cached in a folder below `root` may be run; None if it may, or the folder does not exist."""
    if not hasattr(os, "getuid"):
        return None
    try:
        return _found_against(folder, root)
    except OSError as error:  # the path to it is not readable
        return f"{root}: {error.strerror}"


def _found_against(folder: Path, root: Path) -> str | None:
    below, root = folder.relative_to(root), root.resolve()
    for path in (root / below, *(root / parent for parent in below.parents)):
        if path.exists() and (reason := distrust_status(path.stat())):
            return f"{path} {reason}"
    for path in root.parents:
        if path.exists() and path.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            return f"others may rename what is in {path}"
    return None


def distrust_status(status: os.stat_result) -> str | None:
    """As `distrust`, for one file or folder."""
    if not hasattr(os, "getuid"):
        return None
    if status.st_uid not in (os.getuid(), 0):
        return "belongs to another user, and code stored there would be run"
    if status.st_mode & OTHERS:
        return "can be written by others, and code stored there would be run (chmod go-w)"
    return None
