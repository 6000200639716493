"""Installed packages, read from their metadata folders.

`importlib.metadata` gives the same information, but importing it takes 5% of a small training run, start-up included.
"""

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec


@cache
def version(package: str) -> str:
    """Return the version of an importable package; raise `PackageNotFoundError` if it has no metadata."""
    spec = find_spec(package)
    folder = os.path.dirname(os.path.dirname(spec.origin)) if spec is not None and spec.origin else ""
    name = re.compile(rf"{package}-([^-]+)\.(?:dist|egg)-info", re.IGNORECASE)
    names = {found[1] for path in _described(folder) if (found := name.match(os.path.basename(path)))}
    if len(names) == 1:
        return names.pop()
    from importlib import metadata

    return metadata.version(package)


def is_announced(group: str) -> bool:
    """Whether any package may have entry points in a group with that prefix."""
    for folder in map(os.path.abspath, sys.path):
        if os.path.isfile(folder):  # an archive, which only Python's importers can read
            return True
        for path in _described(folder):
            try:
                with open(os.path.join(path, "entry_points.txt"), "rb", buffering=0) as file:
                    if f"[{group}".encode() in file.read():
                        return True
            except OSError:
                continue
    return False


def _described(folder: str) -> Iterator[str]:
    """Yield the metadata folders in a folder."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info")))
    except OSError:
        return
